"""A study folder as training leaves it, with made-up runs: scores, curves and masks, but no network."""

import hashlib
import io
import itertools
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from PIL import Image

from segstudy.config.runs import Configuration, Run, configuration_names
from segstudy.config.study import Study
from segstudy.config.study_file import dump, relative
from segstudy.core.sums import title
from segstudy.data.split import Split
from segstudy.store.folder import StudyFolder
from segstudy.store.run_records import RECORD_SEAL, seal
from segstudy.store.weights import model_files

SIZE_PX = (24, 40)  # of every image; the networks' are 32 x 32
DATA = "0123456789abcdef"  # fingerprint
HARDWARE = {"torch": "2.13.0", "device": "cpu", "threads": 1}
PARTS = {"train": 4, "validation": 5, "test": 9}
METRICS = (
    "iou",
    "dice",
    "precision",
    "recall",
    "specificity",
    "accuracy",
    "thresholded_jaccard",
    "iou_tuned",
)
NATIVE_ONLY = ("hd95_px", "asd_px", "hd95_frac", "asd_frac", "nsd", "ece", "brier")


def make_study(
    path: Path,
    architectures: tuple[str, ...] = ("segnet", "unet"),
    losses: tuple[str, ...] = ("bce", "dice"),
    *,
    ids: str = "image{:02}",
    **fields,
) -> StudyFolder:
    """A folder with ``study.toml``, ``split.json``, ``data.json`` and ``thumbnails.parquet``, and no run yet.

    `factors` are further ones of the grid, ``grids`` further grids; other
    `fields` go to `Study` (``seeds``, ``folds``, ``data``) or, where they are its fields, to its protocol.
    """
    own = ("record_test", "epochs", "classes", "ignore", "channels")
    protocol = {name: fields.pop(name) for name in own if name in fields}
    grid = {
        "architecture": list(architectures),
        "loss": list(losses),
        "batch_size": fields.pop("batch_size", [8]),
        **fields.pop("factors", {}),
    }
    grids = [grid, *fields.pop("grids", [])]
    study = Study.model_validate(
        {
            "name": "fake",
            "data": str(path.parent / "pictures"),
            "protocol": {"image_size": 32, "width": 2, "epochs": 3, **protocol},
            "grid": grids,
            **fields,
        }
    )
    folder = StudyFolder(path)
    folder.create()
    (path / "study.toml").write_text(dump(study, path), encoding="utf-8")
    parts = sample_ids(ids)
    splits = [
        {"split": "auto", "split_seed": 0, "fold": fold, **sample_ids(ids, fold or 0)}
        for fold in study.fold_numbers()
    ]
    folder.write_json("split.json", {"splits": splits})
    samples = [
        {"id": i, "group": i, "category": ("nevus", "melanoma")[n % 2], "part": None}
        for n, i in enumerate(itertools.chain.from_iterable(parts.values()))
    ]
    versions = {
        factor: {
            relative(str(level), path): version_of(str(level))
            for each in folder.study().grid
            for level in each[factor]
        }
        for factor in ("architecture", "loss")
    }
    folder.write_json("numerics.json", {**versions, "preprocessing": 1, "training": 1, "augmentation": 1})
    folder.write_json(
        "data.json",
        {
            "name": "pictures",
            "reader": "folder",
            "fingerprint": DATA,
            "terms": "",
            "citation": "",
            "samples": samples,
            "findings": [],
        },
    )
    write_thumbnails(folder, parts["test"])
    return folder


def sample_ids(form: str = "image{:02}", fold: int = 0) -> dict[str, list[str]]:
    """Ids by part; a fold swaps its number of samples between training and validation."""
    count = sum(PARTS.values())
    ids = iter(
        [
            *range(PARTS["train"], PARTS["train"] + fold),
            *range(PARTS["train"]),
            *range(PARTS["train"] + fold, count),
        ]
    )
    return {part: [form.format(next(ids)) for _ in range(count)] for part, count in PARTS.items()}


