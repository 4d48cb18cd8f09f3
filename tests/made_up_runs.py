"""An executor that trains nothing: it stores runs with made-up scores, which depend on their keys alone."""

import os
import signal
import zlib
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import torch
from fake_study import METRICS, NATIVE_ONLY, curves, identity, predictions

from segstudy.store.folder import StudyFolder
from segstudy.store.weights import model_files
from segstudy.training.executors.base import Watch
from segstudy.training.job import Job, Outcome

IMAGE_SD, RESIDUAL_SD = 0.05, 0.01


class MadeUp:
    """Stores runs with these mean IoUs, by configuration; counts them.

    Attributes:
        means: of each configuration; a name that is missing fails.
        seed_sd: of the runs of a configuration.
        killed_after: raise after so many runs; None for never.
        interrupted_after: send Ctrl-C to this process after so many runs.
        trained: keys of the runs that were stored.
    """

    def __init__(self, means: Mapping[str, float], seed_sd: float = 0.005):
        self.means, self.seed_sd = dict(means), seed_sd
        self.killed_after: int | None = None
        self.interrupted_after: int | None = None
        self.trained: list[str] = []

    def patch(self, monkeypatch) -> "MadeUp":
        record = SimpleNamespace(train=self.train)
        monkeypatch.setattr("segstudy.study.run.executor_named", lambda _name: record)
        return self

    def train(
        self, jobs: Sequence[Job], _workers: int, watch: Watch, _options: Mapping[str, Any]
    ) -> Iterator[Outcome]:
        for job in jobs:
            if watch.stop.is_set():
                return
            if len(self.trained) == self.killed_after:
                raise KilledError
            if len(self.trained) == self.interrupted_after:
                os.kill(os.getpid(), signal.SIGINT)
                return
            watch.begin(job)
            if job.name not in self.means:
                yield fail(job)
                continue
            store(job, self.means[job.name], self.seed_sd)
            self.trained.append(job.run.key)
            yield Outcome(key=job.run.key, status="finished")


class KilledError(Exception):
    """Stands for a process that is gone."""


def fail(job: Job) -> Outcome:
    said = {"reason": "diverged", "detail": "the loss is nan", "remedy": "lower lr", "log": ""}
    run = job.run
    described = {"name": job.name, **identity(run.configuration, run.seed, run.fold), **said}
    StudyFolder(job.study).write_failure(run.key, described)
    return Outcome(key=run.key, status="failed", reason="diverged", detail="the loss is nan")


def store(job: Job, mean: float, seed_sd: float) -> None:
    """Store a run whose scores are those of its configuration, its seed and its images."""
    run = job.run
    effect = np.random.default_rng(zlib.crc32(run.key.encode())).normal(0, seed_sd)
    parts = {"validation": list(job.split.validation), "test": list(job.split.test)}
    images = {part: scores(part, ids, mean + effect, run.key) for part, ids in parts.items()}
    means = {part: {c: rows[c].mean() for c in rows.columns[2:]} for part, rows in images.items()}
    StudyFolder(job.study).write_run(
        run.key,
        {
            "name": job.name,
            **identity(run.configuration, run.seed, run.fold),
            "summary": {"selected_epoch": 2, "tuned_threshold": 0.5, "scores": means},
            "description": run.description(),
            "num_parameters": 1234567,
            "started": f"2026-01-01T00:00:{run.seed:02}+00:00",
            "seconds": {"total": 60.0},
            "cost": {"num_macs": 2_000_000, "inference_ms": 1.5, "peak_memory_bytes": 500_000_000},
            "environment": {"torch": "2.13.0", "device": "cpu", "threads": 1},
        },
        {
            "epochs": curves(mean, mean, 2, False),
            "images": pl.concat(images.values()),
            "predictions": predictions(parts),
        },
        model_files({"w": torch.zeros(1)}, {"key": run.key}),
    )


def scores(part: str, ids: Sequence[str], mean: float, key: str) -> pl.DataFrame:
    """Rows of one part: images have an effect of their own, the same in every run."""
    images = [np.random.default_rng(zlib.crc32(each.encode())).normal(0, IMAGE_SD) for each in ids]
    residual = np.random.default_rng(zlib.crc32(f"{key}{part}".encode())).normal(0, RESIDUAL_SD, len(ids))
    found = (mean + np.array(images) + residual).clip(0, 1)
    columns = {f"{size}_{metric}": found for size in ("network", "native") for metric in METRICS}
    columns |= {f"native_{metric}": 1 - found for metric in NATIVE_ONLY}
    return pl.DataFrame({"id": list(ids), "part": part, **columns})
