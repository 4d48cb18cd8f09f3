"""Durable writing of a study's files: whole or not at all, even in a power cut. No other module writes them.

Data are first written under a temporary name (``<name>.<writer>.new``, ``<name>.partial``), flushed to the
disk and then renamed, which every file system does at once. A failure leaves the old file in place and
becomes a ``DiskError`` that says what to do. The temporary name of a file contains its writer, so that files
of a living process can be distinguished from those of a dead one; folders are written under a lock.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal

from segstudy.core.errors import UserError

NEW, PARTIAL = ".new", ".partial"  # endings of files that are, or were, being written
OLD, FRESH = ".old", ".fresh"  # endings of what is being replaced, and of what replaces it
LOOKS = 100  # listings of a folder in which another process renames something each time
_swept: set[Path] = set()  # folders in which files of dead processes were removed
WRITER = re.compile(r"\.([0-9a-f]{6})-([0-9]+)-([0-9]+)-[0-9a-f]{8}\.new$")

# Names that Windows keeps for devices.
DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])( *\..*)?", re.IGNORECASE)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)


class DiskError(UserError):
    """A file or folder could not be written.

    Attributes:
        full: whether the disk was full.
    """

    def __init__(self, path: Path, error: OSError):
        self.full = error.errno in FULL
        if self.full:
            remedy = "free some space on that disk and run again; finished runs are kept"
        elif error.errno in REFUSED:
            remedy = "check name and permissions, or choose another folder with --out"
        else:
            remedy = "check that disk, then run again; finished runs are kept"
        super().__init__(f"{path}: cannot be written ({error.strerror or error}); {remedy}")


def write_bytes(file: Path, *data: bytes | memoryview) -> None:
    """Write a whole file in place of the old one; several pieces of data follow each other.

    Raises:
        DiskError: when it cannot be written; the old content is unchanged.
    """
    aside = _aside(file, NEW)
    with _or_disk_error(file, aside):
        _write(aside, data)
        aside.replace(file)
        _sync_folder(file.parent)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a path to write a file to, which then takes the old one's place.

    Raises:
        DiskError: when it cannot be written; the old content is unchanged.
    """
    aside = _aside(file, NEW)
    try:
        with _or_disk_error(file, aside):
            yield aside
            with aside.open("rb+") as stream:
                os.fsync(stream.fileno())
            aside.replace(file)
            _sync_folder(file.parent)
    finally:
        _remove(aside)  # if making the content failed


def write_pieces(file: Path, pieces: Iterable[bytes]) -> None:
    """Write a whole file in place of the old one, piece by piece: it may be larger than memory.

    Raises:
        DiskError: when it cannot be written; the old content is unchanged.
    """
    aside = _aside(file, NEW)
    try:
        with _or_disk_error(file, aside):
            _write(aside, pieces)
            aside.replace(file)
            _sync_folder(file.parent)
    finally:
        _remove(aside)  # if reading the pieces failed


