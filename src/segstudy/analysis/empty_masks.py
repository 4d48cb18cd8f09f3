"""Predictions that are empty where there is foreground, or have some where there is none, counted apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segstudy.analysis.results import Results
from segstudy.metrics import METRICS, column


@dataclass(frozen=True, slots=True)
class EmptyMasks:
    """The test predictions of a configuration, of all its runs, in which one of two masks is empty.

    Attributes:
        name: of the configuration.
        num_predictions: in all.
        num_missed: empty, where the image has foreground: its IoU is 0.
        num_spurious: with foreground, where the image has none: its IoU is 0.
        iou: mean over the images that have foreground, as far as that is known.
    """

    name: str
    num_predictions: int
    num_missed: int
    num_spurious: int
    iou: float


def penalties(results: Results, name: str, metric: str) -> tuple[int, int] | None:
    """Count the test values of a metric that are penalties, and all of them.

    Returns:
        None if the metric has no penalties, if the scores that tell are not stored, or of several classes:
        the score of an image is a mean over them.
    """
    if results.outputs.task != "binary":
        return None
    marker = METRICS[metric].penalty
    found = results.of_each_run(name, column(marker)) if marker else None
    return None if found is None else (int(np.sum(found == 1)), found.size)


def empty_targets(results: Results, names: Sequence[str]) -> frozenset[str]:
    """Return the test images without foreground on which any run of these predicts some.

    Images without foreground on which all runs predict none have scores like those of perfect predictions.
    """
    found: set[str] = set()
    for name in names:
        if (marks := _marks(results, name)) is not None:
            ids = results.ids(name)
            found |= {ids[i] for i in np.flatnonzero(marks[1].sum(0))}
    return frozenset(found)


def empty_masks(results: Results, name: str, without: frozenset[str] = frozenset()) -> EmptyMasks | None:
    """Count the empty masks of a configuration.

    Args:
        results: of the study.
        name: of the configuration.
        without: images that have no foreground, which the mean IoU leaves out.

    Returns:
        None if the scores that tell are not stored, or of several classes.
    """
    marks, scores = _marks(results, name), results.scores(name)
    if marks is None or scores is None:
        return None
    kept = [each not in without for each in results.ids(name)]
    iou = float(scores[:, kept].mean()) if any(kept) else float("nan")
    return EmptyMasks(name, marks[0].size, int(marks[0].sum()), int(marks[1].sum()), iou)


def _marks(results: Results, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return which predictions are missed lesions, and which have foreground where there is none.

    Both are told by a distance that is a penalty; no pixel of an empty prediction is false foreground.
    """
    if results.outputs.task != "binary":  # an image's score is a mean over classes; they are counted by class
        return None
    found = [results.of_each_run(name, column(each)) for each in ("hd95_frac", "specificity")]
    if found[0] is None or found[1] is None:
        return None
    penalised, no_false_foreground = found[0] == 1, found[1] == 1
    return penalised & no_false_foreground, penalised & ~no_false_foreground
