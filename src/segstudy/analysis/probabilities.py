"""The foreground probabilities of a configuration: IoU at every threshold, and whether they are right."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.analysis.results import Results, runs_of_replicates
from segstudy.core.metric_names import THRESHOLDS
from segstudy.stats.calibration import ReliabilityBin, overconfidence, reliability
from segstudy.stats.intervals import Interval, by_group, mean_interval
from segstudy.store.folder import StudyFolder

Array = NDArray[np.float64]
NUM_BINS = len(THRESHOLDS) + 1
HALF = THRESHOLDS.index(0.5)
FEWEST_GROUPS = 10  # that a bin of the reliability diagram needs
COUNTS = ("foreground_px", "background_px", "prob_sum")


@dataclass(frozen=True)
class Probabilities:
    """What the probabilities of a configuration say on one subset, at native size; repeats are averaged.

    Attributes:
        iou: ``(seeds, images, thresholds)``.
        pixels: ``(seeds, images, bins)``: pixels of each bin of the probability, as a share of the image's.
        true: those of the true mask, in the same unit.
        prob: the sums of their probabilities, in the same unit.
        groups: of each image.
    """

    iou: Array
    pixels: Array
    true: Array
    prob: Array
    groups: tuple[str, ...]

    @property
    def curve(self) -> Array:
        """Return the mean IoU at each of ``THRESHOLDS``."""
        return np.asarray(self.iou.mean((0, 1)))

    def within(self, margin: float) -> tuple[float, float]:
        """Return the range of thresholds around the best whose mean IoU is within a margin of its own."""
        good = self.curve >= self.curve.max() - margin
        low = high = int(self.curve.argmax())
        while low > 0 and good[low - 1]:
            low -= 1
        while high < len(good) - 1 and good[high + 1]:
            high += 1
        return THRESHOLDS[low], THRESHOLDS[high]

    def reliability(self) -> list[ReliabilityBin]:
        """Return the bins of the reliability diagram, means over seeds."""
        pixels, true, prob = (each.mean(0) for each in (self.pixels, self.true, self.prob))
        return reliability(pixels, true, prob, self.groups, FEWEST_GROUPS)

    def overconfidence(self) -> Interval:
        """Return the mean confidence in a pixel minus the share of right ones, with its interval."""
        found = overconfidence(self.pixels, self.true, self.prob, HALF + 1)
        return mean_interval(by_group(found, self.groups))


def probabilities_of(
    folder: StudyFolder, results: Results, name: str, part: str = "test"
) -> Probabilities | None:
    """Return the probabilities of a configuration; None if one of its runs has no counts of them.

    Args:
        folder: the study.
        results: of it.
        name: of a configuration that was trained here.
        part: of the data.
    """
    runs = pl.DataFrame(
        [(key, seed, repeat) for key, _, seed, repeat, _ in runs_of_replicates(results.row(name))],
        schema={"key": pl.String, "seed": pl.Int64, "repeat": pl.Int64},
        orient="row",
    )
    counts = folder.probabilities(runs["key"].to_list())
    if not runs.height or counts["key"].n_unique() < runs.height:
        return None
    rows = counts.filter(pl.col("part") == part).join(runs, on="key").sort("seed", "id", "repeat")
    ids = rows["id"].unique(maintain_order=True).to_list()
    shape = runs["seed"].n_unique(), len(ids), runs["repeat"].n_unique()
    if not ids or rows.height != np.prod(shape):
        return None
    groups = tuple(results.groups.get(each, each) for each in ids)
    iou, pixels, true, prob = (each.reshape(*shape, -1).mean(2) for each in _of_images(rows))
    return Probabilities(iou, pixels, true, prob, groups)


def _of_images(rows: pl.DataFrame) -> tuple[Array, Array, Array, Array]:
    """Return IoU by threshold, and pixels, true pixels and probabilities by bin, a row for each image."""
    foreground, background, prob = (_matrix(rows, name) for name in COUNTS)
    above = [_from_above(each)[:, 1:] for each in (foreground, background)]
    union = foreground.sum(1, keepdims=True) + above[1]
    iou = np.divide(above[0], union, out=np.ones_like(union), where=union > 0)
    size = (foreground + background).sum(1, keepdims=True)
    return iou, (foreground + background) / size, foreground / size, prob / size


def _matrix(rows: pl.DataFrame, name: str) -> Array:
    found: Any = rows[name].list.to_array(NUM_BINS).to_numpy()
    return np.asarray(found, np.float64)


def _from_above(counts: Array) -> Array:
    """Return sums from each bin up to the last."""
    return np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