def write_text(file: Path, text: str) -> None:
    """Write text in UTF-8, as ``write_bytes`` does; a file with this content already is left alone.

    Raises:
        DiskError: when it cannot be written; the old content is unchanged.
    """
    data = text.encode()
    with suppress(OSError):  # unreadable or absent: it is written
        if file.read_bytes() == data:
            return
    write_bytes(file, data)


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder with these files, all of them at once.

    A folder that exists already stays as it is: it has the same content. Its temporary name does not contain
    the writer, so it is written under a lock.

    Raises:
        DiskError: when it cannot be written; nothing of it is there then.
    """
    building = folder.with_name(folder.name + PARTIAL)
    with _or_disk_error(folder, building):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        for name, data in contents.items():
            _write(building / name, [data])
        _sync_folder(building)
        if not folder.exists():
            building.rename(folder)
            _sync_folder(folder.parent)
        else:
            shutil.rmtree(building)


def replace_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a folder as ``write_folder`` does, and replace the old one once the new one is complete.

    Between two renames there is no folder of this name; the old one is called ``.<name>.old`` then. It is
    found by ``complete_folders`` and put back by the next writer. One writer at a time.

    Raises:
        DiskError: when it cannot be written; the old content is unchanged.
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
    """Undo a replacement that was interrupted between its two renames; True if there was one."""
    old = folder.with_name(f".{folder.name}{OLD}")
    if folder.exists() or not _is_filled(old):
        return False
    old.rename(folder)
    return True


def complete_folders(parent: Path) -> dict[str, Path]:
    """Return the folders in a folder by name, in order; during a replacement, the old one."""
    for _ in range(LOOKS):
        there = _folders(parent)
        found = {p.name: p for p in there if not (p.name.startswith(".") or p.suffix == PARTIAL)}
        hidden = {p.stem[1:]: p for p in there if p.name.startswith(".") and p.suffix == OLD}
        aside = {name: path for name, path in hidden.items() if _is_filled(path)}
        gone = hidden.keys() - aside.keys() - found.keys()  # emptied, so the new one was there by then
        if not gone and there == _folders(parent):  # a folder that is renamed in the meantime may be missed
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
    """Return the state of the process that wrote a temporary file; unknown if it ran on another machine."""
    said = WRITER.search(path.name)
    if said is None:  # written by an older version, or under a lock
        return "dead"
    if said[1] != _machine():
        return "elsewhere"
    return "alive" if _began(int(said[2])) == int(said[3]) else "dead"


def _aside(target: Path, ending: str) -> Path:
    """Return a temporary name beside the target that contains its writer.

    Files that dead processes left are removed at the first writing into a folder.
    """
    _remove(target.with_name(target.name + ending))  # as older versions called it
    remove_dead(target.parent)
    writer = f"{_machine()}-{os.getpid()}-{_began(os.getpid())}-{secrets.token_hex(4)}"
    return target.with_name(f"{target.name}.{writer}{ending}")


def remove_dead(folder: Path) -> None:
    """Remove what dead processes of this machine were writing in a folder; this process looks only once."""
    if folder in _swept:
        return
    _swept.add(folder)
    with suppress(OSError):
        left = [entry.name for entry in os.scandir(folder) if WRITER.search(entry.name)]
        for path in (folder / name for name in left):
            if writer_of(path) == "dead":
                _remove(path)


def own_folder(parent: Path) -> Path:
    """Make a folder for this process alone; those that dead processes of this machine left there are removed.

    Raises:
        DiskError: when it cannot be made.
    """
    make_folder(parent)
    folder = beside(parent / "process")
    make_folder(folder)
    return folder


def beside(folder: Path) -> Path:
    """Return a name beside a folder, to build it there; what dead processes left beside it is removed."""
    return _aside(folder, NEW)


@cache
def _machine() -> str:
    """Return what identifies the machine since its start, or the container: there process ids are unique."""
    said = [socket.gethostname()]
    with suppress(OSError):
        said.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        said.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(said).encode()).hexdigest()[:6]


def _began(pid: int) -> int:
    """Return when a process began: in ticks since the machine's start or, without /proc, in ms; 0 if none."""
    with suppress(OSError, ValueError, IndexError):
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")  # proc(5)
        state, *numbers = said.rpartition(")")[2].split()
        return 0 if state in "ZX" else int(numbers[18])
    if Path("/proc/self/stat").exists():
        return 0
    import psutil  # not needed on Linux

    try:
        return int(psutil.Process(pid).create_time() * 1000)
    except psutil.Error:
        return 0


def file_name(name: str) -> str:
    """Return a name as that of a file or folder on any system.

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
    """Turn an error into a ``DiskError`` that names the file, and remove the half that was written."""
    try:
        yield
    except OSError as error:
        if aside is not None:
            _remove(aside)
        raise DiskError(target, error) from error


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _write(file: Path, pieces: Iterable[bytes | memoryview]) -> None:
    with file.open("wb") as stream:
        for piece in pieces:
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Flush a rename in this folder to the disk. If that fails, the rename itself is still done."""
    if os.name != "posix":  # other systems cannot do this
        return
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)
