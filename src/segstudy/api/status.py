"""``segstudy.status``: apart from other commands, so that it imports no statistics and answers at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.analysis.progress import progress_of
from segstudy.analysis.seed_plan import seed_plan_of
from segstudy.core.arguments import checked_call
from segstudy.core.environment import differing_text
from segstudy.core.locks import holder, is_held
from segstudy.store.folder import StudyFolder
from segstudy.study.remaining_time import time_left


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of a study.

    Attributes:
        num_planned: runs that study.toml names.
        num_finished: of the planned runs.
        num_failed: of the planned runs, those whose last attempt failed.
        num_left: of the planned runs, failed ones included.
        num_begun: of those left, started and saved: the next ``run`` continues with them.
        num_unnamed: finished runs that study.toml does not name.
        holder: the process that trains, repairs or packs this study now, in words; None if there is none.
        failures: of the planned runs: what happened, what helps.
        differing: differences between finished runs that may change their last bits, in words.
        seconds_to_go: wall time of the runs that the next ``run`` trains; None where that is not known.
        time_basis: of this estimate, or what is unknown.
        looks: how far a sequential study came and what it stopped, in sentences.
        hardware: of the planned runs that are finished, if it differs, in sentences.
        num_unnamed_failed: failed runs that study.toml does not name.
        num_unnamed_begun: runs that study.toml does not name, started and saved.
    """

    num_planned: int
    num_finished: int
    num_failed: int
    num_left: int
    num_begun: int
    num_unnamed: int
    holder: str | None
    failures: tuple[dict[str, Any], ...]
    seconds_to_go: float | None
    time_basis: str
    differing: str = ""
    looks: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    num_unnamed_failed: int = 0
    num_unnamed_begun: int = 0


@checked_call
def status(folder: str | Path) -> Status:
    """Return the runs of a study that are finished, failed and left, from its folder alone."""
    opened = StudyFolder(Path(folder))
    opened.study()  # raises if there is none
    now = progress_of(opened)
    ahead = time_left(opened, now)
    finished = now.finished.keys()
    planned = {key for each in now.planned for key in each.keys}
    failed = {key: failure for key, failure in now.failed.items() if key in planned}
    begun = opened.begun() - finished - now.failed.keys()
    return Status(
        num_planned=now.num_planned,
        num_finished=now.num_finished,
        num_failed=len(failed),
        num_left=now.num_planned - now.num_finished,
        num_begun=len(begun & planned),
        num_unnamed=len(finished) - now.num_finished,
        holder=holder(opened.lock) if is_held(opened.lock) else None,
        failures=tuple(failure.model_dump(exclude={"key"}) for failure in failed.values()),
        differing=differing_text(now.environments),
        seconds_to_go=ahead.seconds,
        time_basis=ahead.basis,
        looks=seed_plan_of(opened).state(),
        hardware=now.hardware,
        num_unnamed_failed=len(now.failed) - len(failed),
        num_unnamed_begun=len(begun - planned),
    )
