"""The duration of a study's runs and the time left: forecast from timed steps, then measured.

Before training, a few timed steps give each run its expected seconds. From the first epoch on the times of
real runs take their place, for each kind of network by itself: a small one says little about a large one.
"""

import heapq
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from segstudy.core.atomic_files import DiskError, write_text
from segstudy.core.errors import UserError
from segstudy.core.schema import Frozen

FORECAST = "forecast.json"  # in a study's folder; derived, and may be deleted
PRIOR_FRAC = 0.05  # of all expected seconds: so much must be measured before it moves networks not yet tried


class Expected(Frozen):
    """The expected duration of a run.

    Attributes:
        kind: its architecture, width, image size and precision, as one word.
        seconds: by timed steps of that kind.
        num_epochs: of the run.
    """

    kind: str
    seconds: float
    num_epochs: int


class Forecast(Frozen):
    """Every run whose kind of network was timed, in the order of training.

    Attributes:
        workers: runs in parallel.
        runs: by key.
    """

    workers: int
    runs: dict[str, Expected]


@dataclass(frozen=True, slots=True)
class Measured:
    """The measured time of a run that has finished or is at work.

    Attributes:
        seconds: measured.
        covers: the share of the run that took these seconds, 0 to 1.
        done: the share of the run that is finished, 0 to 1.
    """

    seconds: float
    covers: float
    done: float


@dataclass(frozen=True, slots=True)
class Remaining:
    """The time left, and the basis of that estimate.

    Attributes:
        seconds: wall time, with the workers of the forecast.
        basis: numbers of runs left, by the basis of their estimate: ``finished`` runs of the same
            kind of network, runs of it that are ``at work``, or ``timed steps``.
    """

    seconds: float
    basis: Mapping[str, int]


FINISHED, AT_WORK, STEPS = "finished", "at work", "timed steps"


def remaining(forecast: Forecast, measured: Mapping[str, Measured], left: Iterable[str]) -> Remaining:
    """Return the time left for these runs of a forecast.

    Args:
        forecast: what each run was expected to take.
        measured: of runs that are finished or at work, by key.
        left: keys of the runs that are not finished; those at work among them.
    """
    slower = _slower(forecast, measured)
    pooled = _pooled(forecast, measured)
    basis: Counter[str] = Counter()
    begun: list[float] = []
    waiting: list[float] = []
    for key in left:
        expected = forecast.runs[key]
        what, factor = slower.get(expected.kind, (STEPS, pooled))
        basis[what] += 1
        done = measured[key].done if key in measured else 0.0
        (begun if key in measured else waiting).append(expected.seconds * factor * (1 - done))
    return Remaining(wall_seconds([*begun, *waiting], forecast.workers), dict(basis))


def _slower(forecast: Forecast, measured: Mapping[str, Measured]) -> dict[str, tuple[str, float]]:
    """Return, for each measured kind of network, the basis and the ratio of measured to expected time."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    finished = set()
    for key, each in measured.items():
        expected = forecast.runs.get(key)
        if expected is None or each.covers <= 0 or expected.seconds <= 0:
            continue
        sums[expected.kind][0] += each.seconds
        sums[expected.kind][1] += expected.seconds * each.covers
        if each.done >= 1:
            finished.add(expected.kind)
    return {
        kind: (FINISHED if kind in finished else AT_WORK, seconds / expected_s)
        for kind, (seconds, expected_s) in sums.items()
    }


def _pooled(forecast: Forecast, measured: Mapping[str, Measured]) -> float:
    """Return the ratio for kinds not yet measured: that of the others, weighted by their share."""
    prior = PRIOR_FRAC * sum(each.seconds for each in forecast.runs.values())
    if prior <= 0:
        return 1.0
    seconds = expected = prior
    for key, each in measured.items():
        if key in forecast.runs:
            seconds += each.seconds
            expected += forecast.runs[key].seconds * each.covers
    return seconds / expected


def wall_seconds(durations: Iterable[float], workers: int) -> float:
    """Return when the last of these runs ends, in seconds, if the first free worker begins the next run."""
    free = [0.0] * max(1, workers)
    for seconds in durations:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


class Pace:
    """The time left while runs are trained, from the ends of their epochs."""

    def __init__(self, forecast: Forecast, left: Iterable[str], began: float | None = None):
        """Begin to measure.

        Args:
            forecast: what the runs were expected to take.
            left: keys of the runs that will be trained, in order.
            began: when, on the clock of ``time.monotonic``.
        """
        self.forecast = forecast
        self._left = dict.fromkeys(left)
        self._began = time.monotonic() if began is None else began
        self._before: dict[str, int] = {}  # epochs of each run before this session
        self._measured: dict[str, Measured] = {}
        self._changed = self._began
        self._to_go: float | None = None

    def epoch(self, key: str, epoch: int, session_s: float, now: float) -> None:
        """Note that a run has ended this epoch, after so many seconds of this session."""
        expected = self.forecast.runs.get(key)
        if expected is None:
            return
        before = self._before.setdefault(key, epoch - 1)
        covers = (epoch - before) / expected.num_epochs if session_s > 0 else 0.0
        self._measured[key] = Measured(session_s, covers, epoch / expected.num_epochs)
        self._changed, self._to_go = now, None

    def ended(self, key: str, now: float) -> None:
        """Note that a run has finished, failed or stopped."""
        self._left.pop(key, None)
        self._changed, self._to_go = now, None
        if key in self._measured:
            seen = self._measured[key]
            self._measured[key] = Measured(seen.seconds, seen.covers, 1.0)

    def seconds_to_go(self, now: float) -> float:
        """Return the wall time until all are trained, in seconds; it counts down between two epochs."""
        if self._to_go is None:
            known = [key for key in self._left if key in self.forecast.runs]
            self._to_go = remaining(self.forecast, self._measured, known).seconds
        return max(0.0, self._to_go - (now - self._changed))


def write_forecast(folder: Path, forecast: Forecast) -> None:
    """Write the forecast for ``segstudy status``."""
    with suppress(DiskError):
        write_text(folder / FORECAST, forecast.model_dump_json(indent=1) + "\n")


def read_forecast(folder: Path) -> Forecast | None:
    """Read the last forecast; None if it is missing or unreadable."""
    try:
        return Forecast.model_validate(json.loads((folder / FORECAST).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError, UserError):
        return None


def num_epochs(budget: str, epochs: int, steps: int, steps_per_epoch: int) -> int:
    """Return the number of epochs of a run, whether its budget is ``epochs`` or ``steps``."""
    return epochs if budget == "epochs" else math.ceil(steps / steps_per_epoch)
