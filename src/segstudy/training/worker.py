"""One job in: trained and stored, or what went wrong written down."""

import errno
import pkgutil
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import psutil
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segstudy.config.runs import Run
from segstudy.core.allocator import keep_memory
from segstudy.core.atomic_files import DiskError
from segstudy.core.device import peak_memory, reproducible, reset_peak_memory
from segstudy.core.environment import environment
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.core.registry import title
from segstudy.data.prepared import open_prepared
from segstudy.losses import resolve_loss
from segstudy.metrics import METRICS
from segstudy.models import build, resolve_architecture
from segstudy.store.extra_files import Trained
from segstudy.store.folder import StudyFolder
from segstudy.store.weights import model_files
from segstudy.training.failures import SourceChangedError, reason_of, remedy
from segstudy.training.job import Job, Listener, Outcome
from segstudy.training.loop import DivergedError, Result, Training, begin, epochs, finish, timed
from segstudy.training.resume import Session, resumed

LOCK_WAIT_S = 30.0  # a worker whose caller died holds its run's lock until it has noticed


def execute(job: Job, listener: Listener) -> Outcome:
    """Train and store one run; whatever goes wrong becomes a failure in the study's folder."""
    folder, key = StudyFolder(job.study), job.run.key
    try:
        with hold(folder.run_lock(key), f"run {key}", LOCK_WAIT_S), reproducible(job.threads):
            # Whoever held the lock before may have finished it.
            done = folder.is_finished(key) or _train_and_store(job, listener)
    except Exception as error:  # a run may fail in any way; the rest of the study goes on
        reason, detail, log = reason_of(error), str(error), ""
        if job.device == "cuda":
            torch.cuda.empty_cache()  # the next run finds what this one held
        if reason == "diverged":  # from the saved states it would only diverge again
            folder.checkpoints(key).clear()
        if not isinstance(error, UserError | DivergedError):
            detail, log = f"{type(error).__name__}: {error}", traceback.format_exc()
        return failure(job, reason, detail, log)
    return Outcome(key=key, status="finished" if done else "stopped")


def _train_and_store(job: Job, listener: Listener) -> bool:
    """Train from the last saved epoch on and store the result; False when asked to stop before the last."""
    keep_memory()
    started, clock = datetime.now(UTC), time.perf_counter()
    _refuse_changed_source(job.run)
    reset_peak_memory(job.device)
    prepared = open_prepared(job.prepared)
    training, saving = resumed(
        lambda: begin(job.run, prepared, job.split, torch.device(job.device)),
        StudyFolder(job.study).checkpoints(job.run.key),
        environment(job.device, job.threads),
        listener.say,
    )
    _refuse_full_disk(job, training)
    earlier_s = training.seconds.get("total", 0.0)
    with saving:
        for row in epochs(training):
            listener.epoch({**row, "session_s": time.perf_counter() - clock})
            stopping, last = listener.stop.is_set(), len(training.rows) == training.num_epochs
            training.seconds["total"] = earlier_s + time.perf_counter() - clock
            if stopping or last or len(training.rows) % job.checkpoint_every == 0:
                with timed(training.seconds, "checkpoints"):
                    saving.save(training)
            if stopping and not last:
                return False
        result = finish(training)
    training.seconds["total"] = earlier_s + time.perf_counter() - clock

    def images(most: int) -> NDArray[np.uint8]:
        positions = np.asarray(training.parts["validation"])
        chosen = np.linspace(0, len(positions) - 1, min(len(positions), most)).astype(int)
        return prepared.images[positions[chosen]]

    _store(job, result, saving.resumed, started, images, listener.say)
    saving.checkpoints.clear()
    return True


def _refuse_changed_source(run: Run) -> None:
    """Results belong to the source that their key was made from.

    Raises:
        SourceChangedError: a network or loss of one's own was edited since the study was planned.
    """
    found = {
        "architecture": resolve_architecture(run.configuration.architecture)[1],
        "loss": resolve_loss(run.configuration.loss)[1],
    }
    for kind, numerics in found.items():
        if run.numerics.get(kind, numerics) != numerics:
            raise SourceChangedError(
                f"the source of {getattr(run.configuration, kind)} has changed meanwhile"
            )