def write_thumbnails(folder: StudyFolder, ids: list[str]) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {
            "id": i,
            "height": SIZE_PX[0],
            "width": SIZE_PX[1],
            "image": encoded(rng.integers(0, 256, (*SIZE_PX, 3), np.uint8), "JPEG"),
            "mask": encoded(np.uint8(255) * disc(*SIZE_PX, 8), "PNG"),
        }
        for i in ids
    ]
    pl.DataFrame(rows).write_parquet(folder.path / "thumbnails.parquet")


def disc(height: int, width: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - height / 2, x - width / 2) < radius


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def _session(after_epoch: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"after_epoch": after_epoch, "environment": HARDWARE | fields}


def finish(
    folder: StudyFolder,
    name: str,
    validation: float,
    test: float,
    *,
    seed: int = 0,
    fold: int | None = None,
    ids: str | None = None,
    parts: dict[str, list[str]] | None = None,
    data: str = DATA,
    version: int = 1,
    started: str = "2026-01-01T00:00:00+00:00",
    noise: float = 0.0,
    hardware: Mapping[str, Any] | None = None,
    resumed: Sequence[tuple[int, Mapping[str, Any]]] = (),
) -> str:
    """Store a run of the configuration of this name with these mean IoUs; returns its key.

    With `noise` every image's score moves by a draw of that standard deviation, another one in every run.
    `parts` are the ids of each part, where they are neither those of ``sample_ids(ids)`` nor of
    ``split.json``; `version` is that of the training loop, 1 by ``numerics.json``.
    `hardware` changes fields of its environment; `resumed` are its earlier sessions, each with the epoch
    after which it ended and with fields of its environment.
    """
    configuration = configuration_of(folder, name)
    parts = parts or (sample_ids(ids) if ids else stored_parts(folder, fold))
    run = run_of(configuration, seed, fold, parts, data, version)
    key, drawn = run.key, f"{zlib.crc32(repr((name, seed, fold, data, started)).encode()):016x}"
    images = {
        part: scores(part, parts, mean, noise, zlib.crc32(f"{drawn}{part}".encode()))
        for part, mean in (("validation", validation), ("test", test))
    }
    means = {part: {c: rows[c].mean() for c in rows.columns[2:]} for part, rows in images.items()}
    summary = {"selected_epoch": 2, "tuned_threshold": 0.5, "scores": means}
    folder.write_run(
        key,
        {
            "name": name,
            **identity(configuration, seed, fold),
            "summary": summary,
            "description": run.description(),
            "num_parameters": 1234567,
            "started": started,
            "seconds": {"total": 60.0 + seed},
            "cost": {"num_macs": 2_000_000, "inference_ms": 1.5, "peak_memory_bytes": 500_000_000},
            "environment": HARDWARE | (hardware or {}),
            **({"resumed": [_session(*each) for each in resumed]} if resumed else {}),
        },
        {
            "epochs": curves(
                validation, test, configuration.protocol.epochs, configuration.protocol.record_test
            ),
            "images": pl.concat(images.values()),
            "predictions": predictions(parts),
        },
        model_files({"w": torch.zeros(1)}, {"key": key, "training": run.description(), **summary}),
    )
    return key


