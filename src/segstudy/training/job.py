"""The input of a worker, the events that it reports, and its outcome."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segstudy.config.runs import Run
from segstudy.core.schema import Frozen
from segstudy.data.split import Split
from segstudy.store.checkpoints import Progress


class Job(Frozen):
    """Everything a worker needs to train and store one run.

    Attributes:
        run: what to train.
        name: the configuration's name, as printed.
        study: the study's folder.
        prepared: the folder with the prepared data.
        split: ids of the subsets.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads of this training.
        checkpoint_every: epochs from one saved state to the next: at most as many are lost; 0: see
            ``training.resume.is_due``.
        memory_bytes: what this training takes at its peak, as estimated; 0: unknown.
        extra: where a function stands, as ``package.module:name``, that gives further files of a finished
            run: ``Trained`` to ``Extra``. Training does not know what they are for.
        hardware: the environment of the study's runs, where runs in another one are refused; None: trained
            everywhere.
    """

    run: Run
    name: str
    study: Path
    prepared: Path
    split: Split
    device: str
    threads: int
    checkpoint_every: int = 0
    memory_bytes: int = 0
    extra: str | None = None
    hardware: dict[str, Any] | None = None


class Outcome(Frozen):
    """How a job ended.

    A failure says why. What was stopped continues at the next ``run``, and so does what was refused:
    it was not trained, because the hardware differs from ``Job.hardware``, and the study is to stop.
    """

    key: str
    status: Literal["finished", "failed", "stopped", "refused"]
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Listener:
    """Callbacks that follow a job while it is trained, and may ask it to stop.

    Attributes:
        epoch: called with every epoch's row; ``session_s`` is how long this session has trained the run.
        say: called with a line on anything unusual.
        stop: when set, the training ends after the epoch, saved.
        saved: called when a state is written, before the next one is made; it may take its time to hand
            the state over. If ``checkpoint_every`` is set, the training waits for it. None: it stays there.
    """

    epoch: Callable[[dict[str, float]], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    saved: Callable[[Progress], None] | None = None