def _refuse_full_disk(job: Job, training: Training) -> None:
    """Better now than after hours of training.

    Raises:
        DiskError: when not even the weights would fit.
    """
    needed = sum(tensor.nbytes for tensor in training.model.state_dict().values())
    if psutil.disk_usage(str(job.study)).free < needed:
        full = OSError(errno.ENOSPC, f"its weights need {needed / 1e6:.1f} MB, and less is free")
        raise DiskError(job.study, full)


def failure(job: Job, reason: str, detail: str, log: str = "") -> Outcome:
    """Write down that a job failed, and say so; on a full disk the saying must do."""
    record = {
        "name": job.name,
        **_identity(job.run),
        "description": job.run.description(),
        "reason": reason,
        "detail": detail,
        "remedy": remedy(reason, job.run, log),
        "log": log,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        StudyFolder(job.study).write_failure(job.run.key, record)
    except DiskError as error:
        detail = f"{detail} (not written down: {error})"
    return Outcome(key=job.run.key, status="failed", reason=reason, detail=detail)


def _identity(run: Run) -> dict[str, Any]:
    configuration = run.configuration
    return {
        "architecture": title(configuration.architecture),
        "loss": title(configuration.loss),
        "protocol": configuration.protocol.model_dump(mode="json"),
        "seed": run.seed,
        "fold": run.fold,
    }


def _store(
    job: Job,
    result: Result,
    sessions: list[Session],
    started: datetime,
    images: Callable[[int], NDArray[np.uint8]],
    say: Callable[[str], None],
) -> None:
    run, protocol = job.run, job.run.configuration.protocol
    model = build(run.configuration.architecture, protocol.width, run.seed)
    scores = {
        part: {
            column: float(rows[column].mean())  # type: ignore[arg-type]
            for column in rows.columns
            if column not in ("id", "part")
        }
        for (part,), rows in result.images.group_by("part", maintain_order=True)
    }
    outcome = {
        "selected_epoch": result.selected_epoch,
        "tuned_threshold": result.tuned_threshold,
        "scores": scores,
    }
    card = {
        "key": run.key,
        "architecture": title(run.configuration.architecture),
        "width": protocol.width,
        "image_size": list(protocol.image_size),
        "resize": protocol.resize,
        "threshold": 0.5,
        "training": run.description(),
        **outcome,
    }
    record = {
        "name": job.name,
        **_identity(run),
        "description": run.description(),
        "summary": outcome,
        "metrics": list(METRICS),
        "num_parameters": sum(p.numel() for p in model.parameters()),
        "cost": {
            "num_macs": num_macs(model, protocol.image_size),
            "inference_ms": round(result.inference_ms, 3),
            "peak_memory_bytes": peak_memory(job.device),
        },
        "started": started.isoformat(timespec="seconds"),
        "seconds": {name: round(value, 3) for name, value in result.seconds.items()},
        "resumed": sessions,
        "environment": environment(job.device, job.threads),
    }
    tables: dict[str, pl.DataFrame] = {
        "epochs": result.epochs,
        "images": result.images,
        "predictions": result.predictions,
    }
    files = model_files(result.weights, card)
    if job.extra:
        more_files, more_fields, said = pkgutil.resolve_name(job.extra)(
            Trained(run, files, images, job.threads)
        )
        files, record = files | more_files, record | more_fields
        if said:
            say(said)
    StudyFolder(job.study).write_run(run.key, record, tables, files)


@torch.inference_mode()
def num_macs(model: nn.Module, image_size: tuple[int, int]) -> int:
    """Multiply-adds of one image through the network's convolutions and products of matrices."""
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *image_size))
    return int(counter.get_total_flops()) // 2
