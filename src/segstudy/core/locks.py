"""Locks for one process at a time; a lock ends with the process that holds it, however that ends.

Where a file system has no flock (ENOSYS), filelock keeps a record in the file instead: process, host, and
when process and system started. A dead process of this host then holds nothing; whether a process of
another host is alive is unknown.
"""

import json
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.core.atomic_files import DiskError, make_folder
from segstudy.core.errors import UserError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_CATCHING = threading.Lock()  # filters of warnings belong to all threads
GRACE_S = 1.0  # a process that only checks whether a lock is held may hold it for this long


class HeldError(UserError):
    """Another process holds the lock."""


@contextmanager
def hold(file: Path, what: str, wait_s: float = GRACE_S) -> Iterator[None]:
    """Hold a lock while inside; the operating system frees it when the process ends, however that ends.

    The file names the holder and is removed afterwards. A copy of it in another folder locks nothing.

    Args:
        file: the lock; its folder is made.
        what: the locked thing, for the message: ``"this study"``.
        wait_s: how long to wait for another holder, in seconds.

    Raises:
        HeldError: naming the process and host that hold it.
        DiskError: when the file cannot be written.
    """
    from filelock import FileLock, Timeout  # `segstudy status` seldom needs them

    make_folder(file.parent)
    lock = FileLock(file, timeout=wait_s, thread_local=False)
    try:
        _acquire(lock)
    except Timeout:
        raise HeldError(
            f"{file.parent}: {holder(file)} is working on {what}; wait until it is done, or stop it"
            f"{_if_it_is_gone(file)}"
        ) from None
    except OSError as error:
        raise DiskError(file, error) from error
    try:
        _sign(file)
        yield
    finally:
        # Removed while held: a waiting process that has the old file open finds it gone and opens a new one.
        with suppress(OSError):
            file.unlink()
        lock.release()


def holder(file: Path) -> str:
    """Return the holder of a lock, as the file says: ``process 4711 on host ada since ...``."""
    if record := _record(file):
        return f"process {record[0]} on host {record[1].split('?')[0]}"  # a container's number follows the ?
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return f"process {said['pid']} on host {said['host']} (since {said['since']})"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"


def is_held(file: Path) -> bool:
    """Whether a living process holds a lock."""
    if not file.is_file():
        return False
    from filelock import FileLock, Timeout  # as above

    lock = FileLock(file, timeout=0, thread_local=False)
    try:
        _acquire(lock)
    except Timeout:
        return True
    except OSError:  # no permission to write: unknown
        return False
    lock.release()
    return False


def _acquire(lock: "BaseFileLock") -> None:
    with _CATCHING, warnings.catch_warnings():  # of the missing flock, which the user cannot change
        warnings.simplefilter("ignore")
        lock.acquire()


def _record(file: Path) -> tuple[int, str] | None:
    """Return process and host of a lock without flock, as filelock records them; None for other content."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return int(lines[0]), lines[1]
    except (OSError, ValueError, IndexError):
        return None


def _if_it_is_gone(file: Path) -> str:
    record = _record(file)
    if record is None or record[1] == socket.gethostname():
        return ""
    return f"; if that process has ended, delete {file}"


def _sign(file: Path) -> None:
    if _record(file):  # the record is what holds the lock
        return
    signature = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):  # on a full disk the lock holds without a name
        file.write_text(json.dumps(signature), encoding="utf-8")
