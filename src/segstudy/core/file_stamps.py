"""File stamps: numbers that change when a file does, compared instead of reading it."""

import os
from typing import NamedTuple

UNSETTLED_NS = 2_000_000_000  # a file changed so lately may change again within the same tick of its clock


class FileStamp(NamedTuple):
    """Size and times of a file.

    Attributes:
        num_bytes: its size.
        content_ns: the time of the last change of its content.
        entry_ns: the time of the last change of its entry in the file system.
        inode: the number of that entry; another one if the file was replaced.
    """

    num_bytes: int
    content_ns: int
    entry_ns: int
    inode: int

    @property
    def latest_ns(self) -> int:
        """The later of the two times."""
        return max(self.content_ns, self.entry_ns)


def stamp_of(status: os.stat_result) -> FileStamp:
    """Return the stamp of a file from its status."""
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
