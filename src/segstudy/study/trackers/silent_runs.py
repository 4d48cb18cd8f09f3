"""A tracker beside those that are chosen: it says once of a run that it has not reported for long."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segstudy.core.quantities import duration
from segstudy.study.trackers.base import StudyStart

if TYPE_CHECKING:
    from segstudy.training.job import Job, Outcome

LEAST_S = 600.0  # without a report, before anything is said
TIMES = 10.0  # and as many times as long as an epoch should take, or the longest before took
CHECK_S = 15.0


@dataclass
class _Active:
    """A run that is trained.

    Attributes:
        job: of the run.
        reported: when it began or last reported, by ``time.monotonic``.
        epoch_s: how long an epoch should take, or the longest took.
    """

    job: "Job"
    reported: float
    epoch_s: float


class SilentRuns:
    """Looks now and then, in a thread of its own, at when each run last reported.

    Args:
        say: called, from that thread, with a run and a sentence.
    """

    def __init__(self, say: Callable[["Job", str], None]):
        self._say = say
        self._start: StudyStart | None = None
        self._active: dict[str, _Active] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def study_begins(self, start: StudyStart) -> None:
        """Begin to look."""
        self._start = start
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(self._ended,), daemon=True).start()

    def run_begins(self, job: "Job") -> None:
        """A run has begun: its first epoch is awaited."""
        expected = self._start.forecast.runs.get(job.run.key) if self._start else None
        epoch_s = expected.seconds / max(1, expected.num_epochs) if expected else 0.0
        with self._lock:
            self._active[job.run.key] = _Active(job, time.monotonic(), epoch_s)

    def run_waits(self, job: "Job") -> None:
        """A run is no longer awaited, until it begins again."""
        with self._lock:
            self._active.pop(job.run.key, None)

    def run_progresses(self, job: "Job", _row: dict[str, float]) -> None:
        """A run has reported an epoch."""
        now = time.monotonic()
        with self._lock:
            if found := self._active.get(job.run.key):
                found.epoch_s = max(found.epoch_s, now - found.reported)
                found.reported = now

    def run_notes(self, job: "Job", _text: str) -> None:
        """A line on a run is no report: this tracker's own come here too."""

    def run_ends(self, _job: "Job", outcome: "Outcome") -> None:
        """A run is no longer awaited."""
        with self._lock:
            self._active.pop(outcome.key, None)

    def study_ends(self) -> None:
        """Look no more."""
        self._ended.set()
        with self._lock:
            self._active.clear()

    def look(self, now: float) -> None:
        """Say of each run that has not reported for long, once."""
        with self._lock:  # released before anything is said: trackers are called under a lock of theirs
            silent = [
                (key, each, now - each.reported)
                for key, each in self._active.items()
                if key not in self._said and now - each.reported > max(LEAST_S, TIMES * each.epoch_s)
            ]
            self._said |= {key for key, _, _ in silent}
        for _, each, seconds in silent:
            epoch = f", where an epoch should take {duration(each.epoch_s)}" if each.epoch_s else ""
            self._say(
                each.job,
                f"no report for {duration(seconds)}{epoch}: it may hang; to stop it press Ctrl-C twice, "
                "and run the same command again",
            )

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(CHECK_S):
            self.look(time.monotonic())
