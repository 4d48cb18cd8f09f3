"""Whether foreground probabilities mean what they say."""

import numpy as np
from numpy.typing import NDArray

from segstudy.metrics.counts import Mask

CALIBRATION_BINS = 15


def ece(prob: NDArray[np.float32], target: Mask) -> float:
    """Expected calibration error of one image's foreground probabilities ``(H, W)``.

    Over 15 bins of equal width, each weighing its pixels: how far the mean probability of a bin is from its
    share of foreground (arXiv:1706.04599, for the foreground's probability).
    """
    p, y = prob.ravel().astype(np.float64), target.ravel()
    bins = np.minimum((p * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    excess = np.bincount(bins, p - y, CALIBRATION_BINS)
    return float(np.abs(excess).sum() / p.size)


def brier(prob: NDArray[np.float32], target: Mask) -> float:
    """Brier score: the mean squared difference of probability and truth."""
    p, y = prob.ravel().astype(np.float64), target.ravel()
    return float(np.mean((p - y) ** 2))
