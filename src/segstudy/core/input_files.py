"""Files that a user names or gives: regular ones, and no larger than what they are to hold.

A name may lead to a device that never ends, to a pipe that nobody fills, or to gigabytes.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MB = 10**6
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe must not block


def open_regular(file: Path) -> BinaryIO:
    """Open a file for reading, if it is one.

    Raises:
        OSError: it cannot be opened, or is a folder, a device, a pipe or a socket.
    """
    descriptor = os.open(file, FLAGS)
    try:
        status = os.fstat(descriptor)
        mode = status.st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "no regular file, but a device or a pipe", str(file))
        if not status.st_size and os.read(
            descriptor, 1
        ):  # raises where it would wait for what is yet to come
            os.lseek(descriptor, 0, os.SEEK_SET)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(file: Path, max_bytes: int) -> bytes:
    """The whole of a file.

    Raises:
        OSError: as ``open_regular``, or it is larger than that.
    """
    with open_regular(file) as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes / MB:g} MB", str(file))
    return content


def read_text(file: Path, max_bytes: int, encoding: str = "utf-8") -> str:
    """Read a file as text, with line ends of every system as one.

    Raises:
        OSError: as there.
        UnicodeDecodeError: other bytes than the encoding has.
    """
    return read_bytes(file, max_bytes).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
