"""Counts of pixels by foreground probability: IoU at every threshold and calibration follow from them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.core.metric_names import THRESHOLDS
from segstudy.data.samples import Part
from segstudy.metrics.counts import Mask

NUM_BINS = len(THRESHOLDS) + 1
EDGES = np.array(THRESHOLDS, np.float32)  # as ``prob >= threshold`` compares
AT_ONCE = 2**17  # pixels that are compared with all thresholds while they are in the processor's cache


class ProbabilityCounts:
    """The table of a subset's probabilities at native size, filled image by image."""

    def __init__(self, num_images: int):
        self._pixels = np.zeros((2, num_images, NUM_BINS), np.uint32)
        self._sums = np.zeros((num_images, NUM_BINS), np.float32)
        self._num_added = 0

    def add(self, prob: NDArray[np.float32], target: Mask) -> None:
        """Add the next image: probabilities and true mask ``(H, W)``."""
        bins = bins_of(prob)
        self._pixels[:, self._num_added] = pixels_in_bins(bins, target)
        self._sums[self._num_added] = _sums_in_bins(bins, prob.ravel())
        self._num_added += 1

    def table(self, ids: Sequence[str], part: Part) -> pl.DataFrame:
        """Return one row per image.

        Columns: ``id``, ``part``, and lists with a value for each bin between two neighbours of
        ``THRESHOLDS``, in ascending order: ``foreground_px`` and ``background_px``, pixels of the true mask
        and others, and ``prob_sum``, the sum of the probabilities of both.
        """
        foreground, background = self._pixels
        lists = {"foreground_px": foreground, "background_px": background, "prob_sum": self._sums}
        columns = [pl.Series(name, values).arr.to_list() for name, values in lists.items()]
        return pl.DataFrame([pl.Series("id", ids, pl.String), pl.Series("part", [part] * len(ids)), *columns])


def bins_of(prob: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the bin of every pixel, ``(H * W)``; a probability that equals a threshold is in the one above.

    As ``np.searchsorted``, but quicker for few thresholds.
    """
    flat = prob.ravel()
    bins = np.zeros(flat.size, np.uint8)
    for start in range(0, flat.size, AT_ONCE):
        some, counted = flat[start : start + AT_ONCE], bins[start : start + AT_ONCE]
        for edge in EDGES:
            counted += (some >= edge).view(np.uint8)
    return bins


def pixels_in_bins(bins: NDArray[np.uint8], target: Mask) -> NDArray[np.int64]:
    """Return the pixels of the true mask in each bin, and the others: ``(2, NUM_BINS)``."""
    side_by_side = bins + np.uint8(NUM_BINS) * ~target.ravel()
    starts = _starts(side_by_side)
    lengths = np.diff(starts, append=side_by_side.size)
    counts = np.bincount(side_by_side[starts], lengths, 2 * NUM_BINS)
    return counts.astype(np.int64).reshape(2, NUM_BINS)


def _starts(values: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return where a value differs from the one before: neighbouring pixels are mostly in one bin."""
    return np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])


def _sums_in_bins(bins: NDArray[np.uint8], prob: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of the probabilities in each bin, pixel after pixel in float64.

    Sums of equal neighbours are three times as quick. They are added in another order, which may change the
    last bits of float64, and where these could decide how a sum is rounded, the order is kept.
    """
    starts = _starts(bins)
    sums = np.bincount(bins[starts], np.add.reduceat(prob, starts, dtype=np.float64), NUM_BINS)
    most_frac = 4 * prob.size * 2.0**-53  # by which two orders can differ, if no value is negative
    rounded: NDArray[np.float32] = sums.astype(np.float32)
    ends = [(sums * (1 + sign * most_frac)).astype(np.float32) for sign in (-1, 1)]
    if prob.min() >= 0 and all((end == rounded).all() for end in ends):
        return rounded
    return np.bincount(bins, prob, NUM_BINS).astype(np.float32)
