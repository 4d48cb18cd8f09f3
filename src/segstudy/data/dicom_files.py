"""DICOM files within bounds: what kind of object one is, without pydicom, and its elements, with it.

Only the elements that are asked for are kept, so that names of patients are never in memory for long.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from segstudy.core.input_files import open_regular
from segstudy.data.bare_dicom import (
    CLASS_TAG,
    EXPLICIT,
    INSTANCE_TAG,
    FirstElements,
    first_elements,
    preamble_for,
    syntax_of,
)
from segstudy.data.decoding_limits import ExcessError
from segstudy.data.image_errors import FormatError
from segstudy.data.image_formats import SNIFFED_BYTES

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

MAX_READS = 1_000_000  # of elements, two or three each: some seconds
MAX_INFLATED_BYTES = 2**28
MAX_META = 64  # elements of the file's own header; the standard has 15
META_AT = 132
SEGMENTATIONS = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # a frame for each segment
    "1.2.840.10008.5.1.4.1.1.66.7",  # label maps
)
DEFLATED = "1.2.840.10008.1.2.1.99"
DAMAGED = "a damaged DICOM file; copy or export it again"
_CLASS, _INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010
_LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
# Of odd elements; they quote values, such as names of patients.
warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\.")
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)


@dataclass(frozen=True)
class FileMeta:
    """The header of a DICOM file.

    Attributes:
        sop_class: which kind of object it is, as a UID.
        instance: its own UID.
        syntax: how it is encoded, as a UID.
        end: where its elements begin.
    """

    sop_class: str
    instance: str
    syntax: str
    end: int


def read_meta(stream: BinaryIO) -> FileMeta:
    """Read the header, which is encoded the same way in all files.

    Raises:
        FormatError: damaged.
    """
    if bare := bare_elements(stream):
        return FileMeta(bare.text(CLASS_TAG), bare.text(INSTANCE_TAG), syntax_of(bare), 0)
    stream.seek(META_AT)
    found: dict[int, str] = {}
    for _ in range(MAX_META):
        at = stream.tell()
        head = stream.read(8)
        if len(head) < 8 or head[:2] != b"\x02\0":
            stream.seek(at)
            return FileMeta(found.get(_CLASS, ""), found.get(_INSTANCE, ""), found.get(_SYNTAX, ""), at)
        (number,) = struct.unpack("<H", head[2:4])
        long = stream.read(4) if head[4:6] in _LONG else head[6:8]
        length = int.from_bytes(long, "little")
        if length > 2**16:
            break
        found[number] = stream.read(length).decode("ascii", errors="replace").rstrip("\0 ")
    raise FormatError(DAMAGED)


def bare_elements(stream: BinaryIO) -> FirstElements | None:
    """The first elements of a file without a preamble; None of one that has it."""
    stream.seek(0)
    head = stream.read(SNIFFED_BYTES)
    return None if head[META_AT - 4 : META_AT] == b"DICM" else first_elements(head)


def meta_of(file: Path) -> FileMeta | None:
    """The header of a file; None of one that is no DICOM file, or cannot be read."""
    try:
        with open_regular(file) as stream:
            stream.seek(META_AT - 4)
            is_dicom = stream.read(4) == b"DICM" or bare_elements(stream) is not None
            return read_meta(stream) if is_dicom else None
    except (OSError, FormatError):
        return None


def read_elements(stream: BinaryIO, names: Iterable[str], with_pixels: bool = False) -> "FileDataset":
    """Read some elements of a file, by their keywords.

    Args:
        stream: the file.
        names: of the elements; those in sequences are all kept.
        with_pixels: the picture too; else reading ends before it.

    Raises:
        FormatError: damaged.
        ExcessError: it asks for too much.
    """
    from pydicom import config
    from pydicom.datadict import tag_for_keyword
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_partial
    from pydicom.tag import BaseTag

    config.settings.reading_validation_mode = config.IGNORE  # its warnings quote values, such as names
    wanted = [BaseTag(tag) for name in names if (tag := tag_for_keyword(name)) is not None]
    wanted += [BaseTag(tag) for tag in PIXELS] if with_pixels else []

    def ends(tag: Any, *_: object) -> bool:
        return not with_pixels and tag in PIXELS

    with refused():
        try:
            return read_partial(_bounded(stream), ends, specific_tags=wanted)  # type: ignore[arg-type]
        except InvalidDicomError:
            raise FormatError(DAMAGED) from None


# What pydicom raises on damaged files: RuntimeError includes too deep recursion.
BROKEN = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError),
    *(OSError, RuntimeError, TypeError, ValueError, struct.error, zlib.error),
)


@contextmanager
def refused(detail: str = DAMAGED) -> Iterator[None]:
    """Let what pydicom raises inside the block be an error with this detail."""
    try:
        yield
    except ExcessError:
        raise
    except BROKEN:
        raise FormatError(detail) from None


def _bounded(stream: BinaryIO) -> "_Bounded":
    meta = read_meta(stream)
    if bare := bare_elements(stream):
        if stream.seek(0, io.SEEK_END) > MAX_INFLATED_BYTES:
            raise ExcessError(f"a file of more than {MAX_INFLATED_BYTES // 2**20} MiB without a preamble")
        stream.seek(0)
        stream = io.BytesIO(preamble_for(bare) + stream.read())
    if meta.syntax == DEFLATED:
        stream.seek(0)
        head = stream.read(meta.end)
        plain = EXPLICIT.encode().ljust(len(DEFLATED), b"\0")
        stream = io.BytesIO(head.replace(DEFLATED.encode(), plain) + _inflated(stream.read()))
    stream.seek(0)
    return _Bounded(stream)


def _inflated(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(content, MAX_INFLATED_BYTES)
    except zlib.error:
        raise FormatError(DAMAGED) from None
    if unpacker.unconsumed_tail:
        raise ExcessError(f"more than {MAX_INFLATED_BYTES // 2**20} MiB when it is inflated")
    return found


class _Bounded:
    """A stream of which only so much can be asked."""

    def __init__(self, stream: BinaryIO):
        self._stream, self._reads = stream, 0
        self._end = stream.seek(0, io.SEEK_END)
        stream.seek(0)

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise ExcessError("more elements than any picture has")
        left = max(0, self._end - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))  # a length may lie

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def text_of(elements: "FileDataset", name: str) -> str:
    """The text of an element; nothing where it is missing or broken."""
    try:
        return str(elements.get(name, "") or "").strip()
    except BROKEN:
        return ""


KINDS: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.1.1.481.3": "contours (RT Structure Set), which are not read; rasterise them "
    "(3D Slicer, plastimatch) to DICOM-SEG or NIfTI",
    "1.2.840.10008.1.3.10": "a directory of files (DICOMDIR); leave it out",
    "1.2.840.10008.5.1.4.1.1.104.1": "a PDF in DICOM; leave it out",
}


def without_pixels(meta: FileMeta) -> FormatError:
    """The error of a DICOM file that holds no picture."""
    what = KINDS.get(meta.sop_class, "no picture (such as a report); leave it out")
    return FormatError(f"a DICOM file that holds {what}")
