"""The content of files that hold many samples, kept so that it is not decoded again for each of them."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from segstudy.core.file_stamps import stamp_of

MAX_BYTES = 2**31  # of all contents together; the newest is kept in any case
MAX_FILES = 8  # image and mask, of the volumes that several threads are at

Key = tuple[int, ...]


@dataclass
class _Entry:
    """A content; who gets the lock first makes it, and the others wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    content: Any = None
    num_bytes: int = 0


class ContentCache:
    """Contents by file, the ones that were used last; safe to use from several threads."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES):
        self.max_bytes, self.max_files = max_bytes, max_files
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, stream: BinaryIO, make: Callable[[], tuple[Any, int]]) -> Any:
        """The content of a stream: kept if it is a file that did not change, else made.

        Args:
            stream: of a file; another one is not kept.
            make: returns the content and its size in bytes.
        """
        key = _key(stream)
        if key is None:
            return make()[0]
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
        with entry.lock:
            if entry.content is None:
                entry.content, entry.num_bytes = make()
                self._drop_oldest(entry)
        return entry.content

    @property
    def num_bytes(self) -> int:
        """Size of all contents."""
        return sum(entry.num_bytes for entry in self._entries.values())

    def _drop_oldest(self, newest: _Entry) -> None:
        with self._lock:
            for key, entry in list(self._entries.items()):
                if len(self._entries) <= self.max_files and self.num_bytes <= self.max_bytes:
                    return
                if entry is not newest and entry.content is not None:
                    del self._entries[key]


def _key(stream: BinaryIO) -> Key | None:
    """What changes when a file does; None of what is no file."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, AttributeError):
        return None
    return status.st_dev, *stamp_of(status)


CONTENTS = ContentCache()
