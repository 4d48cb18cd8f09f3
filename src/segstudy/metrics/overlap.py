"""What one predicted mask is worth against the true one.

The metrics of ``METRICS`` are functions of the four pixel counts of one image, a ``Confusion``; beside
them stand surface distances, between the boundaries of two masks, and the calibration of
probabilities, both dearer and computed once, when a training has ended. Scores of many images are
averaged afterwards, never pooled.

The empty-mask rule, for all of them: a ratio whose denominator is zero is 1 if prediction and target
agree in every pixel, else 0. So an empty prediction of an empty target scores IoU 1, Dice 1,
precision 1 and recall 1; a non-empty prediction of an empty target scores 0 in all four. Surface
distances follow it: two empty masks are 0 px apart, and one empty mask, a missed lesion, costs the
whole diagonal of the image, where libraries give NaN or infinity and the image drops out of the mean.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Pixels of one image: true and false positives, false and true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int


def confusion(prediction: Mask, target: Mask) -> Confusion:
    """Count the pixels of two boolean masks of the same shape ``(H, W)``."""
    assert prediction.shape == target.shape
    assert prediction.dtype == target.dtype == np.bool_
    tp = int(np.count_nonzero(prediction & target))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(target)) - tp
    return Confusion(tp, fp, fn, prediction.size - tp - fp - fn)


def iou(c: Confusion) -> float:
    """Intersection over union (Jaccard index) of the foreground."""
    return _ratio(c.tp, c.tp + c.fp + c.fn, c)


def dice(c: Confusion) -> float:
    """Dice coefficient (F1 score) of the foreground; IoU = Dice / (2 - Dice)."""
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn, c)


def precision(c: Confusion) -> float:
    """The share of the predicted foreground that is true."""
    return _ratio(c.tp, c.tp + c.fp, c)


def recall(c: Confusion) -> float:
    """The share of the true foreground that is found (sensitivity)."""
    return _ratio(c.tp, c.tp + c.fn, c)


def specificity(c: Confusion) -> float:
    """The share of the true background that is left alone."""
    return _ratio(c.tn, c.tn + c.fp, c)


def accuracy(c: Confusion) -> float:
    """The share of all pixels that is right."""
    return _ratio(c.tp + c.tn, c.tp + c.fp + c.fn + c.tn, c)


def thresholded_jaccard(c: Confusion) -> float:
    """IoU, but 0 below .65: the ISIC 2018 challenge's count of segmentations that fail."""
    value = iou(c)
    return value if value >= 0.65 else 0.0


def _ratio(part: int, whole: int, c: Confusion) -> float:
    if whole == 0:
        return float(c.fp == 0 and c.fn == 0)
    return part / whole


METRICS: dict[str, Callable[[Confusion], float]] = {
    "iou": iou,
    "dice": dice,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "accuracy": accuracy,
    "thresholded_jaccard": thresholded_jaccard,
}


def scores(prediction: Mask, target: Mask) -> dict[str, float]:
    """Every metric of one image, by name."""
    counts = confusion(prediction, target)
    return {name: metric(counts) for name, metric in METRICS.items()}
