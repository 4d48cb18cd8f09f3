"""Scores of another tool's masks on a study's images, with the study's own metrics."""

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from segstudy.core.environment import written_now
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.core.outputs import Mask, Outputs
from segstudy.core.quantities import counted
from segstudy.core.resources import allowed_cores
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.masks import read_mask
from segstudy.data.samples import Part, Sample
from segstudy.data.sources import MaskSource, first_file
from segstudy.evaluation.class_rows import class_rows, class_table
from segstudy.evaluation.class_scores import compare
from segstudy.evaluation.mask_folders import MaskSet, find_masks
from segstudy.evaluation.mask_meaning import described_classes, meaning_of_masks
from segstudy.evaluation.summary import data_of, first_of, refuse_taken, summarise
from segstudy.metrics import unknown_of_masks
from segstudy.store.folder import StudyFolder
from segstudy.store.records import ExternalRecord, MasksRecord, Parts


def score_masks(
    data: str | Path,
    masks: Path,
    folder: StudyFolder,
    name: str | None = None,
    deterministic: bool = False,
    asked: MaskMeaning = AUTO,
) -> list[dict[str, Any]]:
    """Score masks on a study's validation and test images and store them as ``external/<name>/``.

    A study with folds tests every image once; the masks then count as out-of-fold predictions, and
    there is no validation subset: its scores would be those of the test.

    Args:
        data: the study's data set, at its present place.
        masks: one mask per image, named by its id; in folders, one per model, and in those one per seed.
        folder: the study's.
        name: of the model, where there is one only; else folders' names are taken.
        deterministic: the tool gives the same masks every time, so that there is only one set.
        asked: what the values of these masks mean; found from all of a model's masks as far as it is left
            out. In masks of several classes the study's foreground counts, or its classes.

    Returns:
        The records written, one per model.

    Raises:
        UserError: other data than the study's, no mask with the name of an image, or a mask of another size.
    """
    samples = study_samples(folder, data)
    parts = scored_parts(folder)
    truth = _one_meaning(folder)
    overlapping = truth.outputs.names if truth.outputs.task == "multilabel" else ()
    found, unmatched = find_masks(masks, samples.keys(), name, overlapping)
    for model in found:
        if deterministic and len(model.seeds) > 1:
            raise UserError(
                f"{masks}: {model.name} has masks of {len(model.seeds)} seeds, but a deterministic tool has "
                "only one set; omit --deterministic, or give the folder of one seed"
            )
    source = _source_of(masks)

    def same(record: ExternalRecord) -> bool:
        known = record.source if isinstance(record, MasksRecord) else None  # older records have no source
        return name is not None or known in (None, source)

    refuse_taken(folder, [each.name for each in found], "masks", same)
    made = {"place": source, "deterministic": deterministic}
    wanted = {sample_id: part for part, ids in parts.items() for sample_id in ids}
    for model in found:
        if all(wanted.keys().isdisjoint(files) for files in model.seeds.values()):
            raise UserError(
                f"{masks}: {model.name} has masks of training images only; validation and test are scored"
            )
    meanings = [meaning_of_masks(model.masks(wanted), truth, asked) for model in found]
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        tolerance = folder.study().protocol.nsd_tolerance
        job = partial(_rows, list(zip(found, meanings, strict=True)), truth, tolerance)
        rows = list(pool.map(job, [samples[sample_id] for sample_id in wanted], wanted.values()))
    return [
        _store(folder, model, [row for of_image in rows for row in of_image[place]], parts, unmatched, made)
        for place, model in enumerate(found)
    ]


@dataclass(frozen=True, slots=True)
class _Scored:
    """A mask's row of the image table, and its rows of the classes; none in binary studies."""

    image: dict[str, Any]
    classes: list[dict[str, Any]]


def _one_meaning(folder: StudyFolder) -> MaskMeaning:
    """Return the meaning of mask values in a study.

    Raises:
        UserError: the meaning is a factor of the study, so that of the masks is ambiguous.
    """
    meanings = {meaning.key: meaning for meaning in folder.study().mask_meanings()}
    if len(meanings) > 1:
        raise UserError(
            f"{folder.path}: has several foregrounds, and the masks could be for any of them; "
            "score them in a study with one foreground"
        )
    return next(iter(meanings.values()))


def _store(
    folder: StudyFolder,
    model: MaskSet,
    rows: Sequence[_Scored],
    parts: Mapping[Part, Sequence[str]],
    unmatched: Sequence[str],
    source: Mapping[str, Any],
) -> dict[str, Any]:
    data, truth = data_of(folder), _one_meaning(folder)
    table = _table([row.image for row in rows], truth.outputs)
    of_classes = [row for each in rows for row in each.classes]
    record = {
        "kind": "masks",
        "data": {"name": data.name, "fingerprint": data.fingerprint},
        "foreground": truth.foreground,
        **described_classes(truth),
        "source": source["place"],
        "deterministic": source["deterministic"],
        "nsd_tolerance": folder.study().protocol.nsd_tolerance,
        "seeds": sorted(model.seeds),
        "parts": {part: _completeness(model, ids) for part, ids in parts.items()},
        "ignored": _ignored(model, {sample_id for ids in parts.values() for sample_id in ids}),
        "strangers": first_of(unmatched),
        "scores": summarise(table, data.groups),
        **written_now(),
    }
    classes = class_table(of_classes).sort("part", "seed", "id", maintain_order=True) if of_classes else None
    folder.write_external(model.name, record, table, classes)
    return {"name": model.name, **record}


