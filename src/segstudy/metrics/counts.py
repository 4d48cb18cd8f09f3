"""Masks, and the counts of pixels that metrics of overlap are functions of."""

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
