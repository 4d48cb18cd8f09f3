"""Copies of parts of a study's folder in another one: runs, failures, saved states, external scores.

What is there already with the same content stays as it is, so that a copy that was interrupted is continued.
Nothing is linked: damage to one folder must not reach the other.
"""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from segstudy.core.atomic_files import (
    complete_folders,
    make_folder,
    replace_folder,
    write_bytes,
    write_folder,
)
from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json
from segstudy.store.checkpoints import PROGRESS, STATE, is_whole
from segstudy.store.folder import StudyFolder
from segstudy.store.verify_runs import run_faults

RECORD = "run.json"
NUMBER = re.compile(r"[0-9]+")


def copy_run(source: StudyFolder, key: str, target: StudyFolder) -> None:
    """Copy a finished run, all of it at once.

    Raises:
        UserError: it is damaged, or the target has another run of this key.
        DiskError: it cannot be written.
    """
    contents = run_files(source, key)
    there = target.runs / key / RECORD
    if there.is_file() and there.read_bytes() != contents[RECORD]:
        raise UserError(f"{there.parent}: is another run of this key; choose another folder with --out")
    write_folder(target.runs / key, contents)


def run_files(folder: StudyFolder, key: str) -> dict[str, bytes]:
    """Return all files of a finished run, checked against their checksums and the key.

    Raises:
        UserError: one was altered, is missing or cannot be read.
    """
    run = folder.runs / key
    wrong = [fault for fault in run_faults(folder, key) if fault.state != "orphaned"]
    if wrong:
        raise UserError(
            f"{run}: {wrong[0].state} ({wrong[0].detail}); `segstudy verify {folder.path} --repair` moves it "
            "aside"
        )
    checksums = read_json(run / RECORD)["sha256"]
    try:
        contents = {name: (run / name).read_bytes() for name in (*checksums, RECORD)}
    except OSError as error:
        raise UserError(f"{run}: cannot be read ({error}); check permissions and disk") from None
    for name, checksum in checksums.items():
        if hashlib.sha256(contents[name]).hexdigest() != checksum:
            raise UserError(f"{run / name}: changed while it was read; check that disk")
    return contents


def copy_file(file: Path, target: Path) -> None:
    """Copy a file, all of it at once.

    Raises:
        UserError: it cannot be read.
        DiskError: the copy cannot be written.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the permissions") from None
    with suppress(OSError):  # not there yet
        if target.read_bytes() == content:
            return
    make_folder(target.parent)
    write_bytes(target, content)


def newest_epoch(folder: StudyFolder, key: str) -> int:
    """Return the epoch of the newest saved state that is whole; 0 if there is none."""
    return max((int(file.stem) for file in whole_states(folder, key)), default=0)


def copy_states(source: StudyFolder, key: str, target: StudyFolder) -> None:
    """Copy the saved states of an unfinished run that are whole, the older one first."""
    place = target.checkpoints(key).folder
    states = whole_states(source, key)
    for file in states:
        copy_file(file, place / file.name)
    for file in place.glob(f"*{STATE}"):  # of a copy before the run went on
        if file.name not in {each.name for each in states}:
            file.unlink()
    progress = source.checkpoints(key).folder / PROGRESS
    if progress.is_file():
        copy_file(progress, place / PROGRESS)


def whole_states(folder: StudyFolder, key: str) -> list[Path]:
    """Return the saved states of a run that are whole, the older one first, without copies by hand."""
    files = sorted(folder.checkpoints(key).folder.glob(f"*{STATE}"))
    return [file for file in files if NUMBER.fullmatch(file.stem) and is_whole(file)]


def external_files(folder: StudyFolder) -> dict[str, Path]:
    """Return the folder of every set of external scores, by name."""
    return {name: path for name, path in complete_folders(folder.external).items() if _contents(path).keys()}


def copy_external(source: Path, target: Path) -> None:
    """Copy a folder of external scores, all of it at once."""
    contents = _contents(source)
    if not target.is_dir() or _contents(target) != contents:
        make_folder(target.parent)
        replace_folder(target, contents)


def _contents(folder: Path) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
