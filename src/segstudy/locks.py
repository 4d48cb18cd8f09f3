"""One at a time: locks that end with the process that holds them, however it ends."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from segstudy.errors import UserError
from segstudy.files import DiskError, make_folder

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
        lock.acquire()
    except Timeout:
        raise HeldError(
            f"{file.parent}: {holder(file)} is at work on {what}; wait until it is done, or stop it"
        ) from None
    except OSError as error:
        raise DiskError(file, error) from error
    try:
        _sign(file)
        yield
    finally:
        # Removed while it is held: whoever waits with the old file open finds it nameless and opens it anew.
        with suppress(OSError):
            file.unlink()
        lock.release()


def holder(file: Path) -> str:
    """Who holds a lock, by its own words: ``process 4711 on host ada since ...``."""
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
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # not ours to write: nobody can tell
        return False
    lock.release()
    return False


def _sign(file: Path) -> None:
    signature = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):  # on a full disk the lock holds without a name
        file.write_text(json.dumps(signature), encoding="utf-8")
