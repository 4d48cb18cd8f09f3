"""The functions on a study's folder: its checksums, deletion."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.core.arguments import checked_call
from segstudy.core.errors import UserError
from segstudy.store.faults import Fault
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import FILE as LOOKS
from segstudy.store.looks import REMEDY
from segstudy.store.verify import Verification, quarantined, verify_folder
from segstudy.store.verify_pack import is_pack, verify_pack

if TYPE_CHECKING:
    from segstudy.study.removal import Removal


@checked_call
def verify(folder: str | Path, repair: bool = False) -> Verification:
    """Check every file of a study against its checksums and keys.

    Args:
        folder: the study's folder, or a pack: every byte of it is checked, then the study in it.
        repair: move what is wrong to ``quarantine/<n>/``; nothing is ever deleted, and the next ``run``
            trains again what is missing then.

    Raises:
        UserError: no study there, a run of a newer version, or, for a repair, somebody at work on it.
    """
    if Path(folder).is_file():
        return _verified_pack(Path(folder), repair)
    study = StudyFolder(Path(folder))
    found = verify_folder(study)
    if repair and found.faults:
        found = quarantined(study, found)
    return _with_wrong_look(study, found)


def _with_wrong_look(folder: StudyFolder, found: Verification) -> Verification:
    """Add a fault if looks.json does not follow from the runs; runs with faults are not read for this."""
    if not (folder.path / LOOKS).is_file():
        return found
    from segstudy.analysis.looks import wrong_look

    bad_runs = any(fault.path.parts[0] == "runs" for fault in found.faults)
    with suppress(UserError, OSError):  # found by the check of the files
        if number := wrong_look(folder, with_scores=not bad_runs):
            fault = Fault("altered", Path(LOOKS), f"look {number} does not follow from the runs; {REMEDY}")
            faults = sorted([*found.faults, fault], key=lambda each: str(each.path))
            return replace(found, faults=tuple(faults))
    return found


def _verified_pack(file: Path, repair: bool) -> Verification:
    if repair:
        raise UserError(f"{file}: a pack is not repaired; get it again, or unzip it and repair the folder")
    if file.suffix != ".zip" and not is_pack(file):
        raise UserError(f"{file}: is neither a study's folder nor a zip file that `segstudy pack` wrote")
    return verify_pack(file)


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
