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

    def add(self, prob: NDArray[np.float32], target: Mask, valid: Mask | None = None) -> None:
        """Add the next image: probabilities and true mask ``(H, W)``, and which pixels count, if not all."""
        if valid is not None:
            prob, target = prob[valid], target[valid]
        bins = bins_of(prob)
        self._pixels[:, self._num_added] = pixels_in_bins(bins, target)
        self._sums[self._num_added] = np.bincount(bins, prob.ravel(), NUM_BINS)
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
    """Return the pixels of the true mask in each bin, and the others: ``(2, NUM_BINS)``.

    Neighbours are mostly in one bin, so the lengths of their rows are counted, not the pixels.
    """
    if not bins.size:
        return np.zeros((2, NUM_BINS), np.int64)
    side_by_side = bins + np.uint8(NUM_BINS) * ~target.ravel()
    starts = np.concatenate([[0], np.flatnonzero(side_by_side[1:] != side_by_side[:-1]) + 1])
    lengths = np.diff(starts, append=side_by_side.size)
    counts = np.bincount(side_by_side[starts], lengths, 2 * NUM_BINS)
    return counts.astype(np.int64).reshape(2, NUM_BINS)
