"""The execution of one job: the run is trained and stored, or its failure is recorded."""

import errno
import pkgutil
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import psutil
import torch
from numpy.typing import NDArray

from segstudy.config.runs import Run
from segstudy.core.allocator import keep_memory
from segstudy.core.atomic_files import DiskError
from segstudy.core.device import peak_memory, reproducible, reset_peak_memory
from segstudy.core.environment import differing_text, environment
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.core.machine_names import without_machines
from segstudy.core.sums import title
from segstudy.data.prepared import open_prepared
from segstudy.losses import resolve_loss
from segstudy.metrics import METRICS
from segstudy.models import resolve_architecture
from segstudy.models.cost import num_macs, num_parameters
from segstudy.store.extra_files import Trained
from segstudy.store.folder import StudyFolder
from segstudy.store.weights import model_files
from segstudy.training.failures import OtherHardwareError, SourceChangedError, reason_of, remedy
from segstudy.training.job import Job, Listener, Outcome
from segstudy.training.loop import DivergedError, Result, Training, begin, epochs, finish, timed
from segstudy.training.resume import Session, resumed

LOCK_WAIT_S = 30.0  # a worker whose caller died holds its run's lock until it notices


def execute(job: Job, listener: Listener) -> Outcome:
    """Train and store one run and return its outcome; an error becomes a failure in the study's folder.

    On other hardware than the job asks for, nothing is trained and nothing is written.
    """
    folder, key = StudyFolder(job.study), job.run.key
    try:
        with hold(folder.run_lock(key), f"run {key}", LOCK_WAIT_S), reproducible(job.threads):
            # The process that held the lock before may have finished this run.
            done = folder.is_finished(key) or _train_and_store(job, listener)
    except OtherHardwareError as error:
        return Outcome(key=key, status="refused", reason="other hardware", detail=str(error))
    except Exception as error:  # a run may fail in any way; the rest of the study continues
        if job.device == "cuda":
            torch.cuda.empty_cache()  # the next run can use the memory that this one held
        if reason_of(error) == "diverged":  # from its saved states it would diverge again
            folder.checkpoints(key).clear()
        return failure_by(job, error)
    return Outcome(key=key, status="finished" if done else "stopped")


def _train_and_store(job: Job, listener: Listener) -> bool:
    """Train from the last saved epoch on and store the result; False when asked to stop before the last."""
    keep_memory()
    started, clock = datetime.now(UTC), time.perf_counter()
    here = environment(job.device, job.threads)
    _refuse_changed_source(job.run)
    _refuse_other_hardware(job, here, [])
    reset_peak_memory(job.device)
    prepared = open_prepared(job.prepared, job.run.configuration.protocol.windowing())
    training, saving = resumed(
        lambda: begin(job.run, prepared, job.split, torch.device(job.device)),
        StudyFolder(job.study).checkpoints(job.run.key),
        here,
        listener,
    )
    _refuse_other_hardware(job, here, saving.resumed)
    _refuse_full_disk(job, training)
    earlier_s = training.seconds.get("total", 0.0)
    with saving:
        for row in epochs(training):
            listener.epoch({**row, "session_s": time.perf_counter() - clock})
            stopping, last = listener.stop.is_set(), len(training.rows) == training.num_epochs
            training.seconds["total"] = earlier_s + time.perf_counter() - clock
            if stopping or last or saving.is_due(len(training.rows), job.checkpoint_every):
                with timed(training.seconds, "checkpoints"):
                    saving.save(training)
                    if job.checkpoint_every and listener.saved:
                        saving.wait()
            if stopping and not last:
                return False
        result = finish(training)
    training.seconds["total"] = earlier_s + time.perf_counter() - clock

    def images(most: int) -> NDArray[np.uint8]:
        inputs = prepared.scoring_inputs(training.parts["validation"])
        chosen = np.linspace(0, len(inputs) - 1, min(len(inputs), most)).astype(int)
        return prepared.inputs(inputs[chosen])

    about = {"started": started.isoformat(timespec="seconds"), "resumed": saving.resumed}
    _store(job, training, result, about, images, listener.say)
    saving.checkpoints.clear()
    return True


def _refuse_changed_source(run: Run) -> None:
    """Refuse to train with another source file than the key was made from.

    Raises:
        SourceChangedError: a network or loss of one's own was edited since the study was planned.
    """
    found = {
        "architecture": resolve_architecture(run.configuration.architecture)[1],
        "loss": resolve_loss(run.configuration.loss, run.configuration.protocol.outputs())[1],
    }
    for kind, numerics in found.items():
        if run.numerics.get(kind, numerics) != numerics:
            raise SourceChangedError(
                f"the source of {getattr(run.configuration, kind)} has changed meanwhile"
            )


def _refuse_other_hardware(job: Job, here: dict[str, Any], sessions: Sequence[Session]) -> None:
    """Refuse to train where a run could get other bits than the job's ``hardware`` gives it, if that is set.

    Raises:
        OtherHardwareError: this machine differs, or that of an earlier session of the run.
    """
    if job.hardware is None:
        return
    if found := differing_text([job.hardware, here]):
        raise OtherHardwareError(found)
    if found := differing_text([job.hardware, *(session["environment"] for session in sessions)]):
        raise OtherHardwareError(
            f"{found} in its saved state; to train it again from its first epoch, delete "
            f"checkpoints/{job.run.key} in the study's folder"
        )


