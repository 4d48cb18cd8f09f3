"""Zip files without compression, of which every byte follows from names and contents: equal in, equal out.

Other zip writers add times, owners and their version. Here a header is a function of name, size and CRC-32
alone, so a reader can compare each byte. Zip64 is used where sizes or counts need it (APPNOTE 6.3.10).
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64, LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
PLAIN, ZIP64 = 20, 45  # versions that are needed to extract
UNIX = 3 << 8
UTF8 = 0x800
STORED = 0
TIME, DATE = 0, 0x21  # 1980-01-01, the first date that the format has
MODE = 0o100644 << 16  # a regular file that its owner can write
MAX16, MAX32 = 0xFFFF, 0xFFFFFFFF
LOCAL_SIZE = 30  # bytes before the name


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the archive.

    Attributes:
        name: its path, with ``/``.
        size: in bytes.
        crc: CRC-32 of its content.
    """

    name: str
    size: int
    crc: int


def local_header(entry: Entry) -> bytes:
    """Return what stands before the content of a file."""
    name, large = entry.name.encode(), entry.size >= MAX32
    size = MAX32 if large else entry.size
    extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.size) if large else b""
    fields = (ZIP64 if large else PLAIN, UTF8, STORED, TIME, DATE, entry.crc, size, size)
    return LOCAL + struct.pack("<5H3I2H", *fields, len(name), len(extra)) + name + extra


def directory(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield what stands after the contents: a header of every file, then the end."""
    offset = num = size = 0
    for entry in entries:
        header = _central_header(entry, offset)
        yield header
        offset += len(local_header(entry)) + entry.size
        size += len(header)
        num += 1
    if num >= MAX16 or size >= MAX32 or offset >= MAX32:
        fields = (44, UNIX | ZIP64, ZIP64, 0, 0, num, num, size, offset)
        yield END64 + struct.pack("<Q2H2I4Q", *fields)
        yield LOCATOR64 + struct.pack("<IQI", 0, offset + size, 1)
    few = min(num, MAX16)
    yield END + struct.pack("<4H2IH", 0, 0, few, few, min(size, MAX32), min(offset, MAX32), 0)


def _central_header(entry: Entry, offset: int) -> bytes:
    name = entry.name.encode()
    large = [value for value in (entry.size, entry.size, offset) if value >= MAX32]
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = ZIP64 if large else PLAIN
    size = min(entry.size, MAX32)
    fields = (UNIX | version, version, UTF8, STORED, TIME, DATE, entry.crc, size, size)
    more = (len(name), len(extra), 0, 0, 0, MODE, min(offset, MAX32))
    return CENTRAL + struct.pack("<6H3I5H2I", *fields, *more) + name + extra


def parsed_header(start: bytes, rest: bytes) -> Entry:
    """Return the file that a local header describes.

    Args:
        start: the first ``LOCAL_SIZE`` bytes.
        rest: as many as ``sizes_of_rest`` says.

    Raises:
        ValueError: it is not exactly the header that this module writes.
    """
    num_name, _ = sizes_of_rest(start)
    crc, size = struct.unpack("<2I", start[14:22])
    if size == MAX32 and len(rest) == num_name + 20:
        (size,) = struct.unpack("<Q", rest[num_name + 4 : num_name + 12])
    entry = Entry(rest[:num_name].decode(), size, crc)
    if local_header(entry) != start + rest:
        raise ValueError("not a header of this format")
    return entry


def sizes_of_rest(start: bytes) -> tuple[int, int]:
    """Return the sizes of name and extra field, which follow the first ``LOCAL_SIZE`` bytes of a header.

    Raises:
        ValueError: no local header.
    """
    if len(start) < LOCAL_SIZE or not start.startswith(LOCAL):
        raise ValueError("not a header")
    num_name, num_extra = struct.unpack("<2H", start[26:30])
    return num_name, num_extra
