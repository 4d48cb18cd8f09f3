"""One job in: trained and stored. ``python -m segstudy.worker`` serves jobs that come through a pipe.

A worker is a fresh process, never a fork, and knows nothing of the caller's ``__main__``. It reads a job
per line from standard input and answers with events, one JSON object a line: ``{"epoch": row}`` while
it trains and ``{"outcome": ...}`` at the end. When standard input closes, because the caller is
done or dead, it ends at once, even in the middle of an epoch.
"""

import json
import os
import platform
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segstudy.components import title
from segstudy.config import Frozen, Run
from segstudy.data.prepared import open_prepared
from segstudy.data.split import Split
from segstudy.models import build
from segstudy.store import StudyFolder
from segstudy.train import DivergedError, Result, reproducible, train

Progress = Callable[[dict[str, float]], None]

PEAK_RESET = Path("/proc/self/clear_refs")  # writing 5 resets the peak of the resident set (proc(5))

REMEDIES = {
    "diverged": "lower lr, or leave this configuration out; `run --retry` tries it again",
    "out of memory": "fewer workers (--workers), a smaller batch or image; the next `run` tries it again",
    "crashed": "the traceback says where; the next `run` tries it again",
    "worker died": "killed from outside, often for lack of memory: --workers; the next `run` tries it again",
}


class Job(Frozen):
    """Everything a worker needs to train and store one run.

    Attributes:
        run: what to train.
        name: the configuration's name, as printed.
        study: the study's folder.
        prepared: the folder with the prepared data.
        split: ids of the parts.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads of this training.
    """

    run: Run
    name: str
    study: Path
    prepared: Path
    split: Split
    device: str
    threads: int


class Outcome(Frozen):
    """How a job ended; a failure says why and what helps."""

    key: str
    status: Literal["finished", "failed"]
    reason: str | None = None
    detail: str | None = None


def execute(job: Job, progress: Progress = lambda _: None) -> Outcome:
    """Train and store one run; whatever goes wrong becomes a failure in the study's folder."""
    started = datetime.now(UTC)
    clock = time.perf_counter()
    try:
        reset_peak_memory(job.device)
        with reproducible(job.threads):
            result = train(
                job.run, open_prepared(job.prepared), job.split, torch.device(job.device), progress
            )
        _store(job, result, started, time.perf_counter() - clock)
    except DivergedError as error:
        return failure(job, "diverged", str(error))
    except Exception as error:  # a run may fail in any way; the rest of the study goes on
        reason = "out of memory" if _is_out_of_memory(error) else "crashed"
        return failure(job, reason, f"{type(error).__name__}: {error}", traceback.format_exc())
    return Outcome(key=job.run.key, status="finished")


def failure(job: Job, reason: str, detail: str, log: str = "") -> Outcome:
    """Write down that a job failed, and say so."""
    StudyFolder(job.study).write_failure(
        job.run.key,
        {
            "name": job.name,
            **_identity(job.run),
            "reason": reason,
            "detail": detail,
            "remedy": REMEDIES[reason],
            "log": log,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return Outcome(key=job.run.key, status="failed", reason=reason, detail=detail)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _identity(run: Run) -> dict[str, Any]:
    configuration = run.configuration
    return {
        "architecture": title(configuration.architecture),
        "loss": title(configuration.loss),
        "protocol": configuration.protocol.model_dump(mode="json"),
        "seed": run.seed,
        "fold": run.fold,
    }


def _store(job: Job, result: Result, started: datetime, seconds: float) -> None:
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
        "num_parameters": sum(p.numel() for p in model.parameters()),
        "cost": {
            "num_macs": num_macs(model, protocol.image_size),
            "inference_ms": round(result.inference_ms, 3),
            "peak_memory_bytes": peak_memory(job.device),
        },
        "started": started.isoformat(timespec="seconds"),
        "seconds": {name: round(value, 3) for name, value in {**result.seconds, "total": seconds}.items()},
        "environment": environment(job.device, job.threads),
    }
    tables: dict[str, pl.DataFrame] = {
        "epochs": result.epochs,
        "images": result.images,
        "predictions": result.predictions,
    }
    StudyFolder(job.study).write_run(run.key, record, tables, result.weights, card)


@torch.inference_mode()
def num_macs(model: nn.Module, image_size: tuple[int, int]) -> int:
    """Multiply-adds of one image through the network's convolutions and products of matrices."""
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *image_size))
    return int(counter.get_total_flops()) // 2


def reset_peak_memory(device: str) -> None:
    """Forget earlier peaks: a worker trains one run after the other."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif PEAK_RESET.exists():
        with suppress(OSError):  # a locked-down container: the peak is then the process's
            PEAK_RESET.write_text("5", encoding="ascii")


def peak_memory(device: str) -> int | None:
    """Peak bytes since the last reset: of tensors on a GPU, resident in the process on a CPU under Linux."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if device != "cpu" or not PEAK_RESET.exists():
        return None
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def environment(device: str, threads: int) -> dict[str, Any]:
    """What can move the last bits of a run, and what its times depend on."""
    return {
        "segstudy": version("segstudy"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        "kornia": version("kornia"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": threads,
    }


def main() -> None:
    """Serve jobs until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a user's network prints goes to standard error, not among the answers
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()

    def answer(**event: Any) -> None:
        answers.write(json.dumps(event) + "\n")
        answers.flush()

    while True:
        job = Job.model_validate_json(jobs.get())
        outcome = execute(job, lambda row: answer(epoch=row))
        answer(outcome=outcome.model_dump())


def _read_jobs(jobs: queue.Queue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)  # the caller is gone: no epoch is finished for nobody


if __name__ == "__main__":
    main()