def _refuse_full_disk(job: Job, training: Training) -> None:
    """Refuse to train where the disk is full, before hours of training.

    Raises:
        DiskError: when not even the weights would fit.
    """
    needed = sum(tensor.nbytes for tensor in training.model.state_dict().values())
    if psutil.disk_usage(str(job.study)).free < needed:
        full = OSError(errno.ENOSPC, f"its weights need {needed / 1e6:.1f} MB, and less is free")
        raise DiskError(job.study, full)


def failure_by(job: Job, error: Exception) -> Outcome:
    """Record that the error being handled ended a job, and return the outcome."""
    if isinstance(error, UserError | DivergedError):
        return failure(job, reason_of(error), str(error))
    return failure(job, reason_of(error), f"{type(error).__name__}: {error}", traceback.format_exc())


def failure(job: Job, reason: str, detail: str, log: str = "") -> Outcome:
    """Record that a job failed and return the outcome; on a full disk the outcome alone must do.

    The record names no machine, because it may be published.
    """
    record = {
        "name": job.name,
        **_identity(job.run),
        "description": job.run.description(),
        "reason": reason,
        "detail": without_machines(detail),
        "remedy": without_machines(remedy(reason, job.run, log)),
        "log": without_machines(log),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        StudyFolder(job.study).write_failure(job.run.key, record)
    except DiskError as error:
        detail = f"{detail} (not stored: {error})"
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
    training: Training,
    result: Result,
    about: dict[str, Any],
    images: Callable[[int], NDArray[np.uint8]],
    say: Callable[[str], None],
) -> None:
    """Store a run that is trained.

    Args:
        job: which run to store, and where.
        training: with the selected weights in its network.
        result: of the training.
        about: the fields of ``run.json`` that only the session knows: ``started`` and ``resumed``.
        images: see ``Trained``.
        say: called with a line on further files.
    """
    run = job.run
    outcome: dict[str, Any] = {
        "selected_epoch": result.selected_epoch,
        "tuned_threshold": result.tuned_threshold,
        "scores": _means(result.images),
    }
    if result.classes is not None:
        outcome["class_scores"] = _class_means(result.classes)
    record = _record(job, training, result, outcome, about)
    tables = {
        "epochs": result.epochs,
        "images": result.images,
        "classes": result.classes,
        "predictions": result.predictions,
        "probabilities": result.probabilities,
    }
    there = {name: table for name, table in tables.items() if table is not None}
    files = model_files(result.weights, _card(run, outcome))
    if job.extra:
        more_files, more_fields, said = pkgutil.resolve_name(job.extra)(
            Trained(run, files, images, job.threads)
        )
        files, record = files | more_files, record | more_fields
        if said:
            say(said)
    StudyFolder(job.study).write_run(run.key, record, there, files)


def _means(images: pl.DataFrame) -> dict[Any, dict[str, float]]:
    """Return the mean of every metric, by subset."""
    return {
        part: {
            column: float(rows[column].mean())  # type: ignore[arg-type]
            for column in rows.columns
            if column not in ("id", "part")
        }
        for (part,), rows in images.group_by("part", maintain_order=True)
    }


def _class_means(classes: pl.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return the mean of every metric at native size, by subset and class, where the class is present.

    It is present in an image where the true mask or the predicted one has it, which the table says of native
    size. A class that no image has is left out.
    """
    present = classes.filter(pl.col("in_truth") | pl.col("in_prediction"))
    metrics = [name for name in classes.columns if name.startswith("native_")]
    found: dict[str, dict[str, dict[str, float]]] = {}
    means = present.group_by("part", "class", maintain_order=True).agg(pl.col(metrics).mean())
    for row in means.iter_rows(named=True):
        found.setdefault(row["part"], {})[row["class"]] = {name: row[name] for name in metrics}
    return found


def _card(run: Run, outcome: dict[str, Any]) -> dict[str, Any]:
    protocol = run.configuration.protocol
    windowing = protocol.windowing()
    named = {
        "classes": protocol.classes,
        "ignore": protocol.ignore,
        "channels": protocol.channels,
        "overlap": None if windowing is None else windowing.overlap,
    }
    return {
        "key": run.key,
        "architecture": title(run.configuration.architecture),
        "width": protocol.width,
        "image_size": list(protocol.image_size),
        "resize": protocol.resize,
        "threshold": 0.5,
        "training": run.description(),
        **{name: value for name, value in named.items() if value is not None},
        **outcome,
    }


def _record(
    job: Job, training: Training, result: Result, outcome: dict[str, Any], about: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of ``run.json``."""
    run, model = job.run, training.model
    protocol = run.configuration.protocol
    peak_memory_bytes = peak_memory(job.device)  # of the training, not of counting what it cost
    test = training.parts["test"]
    inputs_an_image = len(training.pixels.prepared.scoring_inputs(test)) / len(test)  # one, or its windows
    return {
        "name": job.name,
        **_identity(run),
        "description": run.description(),
        "summary": outcome,
        "metrics": list(METRICS),
        "num_parameters": num_parameters(model),
        "cost": {
            "num_macs": round(num_macs(model, protocol.image_size, protocol.num_channels) * inputs_an_image),
            "inference_ms": round(result.inference_ms, 3),
            "peak_memory_bytes": peak_memory_bytes,
        },
        "started": about["started"],
        "seconds": {name: round(value, 3) for name, value in result.seconds.items()},
        "resumed": about["resumed"],
        "environment": environment(job.device, job.threads),
    }
