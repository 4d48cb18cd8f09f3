"""Durable writing, the only place that writes a study's files: whole or not at all, also after a power cut.

What is written lies aside first (``<name>.<writer>.new``, ``<name>.partial``), is flushed to the disk and
then renamed, which every file system does at once. Whatever fails leaves what stood there before, and becomes
a ``DiskError`` that says what to do. Nobody else writes a file under the same name aside, and what a living
process is writing can be told from what a dead one left; folders are written under a lock.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal

from segstudy.core.errors import UserError

NEW, PARTIAL = ".new", ".partial"  # endings of what is being written, or was when a process died
OLD, FRESH = ".old", ".fresh"  # endings of what is being replaced, and of what replaces it
LOOKS = 100  # at a folder in which another process renames something at every look
_swept: set[Path] = set()  # folders in which this process looked for what dead ones left
WRITER = re.compile(r"\.([0-9a-f]{6})-([0-9]+)-([0-9]+)-[0-9a-f]{8}\.new$")

# Names that Windows keeps for devices.
DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])( *\..*)?", re.IGNORECASE)

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
    aside = _aside(file, NEW)
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

    A folder that is there already stays as it is: its maker wrote the same content. Its name aside is not
    the writer's own, so it is written under a lock.

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

    Between two renames nothing stands there; the old folder lies aside as ``.<name>.old`` then, where
    ``complete_folders`` finds it, and is put back by the next writer. One at a time.

    Raises:
        DiskError: when it cannot be written; what stood there is as it was.
    """
    old, fresh = folder.with_name(f".{folder.name}{OLD}"), folder.with_name(f".{folder.name}{FRESH}")
    with _or_disk_error(folder):
        put_back(folder)
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


def put_back(folder: Path) -> bool:
    """Undo a replacement that was cut short between its two renames; whether there was one."""
    old = folder.with_name(f".{folder.name}{OLD}")
    if folder.exists() or not _is_filled(old):
        return False
    old.rename(folder)
    return True


def complete_folders(parent: Path) -> dict[str, Path]:
    """The folders in a folder by name, in order; between the two renames of a replacement the old one."""
    for _ in range(LOOKS):
        there = _folders(parent)
        found = {p.name: p for p in there if not (p.name.startswith(".") or p.suffix == PARTIAL)}
        hidden = {p.stem[1:]: p for p in there if p.name.startswith(".") and p.suffix == OLD}
        aside = {name: path for name, path in hidden.items() if _is_filled(path)}
        gone = hidden.keys() - aside.keys() - found.keys()  # emptied, so the new one was there meanwhile
        if not gone and there == _folders(parent):  # what is renamed meanwhile may be missed
            break
    return dict(sorted((aside | found).items()))


def _folders(parent: Path) -> set[Path]:
    try:
        return {Path(entry.path) for entry in os.scandir(parent) if entry.is_dir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _is_filled(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:  # not there, or no longer
        return False


def writer_of(path: Path) -> Literal["alive", "dead", "elsewhere"]:
    """What became of the process that wrote something aside; on another machine nobody can tell."""
    said = WRITER.search(path.name)
    if said is None:  # written by an older version, or under a lock
        return "dead"
    if said[1] != _machine():
        return "elsewhere"
    return "alive" if _began(int(said[2])) == int(said[3]) else "dead"


def _aside(target: Path, ending: str) -> Path:
    """A name beside the target that nobody else writes under, and that says who does.

    What dead processes left there is removed, on the first writing into a folder.
    """
    _remove(target.with_name(target.name + ending))  # as older versions called it
    if target.parent not in _swept:
        _swept.add(target.parent)
        with suppress(OSError):
            left = [entry.name for entry in os.scandir(target.parent) if WRITER.search(entry.name)]
            for path in (target.with_name(name) for name in left):
                if writer_of(path) == "dead":
                    _remove(path)
    writer = f"{_machine()}-{os.getpid()}-{_began(os.getpid())}-{secrets.token_hex(4)}"
    return target.with_name(f"{target.name}.{writer}{ending}")


@cache
def _machine() -> str:
    """Where a process's number and beginning are its alone: a machine since its start, or a container."""
    said = [socket.gethostname()]
    with suppress(OSError):
        said.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        said.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(said).encode()).hexdigest()[:6]


def _began(pid: int) -> int:
    """When a process began, in ticks since the machine did or, where there is no /proc, in ms; 0 for none."""
    with suppress(OSError, ValueError, IndexError):
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")  # proc(5)
        state, *numbers = said.rpartition(")")[2].split()
        return 0 if state in "ZX" else int(numbers[18])
    if Path("/proc/self/stat").exists():
        return 0
    import psutil  # what writing does without on Linux

    try:
        return int(psutil.Process(pid).create_time() * 1000)
    except psutil.Error:
        return 0


def file_name(name: str) -> str:
    """A name as that of a file or folder, on any system.

    Characters that some systems refuse become ``-``, and dots and spaces around it go. Windows keeps some
    names for devices, whatever follows a dot.

    >>> file_name("my.py:Net-bce-b8"), file_name("aux.v2"), file_name("a/b: *?.")
    ('my.py-Net-bce-b8', '-aux.v2', 'a-b- --')
    """
    plain = re.sub(r"[^\w.=+ -]", "-", name).strip(". ") or "-"
    return f"-{plain}" if DEVICE.fullmatch(plain) else plain


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
            _remove(aside)
        raise DiskError(target, error) from error


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


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
