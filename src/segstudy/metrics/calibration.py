"""Whether foreground probabilities mean what they say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segstudy.metrics.counts import Mask

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True)
class Errors:
    """How far one image's foreground probabilities are from the truth, pixel by pixel.

    Attributes:
        prob: the probabilities of the pixels that count, ``(H * W)`` or fewer.
        error: probability minus truth, which is 0 or 1.
    """

    prob: NDArray[np.float32]
    error: NDArray[np.float64]


def errors(prob: NDArray[np.float32], target: Mask) -> Errors:
    """Compare the probabilities of one image ``(H, W)``, or of some of its pixels, with its true mask."""
    p = prob.ravel()
    return Errors(p, np.subtract(p, target.ravel(), dtype=np.float64))


def ece(e: Errors) -> float:
    """Expected calibration error of one image's foreground probabilities.

    Over 15 bins of equal width, each weighing its pixels: how far the mean probability of a bin is from its
    share of foreground (arXiv:1706.04599, for the foreground's probability). Of no pixels it is 0.
    """
    place = np.multiply(e.prob, CALIBRATION_BINS, dtype=np.float64)
    bins = np.minimum(place.astype(np.uint8), CALIBRATION_BINS - 1)
    excess = np.bincount(bins, e.error, CALIBRATION_BINS)
    return float(np.abs(excess).sum() / max(e.prob.size, 1))


def brier(e: Errors) -> float:
    """Brier score: the mean squared difference of probability and truth. Of no pixels it is 0."""
    return float(np.mean(e.error**2)) if e.error.size else 0.0
