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


def confusion(prediction: Mask, target: Mask, valid: Mask | None = None) -> Confusion:
    """Count the pixels of two boolean masks of the same shape ``(H, W)``, of those that are valid.

    Where a pixel is not valid, neither mask has foreground.
    """
    assert prediction.shape == target.shape
    assert prediction.dtype == target.dtype == np.bool_
    tp = int(np.count_nonzero(prediction & target))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(target)) - tp
    num_counted = prediction.size if valid is None else int(np.count_nonzero(valid))
    return Confusion(tp, fp, fn, num_counted - tp - fp - fn)
