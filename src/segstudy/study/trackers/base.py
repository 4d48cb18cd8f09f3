"""The interface of a tracker, and the group of several trackers."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol

from segstudy.core.errors import printable, typed_line

if TYPE_CHECKING:  # help lists the trackers, and a finished study is shown, without PyTorch
    from segstudy.study.duration import Forecast
    from segstudy.study.overview import Overview
    from segstudy.training.job import Job, Outcome

log = logging.getLogger("segstudy")


@dataclass(frozen=True)
class StudyStart:
    """The description of a study that trackers get when its training begins.

    Attributes:
        folder: the study's.
        overview: the summary of the plan.
        runs: keys of the runs to train, in order.
        forecast: the expected time of each.
        best: validation IoU and configuration of the best run that is finished.
        until: the end of these runs in words, where they are not all of the study: ``until the next look``.
    """

    folder: Path
    overview: "Overview"
    runs: tuple[str, ...]
    forecast: "Forecast"
    best: tuple[float, str] | None = None
    until: str = ""


class StudyTracker(Protocol):
    """Shows or logs what happens in a study. One call at a time, from any thread."""

    def study_begins(self, start: StudyStart) -> None:
        """Called before the first run is trained."""

    def run_begins(self, job: "Job") -> None:
        """Called when a run begins, or continues from a saved state."""

    def run_progresses(self, job: "Job", row: dict[str, float]) -> None:
        """Called after an epoch of a run with its row of ``epochs.parquet``, and ``session_s``."""

    def run_notes(self, job: "Job", text: str) -> None:
        """Called with a line on anything unusual about a run."""

    def run_ends(self, job: "Job", outcome: "Outcome") -> None:
        """Called when a run has finished, failed, or stopped after it was saved."""

    def study_ends(self) -> None:
        """Called after the training, however it ended."""


@dataclass(frozen=True, slots=True)
class Tracker:
    """An entry of the table.

    Attributes:
        name: for ``--tracker NAME``.
        description: what it does, in one line for help and documentation.
        make: where a class or function without arguments stands, as ``package.module:name``, that gives a
            ``StudyTracker``. It is imported when the tracker is chosen.
        is_display: whether it is the display that also shows the plan and asks questions, which every call of
            ``run`` has.
    """

    name: str
    description: str
    make: str
    is_display: bool = False

    def made(self) -> StudyTracker:
        tracker: StudyTracker = resolve_name(self.make)()
        return tracker


class Trackers:
    """Calls several trackers. One that fails is no longer called, and the study continues."""

    def __init__(self, trackers: Mapping[str, StudyTracker]):
        self._trackers = dict(trackers)
        self._begun: set[str] = set()
        self._waiting: set[str] = set()  # begun, and not trained now
        self._lock = threading.RLock()

    def study_begins(self, start: StudyStart) -> None:
        self._tell("study_begins", start)

    def run_begins(self, job: "Job") -> None:
        """Call the trackers once for a run, even if it begins again in another process.

        Those that have ``run_waits`` are also called when it begins again after that.
        """
        key = job.run.key
        with self._lock:
            if key not in self._begun:
                self._begun.add(key)
                self._tell("run_begins", job)
            elif key in self._waiting:
                self._tell("run_begins", job, only_with="run_waits")
            self._waiting.discard(key)

    def run_waits(self, job: "Job") -> None:
        """Call the trackers that have this method: the run waits until another process trains it."""
        with self._lock:
            self._waiting.add(job.run.key)
            self._tell("run_waits", job, only_with="run_waits")

    def run_progresses(self, job: "Job", row: dict[str, float]) -> None:
        self.run_begins(job)  # if an executor did not call it
        self._tell("run_progresses", job, row)

    def run_notes(self, job: "Job", text: str) -> None:
        self._tell("run_notes", job, text)

    def run_ends(self, job: "Job", outcome: "Outcome") -> None:
        self._tell("run_ends", job, outcome)

    def study_ends(self) -> None:
        self._tell("study_ends")

    def _tell(self, event: str, *about: object, only_with: str = "") -> None:
        with self._lock:
            for name, tracker in list(self._trackers.items()):
                if only_with and not hasattr(tracker, only_with):
                    continue
                try:
                    getattr(tracker, event)(*about)
                except Exception as error:  # any class: a tracker must not stop the training
                    del self._trackers[name]
                    reason = printable(typed_line(error))
                    log.warning("tracker %s failed and is left out from now on: %s", name, reason)
