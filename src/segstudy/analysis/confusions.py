"""The confusion matrix of a configuration's pixels: by true class, and by the one that was predicted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.analysis.results import Results, replicate_runs
from segstudy.core.quantities import counted, percent
from segstudy.store.folder import StudyFolder

MOST_SAID = 3  # confusions in sentences
WORTH_SAYING = 0.01  # of the true class's pixels


@dataclass(frozen=True)
class Confusions:
    """Pixels of the test images at native size, by true and by predicted class.

    Attributes:
        names: of the classes.
        pixels: ``(classes, classes)``, true by predicted: the mean over runs of the sum over images.
    """

    names: tuple[str, ...]
    pixels: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Return the pixels as shares of their true class; 0 for a class without pixels."""
        of_class = self.pixels.sum(axis=1, keepdims=True)
        found = np.divide(self.pixels, of_class, out=np.zeros_like(self.pixels), where=of_class > 0)
        return np.asarray(found)

    @property
    def class_shares(self) -> NDArray[np.float64]:
        """Return the share of each true class among all pixels that count."""
        return np.asarray(self.pixels.sum(axis=1) / self.pixels.sum())

    def sentence(self) -> str:
        """Return the most frequent confusions; empty without any that is worth a sentence.

        Where some are left out that are as frequent as the last one, in percent, their number is said.
        """
        shares = self.shares * (1 - np.eye(len(self.names)))
        order = np.argsort(-shares, axis=None, kind="stable")
        pairs = [divmod(int(place), len(self.names)) for place in order]
        worth = [(true, predicted) for true, predicted in pairs if shares[true, predicted] >= WORTH_SAYING]
        said = [
            f"{percent(shares[true, predicted])} of {self.names[true]} as {self.names[predicted]}"
            for true, predicted in worth[:MOST_SAID]
        ]
        rest = [percent(shares[pair]) for pair in worth[MOST_SAID:]]
        tied = rest.count(percent(shares[worth[MOST_SAID - 1]])) if rest else 0
        more = f" and {counted(tied, 'other pair')} as often as the last" if tied else ""
        return f"Most often confused: {', '.join(said)}{more}." if said else ""


def confusions(folder: StudyFolder, results: Results, name: str) -> Confusions | None:
    """Return the confusion matrix of a configuration on test; None where classes overlap.

    Args:
        folder: the study.
        results: of it.
        name: of a configuration that has scores by class.
    """
    if results.outputs.task != "multiclass":
        return None
    names, runs = results.outputs.names, replicate_runs(results.row(name))
    rows = folder.classes([key for key, *_ in runs], ["part", "class", "predicted_px"])
    rows = rows.filter((pl.col("part") == "test") & pl.col("predicted_px").is_not_null())
    replicates = len({(seed, repeat) for _, seed, repeat in runs})
    return Confusions(names, np.stack([_row(rows, each, len(names)) for each in names]) / replicates)


def _row(rows: pl.DataFrame, true: str, num_classes: int) -> NDArray[np.float64]:
    counts: Sequence[int] = rows.filter(pl.col("class") == true)["predicted_px"].explode().to_list()
    return np.asarray(np.reshape(counts, (-1, num_classes)).sum(axis=0), np.float64)
