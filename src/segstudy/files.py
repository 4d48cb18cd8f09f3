"""Durable writing, the only place that writes a study's files: whole or not at all, also after a power cut.

What is written lies aside first (``<name>.new``, ``<name>.partial``), is flushed to the disk and then
renamed, which every file system does at once. Whatever fails leaves what stood there before, and becomes a
``DiskError`` that says what to do.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from segstudy.errors import UserError

NEW, PARTIAL = ".new", ".partial"  # endings of what is being written, or was when a process died

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)


class DiskError(UserError):
    """A file or folder could not be written.

    Attributes:
        full: whether room was what lacked.
    """

    def __init__(self, path: Path, error: OSError):
        self.full = error.errno in FULL
        if self.full:
            remedy = "free some room on that disk and run again: what is finished stays"
        elif error.errno in REFUSED:
            remedy = "check name and permissions, or choose another folder with --out"
        else:
            remedy = "look after that disk, then run again: what is finished stays"
        super().__init__(f"{path}: cannot be written ({error.strerror or error}); {remedy}")


def write_bytes(file: Path, *data: bytes | memoryview) -> None:
    """Put a whole file in place of what stood there; several pieces of data follow each other.

    Raises:
        DiskError: when it cannot be written; what stood there is as it was.
    """
    aside = file.with_name(file.name + NEW)
    with _or_disk_error(file, aside):
        _write(aside, *data)
        aside.replace(file)
        _sync_folder(file.parent)


def write_text(file: Path, text: str) -> None:
    """As ``write_bytes``, in UTF-8; a file that says so already is left alone.

    Raises:
        DiskError: when it cannot be written; what stood there is as it was.
    """
    data = text.encode()
    with suppress(OSError):  # unreadable or absent: it is written
        if file.read_bytes() == data:
            return
    write_bytes(file, data)


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder with these files, all of them at once.

    A folder that is there already stays as it is: whoever made it had the same to say.

    Raises:
        DiskError: when it cannot be written; nothing of it is there then.
    """
    building = folder.with_name(folder.name + PARTIAL)
    with _or_disk_error(folder, building):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        for name, data in contents.items():
            _write(building / name, data)
        _sync_folder(building)
        if not folder.exists():
            building.rename(folder)
            _sync_folder(folder.parent)
        else:
            shutil.rmtree(building)


def replace_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """As ``write_folder``, but what stood there goes once the new one is complete.

    Between two renames nothing stands there; the old folder lies aside as ``.<name>.old`` then, and is put
    back by whoever comes next.

    Raises:
        DiskError: when it cannot be written; what stood there is as it was.
    """
    old, fresh = folder.with_name(f".{folder.name}.old"), folder.with_name(f".{folder.name}.fresh")
    with _or_disk_error(folder):
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
    write_folder(fresh, contents)
    with _or_disk_error(folder, fresh):
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        _sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless they are there.

    Raises:
        DiskError: when it cannot be made.
    """
    with _or_disk_error(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _or_disk_error(target: Path, aside: Path | None = None) -> Iterator[None]:
    """Name what could not be written, and give back the room that half of it took."""
    try:
        yield
    except OSError as error:
        if aside is not None:
            with suppress(OSError):
                shutil.rmtree(aside) if aside.is_dir() else aside.unlink(missing_ok=True)
        raise DiskError(target, error) from error


def _write(file: Path, *data: bytes | memoryview) -> None:
    with file.open("wb") as stream:
        for piece in data:
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder last. Where that fails, what was renamed is in place all the same."""
    if os.name != "posix":  # other systems have no such thing, and their own promises
        return
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)
