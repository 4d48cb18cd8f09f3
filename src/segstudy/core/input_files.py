"""Files that a user names or gives: regular ones, and no larger than what they are to hold.

A name may lead to a device that never ends, to a pipe that nobody fills, or to gigabytes.
"""

import codecs
import errno
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from segstudy.core.errors import UserError, printable

log = logging.getLogger(__name__)

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
            raise OSError(errno.EINVAL, "not a regular file, but a device or a pipe", str(file))
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


def read_text(file: Path, max_bytes: int) -> str:
    """The text of a file that a user wrote, whatever system and program it was written with.

    UTF-8 and UTF-16 are read with a byte order mark or without, UTF-32 with one; so are the line ends of
    every system. Other bytes are read as Windows-1252, and a warning says so (see ``collected_encodings``).

    Raises:
        OSError: as ``read_bytes``.
        UserError: no text.
    """
    text, encoding = decoded(read_bytes(file, max_bytes), str(file))
    if encoding == WINDOWS:
        _name_encoding(file)
    return text


def _name_encoding(file: Path) -> None:
    files = _collecting.get()
    if files is not None:
        files.append(file)
    elif file not in _named:
        _named.add(file)
        log.warning("%s", printable(f"{file}: {NOT_UTF8}"))


@contextmanager
def collected_encodings() -> Iterator[list[Path]]:
    """Collect the files that ``read_text`` reads as Windows-1252, in place of a line in the log for each."""
    files: list[Path] = []
    before = _collecting.set(files)
    try:
        yield files
    finally:
        _collecting.reset(before)


WINDOWS = "Windows-1252"
NOT_UTF8 = f"is not UTF-8; read as {WINDOWS}; save it as UTF-8 if any letter is wrong"
LEAST_ZERO_FRAC = 0.125  # of the bytes, from which on text may be in UTF-16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as the mark of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")  # control characters that no text has
_UTF8_LETTER = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}")
_named: set[Path] = set()  # files whose encoding was said already
_collecting: ContextVar[list[Path] | None] = ContextVar("collecting", default=None)


def decoded(content: bytes, name: str) -> tuple[str, str]:
    """Text from bytes, with one line end, and the encoding that it had.

    Raises:
        UserError: no text, or cut off.
    """
    mark, encoding = next(((m, e) for m, e in _MARKS if content.startswith(m)), (b"", ""))
    encoding = encoding or _without_mark(content, name)
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8" and not mark:
            raise UserError(f"{name}: is not text; give a text file in UTF-8") from None
        if mark:
            kind = encoding.upper().removesuffix("-LE").removesuffix("-BE")
            raise UserError(f"{name}: is cut off or damaged {kind} text; save it as UTF-8") from None
        text, encoding = _as_windows(content, name), WINDOWS
    if encoding != "utf-8" and _NO_TEXT.search(text):
        raise UserError(f"{name}: is not text; give a text file in UTF-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\n\ufeff", "\n"), encoding  # marks within, of files that were joined


def _without_mark(content: bytes, name: str) -> str:
    """The encoding of text without a mark: of UTF-16 every second byte of plain letters is zero.

    Raises:
        UserError: some bytes are zero, but too few.
    """
    if b"\0" not in content:
        return "utf-8"
    if content.count(0) < LEAST_ZERO_FRAC * len(content):
        raise UserError(f"{name}: is not text, because it contains zero bytes; give a text file in UTF-8")
    return "utf-16-le" if content[1::2].count(0) > content[::2].count(0) else "utf-16-be"


def _as_windows(content: bytes, name: str) -> str:
    if _UTF8_LETTER.search(content):
        raise UserError(f"{name}: is UTF-8 with other bytes within; save it as UTF-8 again")
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:  # five bytes stand for nothing there
        raise UserError(f"{name}: is neither UTF-8 nor UTF-16 text; save it as UTF-8") from None
