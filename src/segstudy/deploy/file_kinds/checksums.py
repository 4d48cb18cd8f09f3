"""The checksum at the end of an exported file, written at the export and checked when the file is opened.

It covers the metadata and the files beside it too: an altered threshold or way to resize gives wrong masks as
altered weights do.
"""

import hashlib
from pathlib import Path

from segstudy.core.checksums import sha256_of
from segstudy.core.errors import UserError
from segstudy.deploy.file_kinds import FileKind, kind_of

DIGITS = 64


def with_checksum(kind: FileKind, content: bytes, *beside: bytes) -> bytes:
    """Return the content of a file with the checksum of it and of the files beside it."""
    before, after = kind.checksum
    return content + before + hashlib.sha256(b"".join([content, *beside])).hexdigest().encode() + after


def has_right_checksum(file: Path) -> bool:
    """Whether an exported file has a checksum; a wrong one is an error.

    Raises:
        UserError: the checksum is not that of the content, or the file cannot be read.
    """
    kind = kind_of(file)
    before, after = kind.checksum
    length = len(before) + DIGITS + len(after)
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            stream.seek(max(0, size - length))
            end = stream.read(length)
        if not (len(end) == length and end.startswith(before) and end.endswith(after)):
            return False
        found = sha256_of(*kind.files(file), num_bytes=size - length)
    except OSError as error:
        raise UserError(
            f"{error.filename}: cannot be read ({error.strerror}); export the model again"
        ) from None
    if found != end[len(before) : len(before) + DIGITS].decode("ascii", "replace"):
        raise altered(file)
    return True


def is_sound(file: Path) -> bool:
    """Whether an exported file is as it was written."""
    try:
        return has_right_checksum(file)
    except UserError:
        return False


def altered(file: Path) -> UserError:
    """Return the error for an exported file that is not as it was written."""
    beside = "".join(f" or its {suffix}" for suffix in kind_of(file).beside)
    return UserError(
        f"{file}: it{beside} was altered after the export (its SHA-256 is different); export the model again"
    )
