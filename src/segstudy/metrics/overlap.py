"""Metrics of overlap: functions of the four pixel counts of one image, a ``Confusion``.

Scores of many images are averaged afterwards, never pooled.

The empty-mask rule, for all of them: a ratio whose denominator is zero is 1 if prediction and target
agree in every pixel, else 0. So an empty prediction of an empty target scores IoU 1, Dice 1,
precision 1 and recall 1; a non-empty prediction of an empty target scores 0 in all four.
"""

from segstudy.metrics.counts import Confusion


def iou(c: Confusion) -> float:
    """Return the intersection over union (Jaccard index) of the foreground."""
    return _ratio(c.tp, c.tp + c.fp + c.fn, c)


def dice(c: Confusion) -> float:
    """Return the Dice coefficient (F1 score) of the foreground; IoU = Dice / (2 - Dice)."""
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn, c)


def precision(c: Confusion) -> float:
    """Return the share of the predicted foreground that is true."""
    return _ratio(c.tp, c.tp + c.fp, c)


def recall(c: Confusion) -> float:
    """Return the share of the true foreground that is found (sensitivity)."""
    return _ratio(c.tp, c.tp + c.fn, c)


def specificity(c: Confusion) -> float:
    """Return the share of the true background that is predicted as background."""
    return _ratio(c.tn, c.tn + c.fp, c)


def accuracy(c: Confusion) -> float:
    """Return the share of all pixels that is right."""
    return _ratio(c.tp + c.tn, c.tp + c.fp + c.fn + c.tn, c)


def thresholded_jaccard(c: Confusion) -> float:
    """Return the IoU, but 0 below .65: the ISIC 2018 challenge counts such segmentations as failures."""
    value = iou(c)
    return value if value >= 0.65 else 0.0


def _ratio(part: int, whole: int, c: Confusion) -> float:
    if whole == 0:
        return float(c.fp == 0 and c.fn == 0)
    return part / whole