def _source_of(masks: Path) -> str:
    """Identify the folder of masks without its name: an update differs from other masks of this name."""
    return hashlib.sha256(os.fsencode(masks.resolve())).hexdigest()[:16]


def study_samples(folder: StudyFolder, data: str | Path) -> dict[str, Sample]:
    """Return the study's samples by id, read from ``data``.

    Raises:
        UserError: other data than those the study was trained on.
    """
    study, stored = folder.study(), data_of(folder)
    ids = stored.groups.keys()
    samples = {sample.id: sample for sample in read(data, study.reader).samples if sample.id in ids}
    if absent := sorted(ids - samples.keys()):
        raise UserError(
            f"{data}: is not the data set of {folder.path}: {len(absent)} of {counted(len(ids), 'sample')} "
            f"{'is' if len(absent) == 1 else 'are'} missing here (first: {absent[0]}); "
            "give the data set that study.toml names"
        )
    if fingerprint(list(samples.values())) != stored.fingerprint:
        raise UserError(
            f"{data}: has the ids of {folder.path}, but other images or masks; give the files it was trained "
            f"on, or train on these: `segstudy run {folder.path} --data {data}`"
        )
    return samples


def scored_parts(folder: StudyFolder) -> dict[Part, tuple[str, ...]]:
    """Return the ids to score: validation and test of the one split, or test of all folds.

    Raises:
        UserError: an image is in different subsets for different configurations.
    """
    splits = [each for each in folder.splits() if each.train_frac == 1]  # all others test the same
    if len(splits) == 1:
        return {"validation": tuple(splits[0].validation), "test": tuple(splits[0].test)}
    folds_of_all = len({frozenset(ids) for ids in _tested(splits).values()}) == 1
    one_rule = len({(each.split, each.fold is None) for each in splits}) == 1
    if not (splits and one_rule and folds_of_all and splits[0].fold is not None):
        raise UserError(
            f"{folder.path}: has {len(splits)} splits, and test images of one train in another; "
            "use a study with a single split or with folds"
        )
    return {"test": tuple(sorted({sample_id for each in splits for sample_id in each.test}))}


def _tested(splits: Sequence[Parts]) -> dict[int, list[str]]:
    """The images that each set of folds tests, by its ``split_seed``."""
    tested: dict[int, list[str]] = {}
    for each in splits:
        tested.setdefault(each.split_seed, []).extend(each.test)
    return tested


def _rows(
    models: Sequence[tuple[MaskSet, MaskMeaning]],
    truth_meaning: MaskMeaning,
    nsd_tolerance: float,
    sample: Sample,
    part: Part,
) -> list[list[_Scored]]:
    """Return the scores of all masks of one image: for each model, those of every seed that has a mask."""
    truth, outputs = read_mask(sample.mask, truth_meaning), truth_meaning.outputs

    def scored(seed: int, source: MaskSource, meaning: MaskMeaning) -> _Scored:
        mask = _predicted(source, meaning, truth, outputs)
        compared = compare(mask, truth, outputs, "native", nsd_tolerance)
        about = {"seed": seed, "id": sample.id, "part": part}
        classes = [] if outputs.task == "binary" else list(class_rows(about, mask, truth, compared))
        return _Scored(about | compared.mean(), classes)

    return [
        [
            scored(seed, masks[sample.id], meaning)
            for seed, masks in sorted(model.seeds.items())
            if sample.id in masks
        ]
        for model, meaning in models
    ]


def _predicted(source: MaskSource, meaning: MaskMeaning, truth: Mask, outputs: Outputs) -> Mask:
    mask: Mask = read_mask(source, meaning)
    if mask.shape != truth.shape:
        (h, w), (height, width) = mask.shape, truth.shape
        raise UserError(
            f"{first_file(source)}: {w} x {h} px, but the image has {width} x {height}; resize the mask to "
            "the image's size"
        )
    given, counted = meaning.outputs.valid(mask), outputs.valid(truth)
    if given is not None and (odd := int((~given if counted is None else ~given & counted).sum())):
        raise UserError(
            f"{first_file(source)}: ignores {odd:,} pixels that the study counts; save a class for each"
        )
    return mask


def _table(rows: Sequence[Mapping[str, Any]], outputs: Outputs) -> pl.DataFrame:
    """Return a table like a run's ``images.parquet``, with ``seed`` and ``fold``; null for unknown scores."""
    table = pl.DataFrame(rows).with_columns(
        pl.lit(None, pl.Int64).alias("fold"),
        *(pl.lit(None, pl.Float64).alias(name) for name in unknown_of_masks(outputs)),
    )
    first = ("seed", "fold", "id", "part")
    return table.select(*first, pl.exclude(*first)).sort("part", "seed", "id")


def _completeness(model: MaskSet, ids: Sequence[str]) -> dict[str, Any]:
    """Return the number of images of a subset, and for each seed the ids without a mask."""
    missing = {seed: sorted(set(ids) - files.keys()) for seed, files in sorted(model.seeds.items())}
    return {
        "num_images": len(ids),
        "missing": {str(seed): absent for seed, absent in missing.items() if absent},
    }


def _ignored(model: MaskSet, wanted: Collection[str]) -> dict[str, Any]:
    """Return the masks of images that are in no scored subset: mostly those of training."""
    return first_of(
        sorted({sample_id for files in model.seeds.values() for sample_id in files} - set(wanted))
    )
