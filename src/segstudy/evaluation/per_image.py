"""The scores of a model on prepared images, one row per image."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

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

BLOCK = 4096  # rows


def best_threshold(prob: NDArray[np.float32], prepared: Prepared, positions: Positions) -> float:
    """Return the threshold of ``THRESHOLDS`` with the highest mean IoU at network size; .5 wins ties.

    Must be chosen on validation only.
    """
    scores = np.empty((len(THRESHOLDS), len(positions)))
    for i, (p, position) in enumerate(zip(prob, positions, strict=True)):
        mask = prepared.masks[int(position)]
        scores[:, i] = [iou(confusion(p >= threshold, mask)) for threshold in THRESHOLDS]
    means = {threshold: float(np.mean(row)) for threshold, row in zip(THRESHOLDS, scores, strict=True)}
    return max(THRESHOLDS, key=lambda threshold: (means[threshold], threshold == 0.5))


def in_blocks(
    rows: Iterable[dict[str, Any]],
    schema: Mapping[str, pl.DataType] | None = None,
    overrides: Mapping[str, pl.DataType] | None = None,
) -> pl.DataFrame:
    """Return a table of rows, made block by block: as Python's objects rows take ten times its memory."""
    left, blocks = iter(rows), []
    while block := list(islice(left, BLOCK)):
        blocks.append(pl.DataFrame(block, schema, schema_overrides=overrides, infer_schema_length=None))
    if not blocks:
        return pl.DataFrame(schema=schema)
    return pl.concat(blocks, how="vertical_relaxed", rechunk=True)


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

    def row_of(p: NDArray[np.float32], position: int) -> dict[str, str | float]:
        native_prob = prob_to_native(p, prepared.native_sizes[position], prepared.resize)
        mask, native_mask = np.asarray(prepared.masks[position]), prepared.native_mask(position)
        row: dict[str, str | float] = {"id": prepared.ids[position], "part": part}
        row |= prob_scores(p, mask, tuned_threshold, "network", nsd_tolerance)
        return row | prob_scores(native_prob, native_mask, tuned_threshold, "native", nsd_tolerance)

    return in_blocks(row_of(p, int(position)) for p, position in zip(prob, positions, strict=True))
