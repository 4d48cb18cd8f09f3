"""The time that a study still takes, from its folder alone, by runs of the same kind of network."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segstudy.analysis.configurations import Row
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


def time_left(folder: StudyFolder, rows: Sequence[Row]) -> TimeLeft:
    """Return the time left for the runs that the next ``run`` trains; diverged ones are not among them.

    Args:
        folder: the study's folder.
        rows: its configurations.
    """
    waiting = [row for row in rows if row.masks is None and _num_left(row)]
    num_left = sum(map(_num_left, waiting))
    if not num_left:
        return TimeLeft(0.0, "")
    forecast = read_forecast(folder.path)
    if forecast is not None:
        found = _by_forecast(folder, forecast, num_left)
        if found is not None:
            return found
    return _by_finished(folder, rows, waiting)


def _num_left(row: Row) -> int:
    diverged = sum(failure.reason == "diverged" for failure in row.failures)
    return int(row.num_planned - len(row.records) - diverged)


def _by_forecast(folder: StudyFolder, forecast: Forecast, num_left: int) -> TimeLeft | None:
    """Return the time left by the forecast; None if it is for other runs than those that are left."""
    finished = folder.finished()
    diverged = {key for key, failure in folder.failed().items() if failure.reason == "diverged"}
    left = [key for key in forecast.runs if key not in finished | diverged]
    if len(left) != num_left:
        return None
    found = remaining(forecast, _measured(folder, forecast, left), left)
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
    for key in left:
        progress = folder.checkpoints(key).progress()
        if progress is not None and progress.num_epochs:
            done = min(1.0, progress.epoch / progress.num_epochs)
            measured[key] = Measured(progress.seconds, done, done)
    return measured


def _side_by_side(workers: int) -> str:
    return "one run after the other" if workers == 1 else f"{workers} runs in parallel"


def _by_finished(folder: StudyFolder, rows: Iterable[Row], waiting: Iterable[Row]) -> TimeLeft:
    """Return the time left without a forecast, one run after the other, by finished runs of the same kind."""
    seconds: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in rows:
        for record in row.records:
            work = _work(record.protocol)
            seconds[_kind(record.architecture, record.protocol)].append(record.seconds.total / work)
    known, unknown, total = 0, 0, 0.0
    for row in waiting:
        found = seconds.get(_kind(row.configuration["architecture"], row.configuration["protocol"]))
        if found is None:
            unknown += _num_left(row)
            continue
        known += _num_left(row)
        total += _num_left(row) * _work(row.configuration["protocol"]) * sum(found) / len(found)
    if unknown:
        kinds = (
            f"not known for {unknown} of {known + unknown} runs left, because none of their kind has finished"
        )
        return TimeLeft(None, f"{kinds}: `segstudy plan {folder.path}` times their steps")
    return TimeLeft(total, f"one run after the other; {known} {WORDS[FINISHED]}")


def _kind(architecture: str, protocol: Mapping[str, Any]) -> tuple[Any, ...]:
    return architecture, protocol["width"], str(protocol["image_size"]), protocol["precision"]


def _work(protocol: Mapping[str, Any]) -> float:
    """Return the quantity that a run's time is proportional to, for one kind of network and data."""
    by_steps = protocol.get("budget") == "steps"
    return float(protocol["steps"] * protocol["batch_size"] if by_steps else protocol["epochs"])
