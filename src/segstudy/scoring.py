"""Masks that any other tool made, scored on a study's images with the study's own metrics."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.table import Table

from segstudy.config import configuration_names
from segstudy.data import read
from segstudy.data.prepared import fingerprint
from segstudy.data.samples import Part, Sample
from segstudy.environment import environment
from segstudy.errors import UserError
from segstudy.evaluation import mask_columns
from segstudy.images import ImageError, read_mask
from segstudy.maskfolders import MaskSet, find_masks
from segstudy.metrics import METRICS, Mask
from segstudy.plaintext import as_text
from segstudy.resources import allowed_cores
from segstudy.stats import by_group, score_interval
from segstudy.store import StudyFolder, folder_name

NAMED = 5  # ids that a message or record shows of many
# What a mask does not tell: nothing was computed at network size, and there are no probabilities.
UNKNOWN = (
    *(f"network_{name}" for name in METRICS),
    *("network_iou_tuned", "native_iou_tuned", "native_ece", "native_brier"),
)


@dataclass(frozen=True, slots=True)
class HumanReference:
    """How well people agree with one another where the study's networks agree with one person.

    Attributes:
        iou: mean per-image IoU between two people's masks.
        source: of whom, and who measured it.
    """

    iou: float
    source: str


SKIN_LESIONS = (
    HumanReference(0.786, "ISIC-2016, three experts"),
    HumanReference(0.683, "IMA++, 3,103 pairs of masks of one image (arXiv:2508.09381)"),
)
HUMAN_REFERENCES: dict[str, tuple[HumanReference, ...]] = {"ph2": SKIN_LESIONS, "isic": SKIN_LESIONS}


def human_references(reader: str) -> tuple[HumanReference, ...]:
    """What is known of people's agreement on the kind of data that a reader reads; often nothing."""
    return HUMAN_REFERENCES.get(reader, ())


Score = dict[str, float | None]
Same = Callable[[Mapping[str, Any]], bool]


def score_masks(
    data: str | Path,
    masks: Path,
    folder: StudyFolder,
    name: str | None = None,
    deterministic: bool = False,
) -> list[dict[str, Any]]:
    """Score masks on a study's validation and test images and store them as ``external/<name>/``.

    A study with folds tests every image once; the masks are then taken for out-of-fold predictions, and
    there is no validation part: its scores would be those of the test.

    Args:
        data: the study's data set, wherever it lies now.
        masks: one mask per image, named by its id; in folders, one per model, and in those one per seed.
        folder: the study's.
        name: of the model, where there is one only; else folders' names are taken.
        deterministic: the tool gives the same masks every time, so that one set of them is all there is.

    Returns:
        The records written, one per model.

    Raises:
        UserError: other data than the study's, no mask that fits, or one of another size than its image.
    """
    samples = study_samples(folder, data)
    parts = scored_parts(folder)
    found, strangers = find_masks(masks, samples.keys(), name)
    for model in found:
        if deterministic and len(model.seeds) > 1:
            raise UserError(
                f"{masks}: {model.name} has masks of {len(model.seeds)} seeds, and a deterministic tool has "
                "one set of them; leave --deterministic out, or give the folder of one seed"
            )
    source = _source_of(masks)
    same = (lambda _: True) if name else lambda record: record.get("source", source) == source
    refuse_taken(folder, [each.name for each in found], "masks", same)
    made = {"place": source, "deterministic": deterministic}
    wanted = {sample_id: part for part, ids in parts.items() for sample_id in ids}
    for model in found:
        if all(wanted.keys().isdisjoint(files) for files in model.seeds.values()):
            raise UserError(
                f"{masks}: {model.name} has masks of training images only; validation and test are scored"
            )
    foreground = _one_foreground(folder)
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        job = partial(_rows, found, foreground)
        rows = list(pool.map(job, [samples[sample_id] for sample_id in wanted], wanted.values()))
    return [
        _store(folder, model, [row for of_image in rows for row in of_image[place]], parts, strangers, made)
        for place, model in enumerate(found)
    ]


