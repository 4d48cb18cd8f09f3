"""The scores of a model on prepared images, one row per image, and one per image and class."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.core.metric_names import NSD_TOLERANCE, THRESHOLDS
from segstudy.core.outputs import Mask
from segstudy.data.native_probabilities import NativeProbabilities
from segstudy.data.prepared import Positions, Samples
from segstudy.data.samples import Part
from segstudy.evaluation.class_rows import class_rows, class_table
from segstudy.evaluation.class_scores import Compared, compare
from segstudy.evaluation.probability_counts import NUM_BINS, ProbabilityCounts, bins_of, pixels_in_bins


def best_threshold(
    prob: Collection[NDArray[np.float32]], prepared: Samples, positions: Positions
) -> float | None:
    """Return the threshold of ``THRESHOLDS`` with the highest mean IoU at network size; .5 wins ties.

    Must be chosen on validation only. None where there are several classes.
    """
    outputs = prepared.outputs
    if outputs.task != "binary":
        return None
    pixels = np.empty((len(positions), 2, NUM_BINS), np.int64)
    for i, (p, position) in enumerate(zip(prob, positions, strict=True)):
        mask = prepared.network_mask(int(position))
        true, valid = outputs.plane(mask, 1), outputs.valid(mask)
        if valid is not None:
            p, true = p[valid], true[valid]  # noqa: PLW2901 (the pixels that count)
        pixels[i] = pixels_in_bins(bins_of(p), true)
    predicted = pixels[..., ::-1].cumsum(axis=2)[..., -2::-1]  # at or above each threshold
    overlap = predicted[:, 0]
    union = pixels[:, 0].sum(axis=1, keepdims=True) + predicted[:, 1]
    ious = np.divide(overlap, union, out=np.ones(union.shape), where=union > 0)  # as ``overlap.iou``
    means = {threshold: float(np.mean(ious[:, i].copy())) for i, threshold in enumerate(THRESHOLDS)}
    return max(THRESHOLDS, key=lambda threshold: (means[threshold], threshold == 0.5))


@dataclass(frozen=True, slots=True)
class ImageScores:
    """The scores of a subset.

    Attributes:
        images: one row per image: ``id``, ``part``, then the columns of ``METRICS``: ``network_iou``,
            ``network_dice`` and so on, after them ``native_iou`` and so on. Of several classes they are means
            over those that are scored and present in the image. Metrics at the tuned threshold are left out
            where there is none.
        classes: one row per image and class, see ``class_rows.class_table``; None in binary studies.
    """

    images: pl.DataFrame
    classes: pl.DataFrame | None


def score_images(  # noqa: PLR0913 (what is scored, and how)
    prob: Collection[NDArray[np.float32]],
    prepared: Samples,
    positions: Sequence[int] | Positions,
    part: Part,
    tuned_threshold: float | None,
    nsd_tolerance: float = NSD_TOLERANCE,
    *,
    counts: ProbabilityCounts | None = None,
) -> ImageScores:
    """Score the predictions of a subset at network and native size.

    Args:
        prob: at network size, of each image ``outputs.prob_shape(height, width)``.
        prepared: masks and native sizes.
        positions: of the images in ``prepared``.
        part: the subset.
        tuned_threshold: of ``best_threshold``.
        nsd_tolerance: of the normalised surface distance, a share of the diagonal.
        counts: of binary studies; the images are added to it, as they are at native size here.
    """
    outputs = prepared.outputs
    ids = [prepared.ids[position] for position in positions]
    columns: dict[str, NDArray[np.float64]] = {}

    def rows_of_classes() -> Iterator[dict[str, Any]]:
        for i, (p, position) in enumerate(zip(prob, map(int, positions), strict=True)):
            found = _scored(p, prepared, position, tuned_threshold, nsd_tolerance)
            for name, score in (found.network.mean() | found.native.mean()).items():
                columns.setdefault(name, np.empty(len(ids)))[i] = score
            if counts is not None:
                counts.add(found.prob.of(1), outputs.plane(found.truth, 1), outputs.valid(found.truth))
            if outputs.task != "binary":
                about = {"id": ids[i], "part": part}
                yield from class_rows(about, found.prediction, found.truth, found.native, found.network)

    classes = class_table(rows_of_classes())
    images = pl.DataFrame({"id": ids, "part": [part] * len(ids), **columns})
    return ImageScores(images, None if outputs.task == "binary" else classes)


@dataclass(frozen=True, slots=True)
class _Scored:
    """One image: its scores at both sizes; probabilities, predicted and true mask at native size.

    The probabilities are brought to that size class by class, so that of many classes one is in memory.
    """

    network: Compared
    native: Compared
    prob: NativeProbabilities
    prediction: Mask
    truth: Mask


def _scored(
    prob: NDArray[np.float32],
    prepared: Samples,
    position: int,
    tuned_threshold: float | None,
    nsd_tolerance: float,
) -> _Scored:
    outputs = prepared.outputs
    native_prob = NativeProbabilities(prob, prepared.native_sizes[position], prepared.resize, outputs)
    small, native = outputs.decide(prob), native_prob.decided()
    small_truth, truth = prepared.network_mask(position), prepared.native_mask(position)
    return _Scored(
        compare(
            *(small, small_truth, outputs, "network", nsd_tolerance),
            prob_of=partial(outputs.prob_of, prob),
            tuned_threshold=tuned_threshold,
        ),
        compare(
            *(native, truth, outputs, "native", nsd_tolerance),
            prob_of=native_prob.of,
            tuned_threshold=tuned_threshold,
        ),
        native_prob,
        native,
        truth,
    )
