"""The loop over the looks of a sequential study: train, look, stop what is beaten, and again."""

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from segstudy.analysis.looks import doubt_of_end_in, is_same, taken
from segstudy.analysis.seed_plan import decided, progress
from segstudy.config.runs import Run
from segstudy.core.errors import UserError
from segstudy.core.quantities import duration
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import CONTINUE, FILE, REMEDY, Looks, StoredLook, write_looks
from segstudy.study.plan import Plan


@dataclass(frozen=True, slots=True)
class Trainer:
    """How the loop trains.

    Attributes:
        train: trains those of the runs that are not stored, and returns when they have ended or time is up.
        seconds: the expected wall time of the runs that are left among these.
        say: called with what each new look decided.
        deadline: on the clock of ``time.monotonic``; infinite for none.
    """

    train: Callable[[Sequence[Run]], None]
    seconds: Callable[[Sequence[Run]], float]
    say: Callable[[str], None]
    deadline: float = math.inf

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


def until_settled(plan: Plan, folder: StudyFolder, looks: Looks, trainer: Trainer) -> str:
    """Train and look until the study ends, or until its time is up.

    Looks that were taken before are taken again and must have the same results, so that every decision is
    that of the stored runs and of the plan.

    Args:
        plan: the runs that the looks may need, see ``look_plans.needed``.
        folder: of the study.
        looks: as stored.
        trainer: how to train.

    Returns:
        A sentence on the state of the study.

    Raises:
        UserError: looks.json does not follow from the stored runs.
    """
    names = plan.names()
    open_names: Collection[str] = set(names.values())
    for number, seeds in enumerate(looks.plan.seeds):
        runs = [run for run in plan.runs if run.seed < seeds and names[run.key] in open_names]
        if number == len(looks.looks):
            if number and (wanted := trainer.seconds(runs)) > trainer.seconds_left():
                return f"{progress(looks)} Its runs would take about {duration(wanted)}, more than is left."
            share = looks.plan.error_shares[number]
            looks = _with(looks, number, StoredLook(seeds=seeds, error_share=share, begun=_now()))
            write_looks(folder, looks)
        trainer.train(runs)
        if _unfinished(runs, folder) and trainer.seconds_left() <= 0:
            return f"{progress(looks)} The hours are over; what was trained is saved."
        complete, stored = _complete(runs, names, folder), looks.looks[number]
        looks = _taken(folder, looks, number, complete, open_names)
        now = looks.looks[number]
        if now.taken is None:
            return f"{progress(looks)} It cannot be taken: fewer than two configurations have all their runs."
        if stored.taken is None:
            trainer.say(decided(looks, number))
        if now.conclusion != CONTINUE:
            return " ".join([progress(looks), *doubt_of_end_in(folder)])
        beaten = {result.name for result in now.results if result.stopped}
        open_names = [name for name in complete if name not in beaten]
    return progress(looks)


def _taken(
    folder: StudyFolder, looks: Looks, number: int, complete: Sequence[str], open_names: Collection[str]
) -> Looks:
    """Take a look and store it; of one that was taken before, check that the stored runs give it again."""
    stored = looks.looks[number]
    before = [result.name for result in stored.results]
    compared = before or list(complete)
    if len(compared) < 2:
        return looks
    if missing := set(before) - set(complete):
        raise UserError(
            f"{folder.path}: runs of {', '.join(sorted(missing))} failed that look {number + 1} compared"
        )
    found = taken(folder, looks.plan, stored, compared)
    if before:
        if not is_same(found, stored):
            file = folder.path / FILE
            raise UserError(f"{file}: look {number + 1} does not follow from the stored runs; {REMEDY}")
        return looks
    left_out = sorted(set(open_names) - set(complete))
    looks = _with(looks, number, found.model_copy(update={"taken": _now(), "left_out": left_out}))
    write_looks(folder, looks)
    return looks


def _with(looks: Looks, number: int, look: StoredLook) -> Looks:
    return looks.model_copy(update={"looks": [*looks.looks[:number], look, *looks.looks[number + 1 :]]})


def _complete(runs: Sequence[Run], names: dict[str, str], folder: StudyFolder) -> list[str]:
    """Return the configurations of which all these runs are stored, in the order of the runs."""
    finished = folder.finished()
    missing = {names[run.key] for run in runs if run.key not in finished}
    return [name for name in dict.fromkeys(names[run.key] for run in runs) if name not in missing]


def _unfinished(runs: Sequence[Run], folder: StudyFolder) -> bool:
    """Whether any of these runs has neither finished nor failed."""
    ended = folder.finished() | folder.failed().keys()
    return any(run.key not in ended for run in runs)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
