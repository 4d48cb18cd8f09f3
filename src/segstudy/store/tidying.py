"""The removal of files that finished runs no longer need, or that dead processes left half written."""

import shutil
from contextlib import suppress
from pathlib import Path

from segstudy.core.atomic_files import (
    FRESH,
    NEW,
    OLD,
    PARTIAL,
    put_back,
    writer_of,
)
from segstudy.core.errors import UserError
from segstudy.core.locks import hold, is_held
from segstudy.store.folder import StudyFolder

WRITTEN = (".", "failures", "figures")  # folders of files that are written one by one


def tidy(folder: StudyFolder) -> None:
    """Remove files that finished runs no longer need, or that dead processes left half written.

    Called by the process that holds ``lock``. Files that another training may still be writing stay.
    """
    for key in folder.finished():
        folder.checkpoints(key).clear()
        folder.clear_failure(key)
    idle = [each for each in folder.entries("locks") if not is_held(each)]
    idle += [each for each in (folder.external_lock, folder.report_lock) if not is_held(each)]
    for each in (*idle, *half_written(folder, holding=True)):
        with suppress(OSError):  # what stays is found by `segstudy verify`
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    with suppress(UserError, OSError):  # another process holds its lock
        _tidy_externals(folder)
    for name in ("checkpoints", "locks"):
        with suppress(OSError):  # missing, or not empty
            (folder.path / name).rmdir()


def half_written(folder: StudyFolder, holding: bool = False) -> list[Path]:
    """Return the half-written files of dead processes; those of living processes are left out.

    Args:
        folder: the study.
        holding: whether the caller holds its ``lock``, so that no other process does.
    """
    half = [each for name in WRITTEN for each in folder.entries(name, f"*{NEW}")]
    half += folder.entries("checkpoints", f"*/*{NEW}")
    half += [
        each
        for each in folder.entries("runs", f"*{PARTIAL}")
        if not is_held(folder.run_lock(each.name.split(".")[0]))
    ]
    at_work = is_held(folder.report_lock) or (not holding and is_held(folder.lock))
    over = ("dead",) if at_work else ("dead", "elsewhere")
    return [each for each in half if writer_of(each) in over]


def put_back_externals(folder: StudyFolder) -> list[tuple[Path, Path]]:
    """Restore folders that were being replaced when a process died.

    Returns:
        The restored folders: old and new path of each.

    Raises:
        HeldError: another process is replacing a folder there.
        OSError: a rename failed.
    """
    aside = [each for each in folder.entries("external", ".*") if each.suffix == OLD]
    if not aside:
        return []
    with hold(folder.external_lock, "its scores"):
        pairs = [(each, each.with_name(each.stem[1:])) for each in aside]
        return [(old, final) for old, final in pairs if put_back(final)]


def _tidy_externals(folder: StudyFolder) -> None:
    """Remove temporary folders of ``external/``; nothing while another process replaces one."""
    put_back_externals(folder)
    half = [each for each in folder.entries("external", ".*") if each.suffix in (OLD, FRESH, PARTIAL)]
    if half:
        with hold(folder.external_lock, "its scores"):
            for each in half:
                shutil.rmtree(each, ignore_errors=True)