def _one_foreground(folder: StudyFolder) -> tuple[int, ...] | None:
    """The classes that count as foreground in a study.

    Raises:
        UserError: the study varies them, so that masks could be meant for any.
    """
    foregrounds = folder.study().foregrounds()
    if len(foregrounds) > 1:
        raise UserError(
            f"{folder.path}: varies foreground, and masks could be meant for any of its values; "
            "score them in a study of one foreground"
        )
    return foregrounds[0]


def _store(
    folder: StudyFolder,
    model: MaskSet,
    rows: Sequence[Mapping[str, Any]],
    parts: Mapping[Part, Sequence[str]],
    strangers: Sequence[str],
    source: Mapping[str, Any],
) -> dict[str, Any]:
    data, table = folder.read_json("data.json"), _table(rows)
    record = {
        "kind": "masks",
        "data": {"name": data["name"], "fingerprint": data["fingerprint"]},
        "foreground": _one_foreground(folder),
        "source": source["place"],
        "deterministic": source["deterministic"],
        "seeds": sorted(model.seeds),
        "parts": {part: _completeness(model, ids) for part, ids in parts.items()},
        "ignored": _ignored(model, {sample_id for ids in parts.values() for sample_id in ids}),
        "strangers": _some(strangers),
        "scores": summarise(table, {sample["id"]: sample["group"] for sample in data["samples"]}),
        **written_now(),
    }
    folder.write_external(model.name, record, table)
    return {"name": model.name, **record}


def _source_of(masks: Path) -> str:
    """Which folder masks came from, without its name: tells an update from other masks called alike."""
    return hashlib.sha256(os.fsencode(masks.resolve())).hexdigest()[:16]


def written_now(device: str = "cpu") -> dict[str, Any]:
    """When and where a record is written."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"when": now, "environment": environment(device, torch.get_num_threads())}


def study_samples(folder: StudyFolder, data: str | Path) -> dict[str, Sample]:
    """The study's samples by id, as they lie in ``data``.

    Raises:
        UserError: other data than those the study was trained on.
    """
    study, stored = folder.study(), folder.read_json("data.json")
    if stored is None:
        raise UserError(f"{folder.path}: data.json is missing; `segstudy run {folder.path}` writes it again")
    ids = {sample["id"] for sample in stored["samples"]}
    samples = {sample.id: sample for sample in read(data, study.reader).samples if sample.id in ids}
    if absent := sorted(ids - samples.keys()):
        raise UserError(
            f"{data}: not the data of {folder.path}, {len(absent)} of whose {len(ids)} samples are not there "
            f"(first: {absent[0]}); give the data set that study.toml names"
        )
    if fingerprint(list(samples.values())) != stored["fingerprint"]:
        raise UserError(
            f"{data}: has the ids of {folder.path}, but other images or masks; give the files it was trained "
            f"on, or train on these: `segstudy run {folder.path} --data {data}`"
        )
    return samples


def scored_parts(folder: StudyFolder) -> dict[Part, tuple[str, ...]]:
    """The ids to be scored: validation and test of the one split, or test of all folds.

    Raises:
        UserError: when an image is in different parts for different configurations.
    """
    splits = (folder.read_json("split.json") or {"splits": []})["splits"]
    if len(splits) == 1:
        return {"validation": tuple(splits[0]["validation"]), "test": tuple(splits[0]["test"])}
    if not splits or len({(each["split"], each["split_seed"]) for each in splits}) > 1:
        raise UserError(
            f"{folder.path}: holds {len(splits)} splits, and a test image of one is trained on in another; "
            "score against a study with a single split or with folds"
        )
    return {"test": tuple(sorted(sample_id for each in splits for sample_id in each["test"]))}


def refuse_taken(folder: StudyFolder, names: Sequence[str], kind: str, same: Same = lambda _: True) -> None:
    """Stop before something is taken for a configuration, or replaces what is something else.

    Args:
        folder: the study's.
        names: of what is to be stored.
        kind: what it is, ``masks`` or ``evaluation``.
        same: whether a record of this kind and one of these names is an earlier one of the same.

    Raises:
        UserError: with the name that is taken.
    """
    there = {place_of(each): record for each, record in folder.external_records().items()}
    configurations = {*configuration_names(folder.study().configurations())}
    for name in names:
        found = there.get(place_of(folder_name(name)))
        other = found is not None and (found["name"] != name or found["kind"] != kind or not same(found))
        if name in configurations or other:
            raise UserError(f"{folder.path}: something else is called {name} there; choose another --name")
    if len({place_of(folder_name(name)) for name in names}) < len(names):
        raise UserError(f"{', '.join(names)}: too alike for names of folders; rename one")


def place_of(folder: str) -> str:
    """A folder's name where a file system tells neither case nor the spelling of accents apart."""
    return unicodedata.normalize("NFC", folder).casefold()


