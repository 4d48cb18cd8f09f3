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
from segstudy.evaluation.probability_counts import NUM_BINS, ProbabilityCounts, bins_of, pixels_in_bins
from segstudy.metrics import prob_scores

BLOCK = 4096  # rows


def best_threshold(prob: NDArray[np.float32], prepared: Prepared, positions: Positions) -> float:
    """Return the threshold of ``THRESHOLDS`` with the highest mean IoU at network size; .5 wins ties.

    Must be chosen on validation only.
    """
    pixels = np.empty((len(positions), 2, NUM_BINS), np.int64)
    for i, (p, position) in enumerate(zip(prob, positions, strict=True)):
        pixels[i] = pixels_in_bins(bins_of(p), prepared.masks[int(position)])
    predicted = pixels[..., ::-1].cumsum(axis=2)[..., -2::-1]  # at or above each threshold
    overlap = predicted[:, 0]
    union = pixels[:, 0].sum(axis=1, keepdims=True) + predicted[:, 1]
    ious = np.divide(overlap, union, out=np.ones(union.shape), where=union > 0)  # as ``overlap.iou``
    means = {threshold: float(np.mean(ious[:, i].copy())) for i, threshold in enumerate(THRESHOLDS)}
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


def image_rows(  # noqa: PLR0913 (what is scored, and how)
    prob: NDArray[np.float32],
    prepared: Prepared,
    positions: Sequence[int] | Positions,
    part: Part,
    tuned_threshold: float,
    nsd_tolerance: float = NSD_TOLERANCE,
    *,
    counts: ProbabilityCounts | None = None,
) -> pl.DataFrame:
    """Return one row per image: every metric at network and native size, and IoU at the tuned threshold.

    Columns: ``id``, ``part``, then those of ``METRICS``: ``network_iou``, ``network_dice`` and so on, after
    them ``native_iou`` and so on.

    Args:
        prob: at network size.
        prepared: masks and native sizes.
        positions: of the images in ``prepared``.
        part: the subset.
        tuned_threshold: of ``best_threshold``.
        nsd_tolerance: of the normalised surface distance, a share of the diagonal.
        counts: the images are added to it, as they are at native size here.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    for i, (p, position) in enumerate(zip(prob, map(int, positions), strict=True)):
        native_prob = prob_to_native(p, prepared.native_sizes[position], prepared.resize)
        native_mask = prepared.native_mask(position)
        scores = prob_scores(p, prepared.masks[position], tuned_threshold, "network", nsd_tolerance)
        scores |= prob_scores(native_prob, native_mask, tuned_threshold, "native", nsd_tolerance)
        for name, score in scores.items():
            columns.setdefault(name, np.empty(len(positions)))[i] = score
        if counts is not None:
            counts.add(native_prob, native_mask)
    ids = [prepared.ids[position] for position in positions]
    return pl.DataFrame({"id": ids, "part": [part] * len(ids), **columns})
