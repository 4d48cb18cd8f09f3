"""A study folder with many runs, made up in seconds: for what must stay quick when a study grows.

`python tests/big_store.py DIR` writes one of 1,000 runs x 500 images.
"""

import json
import sys
from pathlib import Path

import fake_study
import numpy as np
import polars as pl

from segstudy.config.runs import configuration_names
from segstudy.store.folder import StudyFolder

ARCHITECTURES = ("segnet", "unet", "unet2", "dilated_unet")
LOSSES = ("bce", "focal", "dice", "tversky", "combo")
SCORED = ("validation", "test")
NATIVE_ONLY = ("hd95_px", "asd_px", "hd95_frac", "asd_frac", "nsd", "ece", "brier")


def make_big_store(
    path: Path,
    *,
    seeds: int = 10,
    batch_sizes: int = 5,
    images: int = 250,
    architectures: tuple[str, ...] = ARCHITECTURES,
) -> StudyFolder:
    """A study of 20 configurations per batch size, all finished; ``images`` in each of its three parts.

    Files are written as they are, without the checksums and flushes by which a real run is safe: for a
    thousand runs those take minutes, and they change nothing for a reader.
    """
    folder = fake_study.make_study(
        path,
        architectures,
        LOSSES,
        seeds=seeds,
        epochs=60,
        batch_size=[4 * (n + 1) for n in range(batch_sizes)],
    )
    parts = {part: [f"{part}{n:04}" for n in range(images)] for part in ("train", *SCORED)}
    _say_parts(folder, parts)
    fake_study.predictions(parts).write_parquet(path / "predictions.parquet")
    rng = np.random.default_rng(0)
    difficulty = {part: rng.normal(0, 0.1, images) for part in SCORED}
    configurations = folder.study().configurations()
    for name, configuration in zip(configuration_names(configurations), configurations, strict=True):
        level = rng.uniform(0.7, 0.85)
        for seed in range(seeds):
            planned = fake_study.run_of(configuration, seed, None, parts)
            run = folder.runs / planned.key
            run.mkdir()
            mean = level + rng.normal(0, 0.01)
            pl.concat(
                [_scores(part, parts[part], mean + difficulty[part], rng) for part in SCORED]
            ).write_parquet(run / "images.parquet")
            _epochs(mean, rng).write_parquet(run / "epochs.parquet")
            (run / "predictions.parquet").hardlink_to(path / "predictions.parquet")
            described = {
                **fake_study.identity(configuration, seed, None),
                "description": planned.description(),
            }
            record = _record(name, described, mean)
            (run / "run.json").write_text(json.dumps({"key": run.name, **record}), encoding="utf-8")
    return folder


def _say_parts(folder: StudyFolder, parts: dict[str, list[str]]) -> None:
    folder.write_json("split.json", {"splits": [{"split": "auto", "split_seed": 0, "fold": None, **parts}]})
    ids = [i for part in parts.values() for i in part]
    samples = [{"id": i, "group": i, "category": "nevus", "part": None} for i in ids]
    folder.write_json(
        "data.json", {**json.loads((folder.path / "data.json").read_text()), "samples": samples}
    )
    fake_study.write_thumbnails(folder, parts["test"])


def _scores(part: str, ids: list[str], means: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    score = np.clip(means + rng.normal(0, 0.05, len(ids)), 0, 1)
    columns = {f"{size}_{metric}": score for size in ("network", "native") for metric in fake_study.METRICS}
    columns |= {f"native_{metric}": 1 - score for metric in NATIVE_ONLY}
    return pl.DataFrame({"id": ids, "part": part, **columns})


def _epochs(mean: float, rng: np.random.Generator) -> pl.DataFrame:
    table = fake_study.curves(mean, mean - 0.02, 60, record_test=True)
    noise = pl.Series(rng.normal(0, 0.01, table.height))
    return table.with_columns(pl.col("^.*_(loss|iou)$") + noise)


def _record(name: str, described: dict, mean: float) -> dict:
    return {
        "format": 1,
        "name": name,
        **described,
        "summary": {"selected_epoch": 40, "tuned_threshold": 0.5, "scores": {}},
        "num_parameters": 1_000_000 + len(name),
        "cost": {"num_macs": 10**9, "inference_ms": 2.5 + mean, "peak_memory_bytes": 3 * 10**8},
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": {"total": 60.0 + mean},
        "environment": {"torch": "2.13.0", "device": "cpu", "threads": 1},
    }


if __name__ == "__main__":
    make_big_store(Path(sys.argv[1]))
