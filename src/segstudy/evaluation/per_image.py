"""The scores of a model on prepared images, one row per image."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.core.metric_names import NSD_TOLERANCE, THRESHOLDS
from segstudy.data.batches import Positions
from segstudy.data.prepared import Prepared
from segstudy.data.preprocess import prob_to_native
from segstudy.data.samples import Part
from segstudy.metrics import prob_scores
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou


def best_threshold(prob: NDArray[np.float32], prepared: Prepared, positions: Positions) -> float:
    """Return the threshold of ``THRESHOLDS`` with the highest mean IoU at network size; .5 wins ties.

    Must be chosen on validation only.
    """
    masks = prepared.masks[positions]

    def mean_iou(threshold: float) -> float:
        return float(np.mean([iou(confusion(p >= threshold, m)) for p, m in zip(prob, masks, strict=True)]))

    return max(THRESHOLDS, key=lambda threshold: (mean_iou(threshold), threshold == 0.5))


def image_rows(
    prob: NDArray[np.float32],
    prepared: Prepared,
    positions: Sequence[int] | Positions,
    part: Part,
    tuned_threshold: float,
    nsd_tolerance: float = NSD_TOLERANCE,
) -> pl.DataFrame:
    """Return one row per image: every metric at network and native size, and IoU at the tuned threshold.

    Columns: ``id``, ``part``, then those of ``METRICS``: ``network_iou``, ``network_dice`` and so on, after
    them ``native_iou`` and so on.
    """
    rows = []
    for p, position in zip(prob, positions, strict=True):
        native_prob = prob_to_native(p, prepared.native_sizes[position], prepared.resize)
        row: dict[str, str | float] = {"id": prepared.ids[position], "part": part}
        row |= prob_scores(p, np.asarray(prepared.masks[position]), tuned_threshold, "network", nsd_tolerance)
        row |= prob_scores(
            native_prob, prepared.native_mask(int(position)), tuned_threshold, "native", nsd_tolerance
        )
        rows.append(row)
    return pl.DataFrame(rows)
