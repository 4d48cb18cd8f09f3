"""Counts of pixels by foreground probability: IoU at every threshold and calibration follow from them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.core.metric_names import THRESHOLDS
from segstudy.data.batches import Positions
from segstudy.data.prepared import Prepared
from segstudy.data.preprocess import prob_to_native
from segstudy.data.samples import Part
from segstudy.evaluation.per_image import in_blocks
from segstudy.metrics.counts import Mask

NUM_BINS = len(THRESHOLDS) + 1
EDGES = np.array(THRESHOLDS, np.float32)  # as ``prob >= threshold`` compares
SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "part": pl.String(),
    "foreground_px": pl.List(pl.UInt32),
    "background_px": pl.List(pl.UInt32),
    "prob_sum": pl.List(pl.Float32),
}


def probability_rows(
    prob: NDArray[np.float32], prepared: Prepared, positions: Sequence[int] | Positions, part: Part
) -> pl.DataFrame:
    """Return one row per image, at native size.

    Columns: ``id``, ``part``, and lists with a value for each bin between two neighbours of ``THRESHOLDS``,
    in ascending order: ``foreground_px`` and ``background_px``, pixels of the true mask and others, and
    ``prob_sum``, the sum of the probabilities of both.
    """
    rows = (
        {"id": prepared.ids[position], "part": part}
        | counts_by_probability(
            prob_to_native(p, prepared.native_sizes[position], prepared.resize),
            prepared.native_mask(int(position)),
        )
        for p, position in zip(prob, positions, strict=True)
    )
    return in_blocks(rows, SCHEMA)


def counts_by_probability(prob: NDArray[np.float32], target: Mask) -> dict[str, list[float]]:
    """Return the three lists of one image; a probability that equals a threshold is in the bin above it."""
    bins = np.searchsorted(EDGES, prob.ravel(), side="right")
    true = target.ravel().astype(bool)
    return {
        "foreground_px": np.bincount(bins[true], minlength=NUM_BINS).tolist(),
        "background_px": np.bincount(bins[~true], minlength=NUM_BINS).tolist(),
        "prob_sum": np.bincount(bins, prob.ravel().astype(np.float64), NUM_BINS).tolist(),
    }
