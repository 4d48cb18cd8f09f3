"""Baselines: masks predicted without looking at the image, which every network has to beat."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segstudy.config.protocol import Protocol
from segstudy.core.outputs import Mask, Outputs
from segstudy.core.parallel import in_order
from segstudy.core.resources import allowed_cores
from segstudy.data.prepared import Prepared, open_prepared, prepare
from segstudy.data.preprocess import decided_at_native, of_whole
from segstudy.data.samples import Part, Sample
from segstudy.data.split import Split
from segstudy.evaluation.blocks import in_blocks
from segstudy.evaluation.class_scores import compare
from segstudy.evaluation.mask_meaning import described_classes
from segstudy.store.folder import StudyFolder

ALL_FOREGROUND, MEAN_MASK, ALL_BACKGROUND = "all foreground", "mean mask", "all background"
ALL_CLASSES = "all classes"
SCORED: tuple[Part, ...] = ("validation", "test")
MASKS_AT_ONCE = 1024

Splits = Mapping[tuple[str, int, int | None], Split]


def write_baselines(
    folder: StudyFolder,
    samples: Sequence[Sample],
    data: str,
    splits: Splits,
    protocol: Protocol,
    preparing: Callable[[int], None] = lambda _: None,
) -> bool:
    """Write a study's ``baselines.parquet``, unless one of these data, splits and classes is there already.

    Args:
        folder: the study's.
        samples: all of them.
        data: their fingerprint.
        splits: the subsets for each ``(split, split_seed, fold)``.
        protocol: says at which network size the masks are averaged; a mean over whole images has one size,
            so with ``tiles`` they are squashed for it.
        preparing: called with the number of samples decoded and resized so far.

    Returns:
        Whether it was written.
    """
    described = described_classes(protocol.mask_meaning())
    truth = json.dumps(described) if described else ""
    if up_to_date(folder.baselines(), data, splits, truth):
        return False
    settings = (protocol.image_size, of_whole(protocol.resize), protocol.mask_meaning(), protocol.scale())
    prepared = open_prepared(prepare(samples, data, *settings, progress=preparing), check=False)  # checked
    table = baseline_table(prepared, data, splits)
    folder.write_table("baselines.parquet", table.with_columns(truth=pl.lit(truth)) if truth else table)
    return True


def baseline_table(prepared: Prepared, data: str, splits: Splits) -> pl.DataFrame:
    """The baselines on the validation and test subset of every split.

    The mean mask is the mean of the training subset's masks at network size, brought to each image's own size
    and decided as a network's probabilities are. Where lesions lie in many places it may be empty.
    To predict nothing at all is a baseline if any mask is empty: it scores 1 there. Else it would score 0.
    Of several classes that exclude each other, "all NAME" predicts everywhere the one with the most pixels in
    the training masks; of classes that overlap, "all classes" predicts every one of them everywhere.

    Args:
        prepared: the samples; their network size decides how fine the mean mask is.
        data: the samples' fingerprint, kept to tell when the table is out of date.
        splits: the subsets for each ``(split, split_seed, fold)``.

    Returns:
        One row per baseline, split, part and image: ``baseline``, ``data``, ``split``, ``split_seed``,
        ``fold``, ``id``, ``part`` and the metrics at native size, ``native_iou`` and so on, without surface
        distances. Those of several classes are means as in a run's image table.
    """
    return in_blocks(_rows(prepared, data, splits), overrides={"fold": pl.Int64()})


def _rows(prepared: Prepared, data: str, splits: Splits) -> Iterator[dict[str, Any]]:
    threads = allowed_cores(hyperthreads=True)
    for (split, seed, fold), parts in splits.items():
        for baseline, prob in _probabilities(prepared, parts).items():
            about = {"baseline": baseline, "data": data, "split": split, "split_seed": seed, "fold": fold}
            for part in SCORED:
                row_of = partial(_row, prepared, part=part, prob=prob)
                for row in in_order(row_of, _positions(prepared, parts, part), threads):
                    yield about | row


def up_to_date(table: pl.DataFrame | None, data: str, splits: Splits, truth: str = "") -> bool:
    """Whether a stored table is of these data and parts.

    Args:
        table: the stored one; None if there is none.
        data: fingerprint of the samples.
        splits: as in ``write_baselines``.
        truth: the classes and the ignored values; empty, and not in the table, with one foreground.
    """
    if table is None or (set(table["truth"]) if "truth" in table.columns else {""}) != {truth}:
        return False
    wanted = {
        (data, *key, part, sample_id)
        for key, parts in splits.items()
        for part in SCORED
        for sample_id in parts.part(part)
    }
    return set(table.select("data", "split", "split_seed", "fold", "part", "id").iter_rows()) == wanted


def _probabilities(prepared: Prepared, parts: Split) -> dict[str, NDArray[np.float32]]:
    """Return the prediction of each baseline for any image, ``outputs.prob_shape`` at network size."""
    outputs = prepared.outputs
    mean = _mean_mask(prepared, prepared.positions(parts.train))
    name, everywhere = _everywhere(mean, outputs)
    found = {name: everywhere, MEAN_MASK: mean}
    scored = [position for part in SCORED for position in _positions(prepared, parts, part)]
    may_be_empty = outputs.task != "multiclass" or len(outputs.scored) < len(outputs.names)
    if may_be_empty and not all(_has_any(prepared.native_mask(position), outputs) for position in scored):
        found[ALL_BACKGROUND] = np.zeros_like(mean)
    return found


def _everywhere(mean: NDArray[np.float32], outputs: Outputs) -> tuple[str, NDArray[np.float32]]:
    """The baseline that predicts the same foreground everywhere, and its name."""
    if outputs.task != "multiclass":
        return ALL_FOREGROUND if outputs.task == "binary" else ALL_CLASSES, np.ones_like(mean)
    largest = max(outputs.scored, key=lambda number: float(mean[number].sum()))
    everywhere = np.zeros_like(mean)
    everywhere[largest] = 1
    return f"all {outputs.names[largest]}", everywhere


def _has_any(mask: Mask, outputs: Outputs) -> bool:
    return any(bool(outputs.plane(mask, number).any()) for number in outputs.scored)


def _mean_mask(prepared: Prepared, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of masks, some of which are read at a time: counts are exact, so it is the mean of all.

    At each place it is over the masks that are not ignored there; 0 if there is none.
    """
    outputs = prepared.outputs
    numbers = outputs.scored if outputs.task == "binary" else range(len(outputs.names))
    height, width = prepared.masks.shape[1:]
    counts = np.zeros((len(numbers), height, width), np.int64)
    num_valid = np.zeros((height, width), np.int64)
    for at in range(0, len(positions), MASKS_AT_ONCE):
        masks = prepared.masks[positions[at : at + MASKS_AT_ONCE]]
        valid = outputs.valid(masks)
        num_valid += len(masks) if valid is None else valid.sum(axis=0)
        for place, number in enumerate(numbers):
            counts[place] += outputs.plane(masks, number).sum(axis=0)
    mean = (counts / np.maximum(num_valid, 1)).astype(np.float32)
    return mean.reshape(outputs.prob_shape(height, width))


def _positions(prepared: Prepared, parts: Split, part: Part) -> list[int]:
    return [int(position) for position in prepared.positions(parts.part(part))]


def _row(prepared: Prepared, position: int, part: Part, prob: NDArray[np.float32]) -> dict[str, Any]:
    outputs, native = prepared.outputs, prepared.native_sizes[position]
    predicted = decided_at_native(prob, native, prepared.resize, outputs)
    found = compare(predicted, prepared.native_mask(position), outputs, "native", takes=("counts",))
    return {"id": prepared.ids[position], "part": part, **found.mean()}


def join_baselines(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of several tables of the same data, each split, part and image once."""
    places = ["baseline", "data", "split", "split_seed", "fold", "part", "id"]
    return pl.concat(tables, how="diagonal_relaxed").unique(places, keep="first", maintain_order=True)
