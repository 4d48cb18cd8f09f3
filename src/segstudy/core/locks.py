"""One at a time: locks that end with the process that holds them, however it ends.

Where a file system has no flock (ENOSYS), filelock keeps a record in the file instead: process, host, and
when process and system started. A dead process of this host then holds nothing; of another host nobody can
tell.
"""

import json
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from segstudy.core.atomic_files import DiskError, make_folder
from segstudy.core.errors import UserError

GRACE_S = 1.0  # somebody who only looks whether a lock is held may hold it that long


class HeldError(UserError):
    """Somebody else is at work there."""


@contextmanager
def hold(file: Path, what: str, wait_s: float = GRACE_S) -> Iterator[None]:
    """Hold a lock; the operating system takes it back when the process ends, so a dead holder holds nothing.

    The file says who holds it and is gone afterwards. A copy of it in another folder locks nothing.

    Args:
        file: the lock; its folder is made.
        what: is being worked on, for the message: ``"this study"``.
        wait_s: how long to wait for another holder, in seconds.

    Raises:
        HeldError: naming the process and host that hold it.
        DiskError: when the file cannot be written.
    """
    make_folder(file.parent)
    lock = FileLock(file, timeout=wait_s, thread_local=False)
    try:
        _acquire(lock)
    except Timeout:
        raise HeldError(
            f"{file.parent}: {holder(file)} is at work on {what}; wait until it is done, or stop it"
            f"{_if_it_is_gone(file)}"
        ) from None
    except OSError as error:
        raise DiskError(file, error) from error
    try:
        _sign(file)
        yield
    finally:
        # Removed while held: a process that waits with the old file open finds no name and opens it again.
        with suppress(OSError):
            file.unlink()
        lock.release()


def holder(file: Path) -> str:
    """Who holds a lock, by its own words: ``process 4711 on host ada since ...``."""
    if record := _record(file):
        return f"process {record[0]} on host {record[1].split('?')[0]}"  # after ? stands a container's number
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return f"process {said['pid']} on host {said['host']} (since {said['since']})"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"


def is_held(file: Path) -> bool:
    """Whether a living process holds a lock."""
    if not file.is_file():
        return False
    lock = FileLock(file, timeout=0, thread_local=False)
    try:
        _acquire(lock)
    except Timeout:
        return True
    except OSError:  # not ours to write: nobody can tell
        return False
    lock.release()
    return False


def _acquire(lock: BaseFileLock) -> None:
    with warnings.catch_warnings():  # that there is no flock here: nothing that its user could change
        warnings.simplefilter("ignore")
        lock.acquire()


def _record(file: Path) -> tuple[int, str] | None:
    """Process and host of a lock without flock, as filelock writes them down; None for any other content."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return int(lines[0]), lines[1]
    except (OSError, ValueError, IndexError):
        return None


def _if_it_is_gone(file: Path) -> str:
    record = _record(file)
    if record is None or record[1] == socket.gethostname():
        return ""
    return f"; if it was killed on that host, nothing here can tell: delete {file}"


def _sign(file: Path) -> None:
    if _record(file):  # who holds it stands there, and is what holds it
        return
    signature = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):  # on a full disk the lock holds without a name
        file.write_text(json.dumps(signature), encoding="utf-8")