def _rows(
    models: Sequence[MaskSet], foreground: tuple[int, ...] | None, sample: Sample, part: Part
) -> list[list[dict[str, Any]]]:
    """What each model's masks of one image are worth: for each model, a row per seed that has one."""
    truth = read_mask(sample.mask, foreground)
    return [
        [
            {
                "seed": seed,
                "id": sample.id,
                "part": part,
                **mask_columns(_predicted(files[sample.id], truth), truth),
            }
            for seed, files in sorted(model.seeds.items())
            if sample.id in files
        ]
        for model in models
    ]


def _predicted(file: Path, truth: Mask) -> Mask:
    try:
        mask = read_mask(file)
    except ImageError as error:
        if error.kind != "multi-class":
            raise
        raise UserError(
            f"{file}: a mask of several classes; save the foreground alone, as 0 and 255"
        ) from None
    if mask.shape != truth.shape:
        (h, w), (height, width) = mask.shape, truth.shape
        raise UserError(
            f"{file}: {w} x {h} px, but the image has {width} x {height}; bring masks to the image's own size"
        )
    return mask


def _table(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """As a run's ``images.parquet``, with ``seed`` and ``fold``; null where a mask does not tell."""
    table = pl.DataFrame(rows).with_columns(
        pl.lit(None, pl.Int64).alias("fold"), *(pl.lit(None, pl.Float64).alias(name) for name in UNKNOWN)
    )
    first = ("seed", "fold", "id", "part")
    return table.select(*first, pl.exclude(*first)).sort("part", "seed", "id")


def _completeness(model: MaskSet, ids: Sequence[str]) -> dict[str, Any]:
    """How many images a part has, and for each seed the ids without a mask."""
    missing = {seed: sorted(set(ids) - files.keys()) for seed, files in sorted(model.seeds.items())}
    return {
        "num_images": len(ids),
        "missing": {str(seed): absent for seed, absent in missing.items() if absent},
    }


def _ignored(model: MaskSet, wanted: Collection[str]) -> dict[str, Any]:
    """Masks of images that are in no scored part: those of training, mostly."""
    return _some(sorted({sample_id for files in model.seeds.values() for sample_id in files} - set(wanted)))


def _some(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "first": list(names[:NAMED])}


def summarise(table: pl.DataFrame, groups: Mapping[str, str]) -> dict[str, dict[str, Score]]:
    """Mean of every native metric, part by part, with its 95 % interval over images (and trainings).

    Args:
        table: ``seed``, ``id``, ``part`` and metrics; the folds of a seed are averaged image by image.
        groups: of each sample.

    Returns:
        By part and metric ``mean``, ``low`` and ``high``; metrics nobody measured are left out. No interval
        where the seeds lack different images.
    """
    metrics = [name for name in table.columns if name.startswith("native_") and not table[name].null_count()]
    joined = table.group_by("part", "seed", "id").agg(pl.col(metrics).mean()).sort("part", "seed", "id")
    return {
        str(part): {name.removeprefix("native_"): _score(rows, name, groups) for name in metrics}
        for (part,), rows in joined.group_by("part", maintain_order=True)
    }


def _score(rows: pl.DataFrame, metric: str, groups: Mapping[str, str]) -> Score:
    num_seeds, ids = rows["seed"].n_unique(), rows["id"].unique(maintain_order=True)
    if rows.height != num_seeds * len(ids):
        return {"mean": float(rows[metric].mean()), "low": None, "high": None}  # type: ignore[arg-type]
    scores = rows[metric].to_numpy().reshape(num_seeds, -1)
    units = by_group(scores, [groups.get(each, each) for each in ids])
    interval = score_interval(units, np.inf if metric.endswith("_px") else 1.0)
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def scores_text(records: Sequence[Mapping[str, Any]]) -> str:
    """What ``score_masks`` found: a table, what is missing, and what the intervals hold."""
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "IoU validation", "IoU test", "Dice test", "HD95 test", "images", "trainings"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for record in records:
        validation, test = (record["scores"].get(part, {}) for part in ("validation", "test"))
        table.add_row(
            record["name"],
            score_text(validation.get("iou"), ".3f"),
            score_text(test.get("iou"), ".3f"),
            score_text(test.get("dice"), ".3f"),
            score_text(test.get("hd95_px"), ".1f"),
            ", ".join(_count_text(part, found) for part, found in record["parts"].items()),
            str(len(record["seeds"])),
        )
    notes = [note for record in records for note in _notes(record)]
    strangers = records[0]["strangers"]
    if strangers["count"]:
        notes.append(f"ignored, as called after no image: {_names_text(strangers)}")
    trainings = {len(record["seeds"]) for record in records}
    if all(record.get("deterministic") for record in records):
        said = "Means per image at native size; in brackets 95 % intervals over images: deterministic masks."
        return "\n".join([as_text(table), said, *notes])
    return "\n".join([as_text(table), intervals_text(trainings), *notes])


def _count_text(part: str, found: Mapping[str, Any]) -> str:
    most = max((len(ids) for ids in found["missing"].values()), default=0)
    of = f"{found['num_images'] - most} of " if most else ""
    return f"{of}{found['num_images']} {part}"


def _notes(record: Mapping[str, Any]) -> list[str]:
    """Which masks are missing, and which were not used."""
    notes = []
    for part, found in record["parts"].items():
        for seed, ids in found["missing"].items():
            of = f", seed {seed}" if len(record["seeds"]) > 1 else ""
            notes.append(
                f"{record['name']}{of}: no mask for {_names_text(_some(ids))} ({part}), so it cannot win"
            )
    if record["ignored"]["count"]:
        count = record["ignored"]["count"]
        notes.append(
            f"{record['name']}: {count} masks of other images ignored: {_names_text(record['ignored'])}"
        )
    return notes


def _names_text(some: Mapping[str, Any]) -> str:
    """A few names and how many more there are."""
    more = some["count"] - len(some["first"])
    return ", ".join(some["first"]) + (f" and {more} more" if more else "")


def score_text(score: Score | None, form: str) -> str:
    """A mean and its interval; a dash for what was not measured."""
    if score is None:
        return "–"
    if score["low"] is None or score["high"] is None:
        return format(score["mean"], form)
    return f"{score['mean']:{form}} [{score['low']:{form}}, {score['high']:{form}}]"


def intervals_text(num_trainings: Collection[int]) -> str:
    """What the intervals in brackets hold, for models with so many trainings."""
    over = "images only, training noise not measured"
    if max(num_trainings) > 1:
        over = f"images and trainings (with one: {over})" if 1 in num_trainings else "images and trainings"
    return f"Means per image at native size; in brackets the 95 % interval over {over}."
