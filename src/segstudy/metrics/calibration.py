"""How far probabilities can be believed."""

import numpy as np
from numpy.typing import NDArray

from segstudy.metrics.overlap import Mask

CALIBRATION_BINS = 15


def calibration_scores(prob: NDArray[np.float32], target: Mask) -> dict[str, float]:
    """Whether the foreground probabilities ``(H, W)`` of one image mean what they say.

    Returns:
        ``ece``: expected calibration error over 15 bins of equal width, each weighing its pixels: how far
        the mean probability of a bin is from its share of foreground (arXiv:1706.04599, for the
        foreground's probability); ``brier``: the mean squared difference from the truth.
    """
    p, y = prob.ravel().astype(np.float64), target.ravel()
    bins = np.minimum((p * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    excess = np.bincount(bins, p - y, CALIBRATION_BINS)
    return {"ece": float(np.abs(excess).sum() / p.size), "brier": float(np.mean((p - y) ** 2))}
