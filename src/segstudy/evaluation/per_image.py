"""A model and prepared images in, one row per image out."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from segstudy.data.batches import Positions
from segstudy.data.prepared import Prepared
from segstudy.data.preprocess import prob_to_native
from segstudy.data.samples import Part
from segstudy.metrics.calibration import calibration_scores
from segstudy.metrics.overlap import Mask, confusion, iou, scores
from segstudy.metrics.surface import surface_scores

THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))

Logits = tuple[Tensor, Tensor]


def best_threshold(prob: NDArray[np.float32], prepared: Prepared, positions: Positions) -> float:
    """The threshold of ``THRESHOLDS`` with the highest mean IoU at network size; .5 wins ties.

    To be chosen on validation only.
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
) -> pl.DataFrame:
    """One row per image: every metric at network and native size, and IoU at the tuned threshold.

    Columns: ``id``, ``part``, then ``network_iou``, ``native_iou``, ``network_dice`` and so on at
    threshold .5, ``network_iou_tuned``, ``native_iou_tuned``, and at native size alone surface distances
    (``native_hd95_px`` and so on) and calibration (``native_ece``, ``native_brier``).
    """
    rows = []
    for p, position in zip(prob, positions, strict=True):
        native_prob = prob_to_native(p, prepared.native_sizes[position], prepared.resize)
        truth = {"network": prepared.masks[position], "native": prepared.native_mask(int(position))}
        row: dict[str, str | float] = {"id": prepared.ids[position], "part": part}
        for resolution, at_resolution in (("network", p), ("native", native_prob)):
            target = np.asarray(truth[resolution])
            row |= {f"{resolution}_{name}": v for name, v in scores(at_resolution >= 0.5, target).items()}
            row[f"{resolution}_iou_tuned"] = iou(confusion(at_resolution >= tuned_threshold, target))
        row |= boundary_columns(native_prob >= 0.5, truth["native"])
        row |= {f"native_{name}": v for name, v in calibration_scores(native_prob, truth["native"]).items()}
        rows.append(row)
    return pl.DataFrame(rows)


def mask_columns(predicted: Mask, target: Mask) -> dict[str, float]:
    """What a row of ``image_rows`` says of a mask without probabilities, at native size."""
    columns = {f"native_{name}": value for name, value in scores(predicted, target).items()}
    return columns | boundary_columns(predicted, target)


def boundary_columns(predicted: Mask, target: Mask) -> dict[str, float]:
    """Surface distances of two masks at native size, as columns."""
    return {f"native_{name}": value for name, value in surface_scores(predicted, target).items()}