def rewrite(file: Path, table: pl.DataFrame) -> None:
    """Replace a table of a run as if it had been written so: with its checksum."""
    table.write_parquet(file)
    record = json.loads((file.parent / "run.json").read_text())
    record["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    record[RECORD_SEAL] = seal(record)
    (file.parent / "run.json").write_text(json.dumps(record))


def fail(
    folder: StudyFolder, name: str, *, seed: int = 0, fold: int | None = None, version: int = 1, **said: str
) -> None:
    """Write down that a run of this configuration failed, on the parts of ``split.json``."""
    described = {"reason": "diverged", "detail": "the loss is nan", "remedy": "lower lr", "log": "", **said}
    configuration = configuration_of(folder, name)
    run = run_of(configuration, seed, fold, stored_parts(folder, fold), version=version)
    folder.write_failure(run.key, {"name": name, **identity(configuration, seed, fold), **described})


def masks(
    folder, name: str, mean: float, missing: dict[str, list[str]], seeds: tuple[int, ...] = (0,)
) -> None:
    """Masks of another tool, as `segstudy score` stores them."""
    parts = sample_ids()
    images = pl.concat(
        scores(part, parts, mean, 0.01, seed).with_columns(seed=pl.lit(seed))
        for part in ("validation", "test")
        for seed in seeds
    )
    gone = [(int(seed), each) for seed, ids in missing.items() for each in ids]
    for seed, each in gone:
        images = images.filter(~((pl.col("seed") == seed) & (pl.col("id") == each)))
    about = {"kind": "masks", "seeds": list(seeds), "parts": {"test": {"missing": missing}}}
    folder.write_external(name, about, images)


def stored_parts(folder: StudyFolder, fold: int | None) -> dict[str, list[str]]:
    """The ids of each part, by ``split.json``."""
    split = next(each for each in folder.splits() if each.fold == fold)
    return {part: getattr(split, part) for part in PARTS}


def run_of(
    configuration: Configuration,
    seed: int,
    fold: int | None,
    parts: Mapping[str, Sequence[str]],
    data: str = DATA,
    version: int = 1,
) -> Run:
    """A run with the key that it has in a real study."""
    components = {f: version_of(configuration.level(f)) for f in ("architecture", "loss")}
    numerics = {**components, "preprocessing": 1, "training": version}
    split = Split(*(tuple(parts[part]) for part in PARTS)).fingerprint
    return Run(configuration=configuration, seed=seed, fold=fold, data=data, split=split, numerics=numerics)


def version_of(component: str) -> int | str:
    """1 of ours; a hash of its place for a user's file, which need not be there."""
    return hashlib.sha256(component.encode()).hexdigest() if ".py:" in component else 1


def configuration_of(folder: StudyFolder, name: str) -> Configuration:
    configurations = folder.study().configurations()
    return configurations[configuration_names(configurations).index(name)]


def identity(configuration: Configuration, seed: int, fold: int | None) -> dict:
    return {
        "architecture": title(configuration.architecture),
        "loss": title(configuration.loss),
        "protocol": configuration.protocol.model_dump(mode="json"),
        "seed": seed,
        "fold": fold,
    }


def curves(validation: float, test: float, epochs: int, record_test: bool) -> pl.DataFrame:
    """Curves that rise to the scores."""
    epoch = np.arange(1, epochs + 1)
    columns = {"epoch": epoch, "lr": np.full(epochs, 1e-3)}
    for part, score in {"train": 0.9, "validation": validation, "test": test}.items():
        if part != "test" or record_test:
            columns |= {f"{part}_loss": 1 - score * epoch / epochs, f"{part}_iou": score * epoch / epochs}
    return pl.DataFrame(columns)


def scores(
    part: str, parts: dict[str, list[str]], mean: float, noise: float = 0.0, seed: int = 0
) -> pl.DataFrame:
    """Rows of one part; IoU rises from image to image, around its mean."""
    count = len(parts[part])
    around = mean + np.linspace(-0.05, 0.05, count) + noise * np.random.default_rng(seed).normal(size=count)
    columns = {f"{resolution}_{metric}": around for resolution in ("network", "native") for metric in METRICS}
    columns |= {f"native_{metric}": 1 - around for metric in NATIVE_ONLY}
    return pl.DataFrame({"id": parts[part], "part": part, **columns})


def predictions(parts: dict[str, list[str]]) -> pl.DataFrame:
    """A disc for every image of validation and test."""
    ids = [(i, part) for part in ("validation", "test") for i in parts[part]]
    prob = encoded(np.uint8(255) * disc(32, 32, 9), "PNG")
    return pl.DataFrame([{"id": i, "part": part, "prob": prob} for i, part in ids])
