"""The functions on a study's folder: its progress, its checksums, deletion."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segstudy.analysis.configurations import rows_of
from segstudy.analysis.hardware import hardware
from segstudy.analysis.seed_plan import seed_plan_of
from segstudy.api.study import Study
from segstudy.core.arguments import checked_call
from segstudy.core.environment import differing_text
from segstudy.core.locks import holder, is_held
from segstudy.store.folder import StudyFolder
from segstudy.store.verify import Verification, quarantined, verify_folder
from segstudy.study.remaining_time import time_left

if TYPE_CHECKING:
    from segstudy.study.removal import Removal


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
        holder: the process that trains this study now, in words; None if there is none.
        failures: what happened, what helps.
        differing: differences between finished runs that may change their last bits, in words.
        seconds_to_go: wall time of the runs that the next ``run`` trains; None where that is not known.
        time_basis: of this estimate, or what is unknown.
        looks: how far a sequential study came and what it stopped, in sentences.
        hardware: of the planned runs that are finished, if it differs, in sentences.
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


@checked_call
def status(folder: str | Path) -> Status:
    """Return the runs of a study that are finished, failed and left, from its folder alone."""
    opened = Study(folder)
    rows = rows_of(opened.folder)
    finished = opened.folder.finished()
    failed = opened.folder.failed()
    num_planned = sum(row.num_planned for row in rows)
    num_finished = sum(len(row.records) for row in rows)
    left = num_planned - num_finished
    records = opened.folder.run_records(finished)
    ahead = time_left(opened.folder, rows)
    return Status(
        num_planned=num_planned,
        num_finished=num_finished,
        num_failed=len(failed),
        num_left=left,
        num_begun=len(opened.folder.begun() - finished - failed.keys()),
        num_unnamed=len(finished) - num_finished,
        holder=holder(opened.folder.lock) if is_held(opened.folder.lock) else None,
        failures=tuple(failure.model_dump(exclude={"key"}) for failure in failed.values()),
        differing=differing_text(each for record in records for each in record.environments),
        seconds_to_go=ahead.seconds,
        time_basis=ahead.basis,
        hardware=hardware(rows).sentences,
        looks=seed_plan_of(opened.folder).state(),
    )


@checked_call
def verify(folder: str | Path, repair: bool = False) -> Verification:
    """Check every file of a study against its checksums and keys.

    Args:
        folder: the study's folder.
        repair: move what is wrong to ``quarantine/<n>/``; nothing is ever deleted, and the next ``run``
            trains again what is missing then.

    Raises:
        UserError: no study there, a run of a newer version, or, for a repair, somebody at work on it.
    """
    found = verify_folder(StudyFolder(Path(folder)))
    return quarantined(StudyFolder(Path(folder)), found) if repair and found.faults else found


@checked_call
def remove(
    folder: str | Path,
    configuration: str | None = None,
    *,
    unnamed: bool = False,
    yes: bool = False,
    confirm: Callable[["Removal"], bool] | None = None,
) -> "Removal":
    """Delete the runs of a configuration, or all that the study no longer names, permanently.

    ``study.toml`` then no longer names the configuration, so that ``run`` does not train it again. The
    report, which would show what is gone, goes too; ``report`` writes it again.

    Args:
        folder: the study's folder.
        configuration: as the leaderboard calls it; of masks of another tool, their name.
        unnamed: instead, all runs that ``table --all`` shows beyond the study's own.
        yes: continue without a question.
        confirm: called instead with the ``Removal``; False deletes nothing.

    Returns:
        What was deleted.

    Raises:
        UserError: an unknown name, the study's only configuration, somebody at work there, or neither ``yes``
            nor a ``confirm`` that agrees.
    """
    from segstudy.study.removal import remove_from

    agrees = (lambda _: yes) if yes or confirm is None else confirm
    return remove_from(StudyFolder(Path(folder)), configuration, unnamed, agrees)
