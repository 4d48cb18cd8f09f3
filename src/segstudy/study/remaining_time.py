"""The time that a study still takes, from its folder alone, by runs of the same kind of network."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from segstudy.analysis.progress import PlannedRuns, Progress
from segstudy.store.folder import StudyFolder
from segstudy.study.duration import AT_WORK, FINISHED, STEPS, Forecast, Measured, read_forecast, remaining

WORDS = {
    FINISHED: "from finished runs of the same kind of network",
    AT_WORK: "from the epochs of active runs",
    STEPS: "from steps timed before the training",
}


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """The time that the runs that are left take.

    Attributes:
        seconds: wall time; None where that is not known for all of them.
        basis: of the estimate, or what is unknown.
    """

    seconds: float | None
    basis: str


def time_left(folder: StudyFolder, progress: Progress) -> TimeLeft:
    """Return the time left for the runs that the next ``run`` trains; diverged ones are not among them.

    Args:
        folder: the study's folder.
        progress: of the study.
    """
    diverged = {key for key, failure in progress.failed.items() if failure.reason == "diverged"}
    done = progress.finished.keys() | diverged
    waiting = [each for each in progress.planned if not done.issuperset(each.keys)]
    left = {key for each in waiting for key in each.keys if key not in done}
    if not left:
        return TimeLeft(0.0, "")
    forecast = read_forecast(folder.path)
    if forecast is not None:
        found = _by_forecast(folder, forecast, progress, done, left)
        if found is not None:
            return found
    return _by_finished(folder, progress, waiting, done)


def _by_forecast(
    folder: StudyFolder, forecast: Forecast, progress: Progress, done: Set[str], keys: Set[str]
) -> TimeLeft | None:
    """Return the time left by the forecast; None if it is for other runs than these, which are left."""
    left = [key for key in forecast.runs if key not in done]
    if set(left) != keys:
        return None
    measured = {
        key: Measured(facts.seconds, 1.0, 1.0)
        for key, facts in progress.finished.items()
        if key in forecast.runs
    }
    found = remaining(forecast, measured | _begun(folder, left), left)
    basis = ", ".join(f"{count} {WORDS[what]}" for what, count in found.basis.items())
    return TimeLeft(found.seconds, f"{_side_by_side(forecast.workers)}; {basis}")


def seconds_of(folder: StudyFolder, forecast: Forecast, keys: Sequence[str]) -> float:
    """Return the expected wall time of some of the runs that are left, which the forecast knows."""
    known = [key for key in keys if key in forecast.runs]
    return remaining(forecast, _measured(folder, forecast, known), known).seconds


def _measured(folder: StudyFolder, forecast: Forecast, left: Iterable[str]) -> dict[str, Measured]:
    """Return the measured times of the forecast's finished runs, and of those that are left and begun."""
    finished = folder.finished()
    records = folder.run_records(key for key in forecast.runs if key in finished)
    measured = {record.key: Measured(record.seconds.total, 1.0, 1.0) for record in records}
    return measured | _begun(folder, left)


def _begun(folder: StudyFolder, left: Iterable[str]) -> dict[str, Measured]:
    """Return the measured times of the runs that are left and begun."""
    measured = {}
    for key in left:
        progress = folder.checkpoints(key).progress()
        if progress is not None and progress.num_epochs:
            done = min(1.0, progress.epoch / progress.num_epochs)
            measured[key] = Measured(progress.seconds, done, done)
    return measured


def _side_by_side(workers: int) -> str:
    return "one run after the other" if workers == 1 else f"{workers} runs in parallel"


def _by_finished(
    folder: StudyFolder, progress: Progress, waiting: Iterable[PlannedRuns], done: Set[str]
) -> TimeLeft:
    """Return the time left without a forecast, one run after the other, by finished runs of the same kind."""
    seconds: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for key in [key for each in progress.planned for key in each.keys if key in progress.finished]:
        facts = progress.finished[key]
        seconds[_kind(facts.architecture, facts.protocol)].append(facts.seconds / _work(facts.protocol))
    known, unknown, total = 0, 0, 0.0
    for each in waiting:
        found = seconds.get(_kind(each.architecture, each.protocol))
        num_left = sum(key not in done for key in each.keys)
        if found is None:
            unknown += num_left
            continue
        known += num_left
        total += num_left * _work(each.protocol) * sum(found) / len(found)
    if unknown:
        kinds = (
            f"not known for {unknown} of {known + unknown} runs left, because none of their kind has finished"
        )
        return TimeLeft(None, f"{kinds}: `segstudy plan {folder.path}` times their steps")
    return TimeLeft(total, f"one run after the other; {known} {WORDS[FINISHED]}")


def _kind(architecture: str, protocol: Mapping[str, Any]) -> tuple[Any, ...]:
    resize = protocol.get("resize")  # of an image there are many tiles
    return architecture, protocol["width"], str(protocol["image_size"]), resize, protocol["precision"]


def _work(protocol: Mapping[str, Any]) -> float:
    """Return the quantity that a run's time is proportional to, for one kind of network and data."""
    by_steps = protocol.get("budget") == "steps"
    return float(protocol["steps"] * protocol["batch_size"] if by_steps else protocol["epochs"])
