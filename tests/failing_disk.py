"""A disk that fails at the n-th thing asked of it, under one folder: full, or broken."""

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Every way in which files.py, and whoever goes around it, can change a folder.
CALLS = ("mkdir", "rename", "replace", "fsync")


class FailingDisk:
    """Counts what is asked of the disk under a folder, and lets it fail from the n-th request on.

    A write that fails has written half of its bytes, as a real one may.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        self.folder = str(folder)
        self.count = 0
        self.fails_at: range = range(0)
        self.error = errno.ENOSPC
        for name in CALLS:
            patch.setattr(os, name, self._failing(getattr(os, name)))
        patch.setattr(io, "open", self._opening(io.open))

    def fail(self, at: int, error: int, times: int = 10**9) -> None:
        """From the next request on: the one with this number (from 0) fails, and those after it."""
        self.count, self.fails_at, self.error = 0, range(at, at + times), error

    def mend(self) -> bool:
        """Nothing fails any more; returns whether anything did."""
        failed = self.count > self.fails_at.start
        self.count, self.fails_at = 0, range(0)
        return failed

    def _asked(self) -> bool:
        self.count += 1
        return self.count - 1 in self.fails_at

    def _refused(self, path: object) -> OSError:
        return OSError(self.error, os.strerror(self.error), str(path))

    def _here(self, path: object) -> bool:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        return str(path).startswith(self.folder)

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any, *args: Any, **kwargs: Any) -> Any:
            if self._here(path) and self._asked():
                raise self._refused(path)
            return call(path, *args, **kwargs)

        return asked

    def _opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not self._here(path) or not set(mode) & set("wax+"):
                return call(path, mode, *args, **kwargs)
            if self._asked():
                raise self._refused(path)
            stream = call(path, mode, *args, **kwargs)
            return _FailingStream(stream, self) if "b" in mode else stream

        return asked


class _FailingStream:
    """A file whose writes the disk may refuse half way."""

    def __init__(self, stream: Any, disk: FailingDisk):
        self._stream, self._disk = stream, disk

    def write(self, data: bytes) -> int:
        if self._disk._asked():
            self._stream.write(data[: len(data) // 2])
            self._stream.flush()
            raise self._disk._refused(self._stream.name)
        written: int = self._stream.write(data)
        return written

    def __enter__(self) -> "_FailingStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
