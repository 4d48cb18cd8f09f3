"""Small files that ask for much work or memory: what has to be refused before a decoder begins."""

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

SOS, DHT, EOI = b"\xff\xda", b"\xff\xc4", b"\xff\xd9"
RGB = bytes(64 * 64 * 3)
Tag = tuple[int, int, int, int]  # number, type, count, value or offset


def jpeg(size: tuple[int, int] = (64, 64), **options: object) -> bytes:
    """A grey JPEG of width and height; with ``progressive=True`` in six scans."""
    stream = io.BytesIO()
    Image.new("L", size, 128).save(stream, "JPEG", **{"quality": 50, **options})
    return stream.getvalue()


def scans(count: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """A progressive JPEG whose last scan stands there again and again, 20 bytes each time."""
    whole = jpeg(size, progressive=True)
    end = whole.rindex(EOI)
    last = whole.rindex(DHT, 0, end)
    assert whole.index(SOS) < last < whole.rindex(SOS)
    return whole[:last] + whole[last:end] * count + EOI


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def segments(count: int, data: bytes, marker: int = 0xE1) -> bytes:
    """A JPEG with the same segment many times before its picture."""
    whole = jpeg()
    return whole[:2] + segment(marker, data) * count + whole[2:]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(before: bytes = b"", after: bytes = b"", piece: int = 2**20) -> bytes:
    """A grey PNG of 64 x 64 with more chunks before and after its pixels, these in pieces."""
    rows = zlib.compress(bytes(65 * 64))
    pixels = b"".join(chunk(b"IDAT", rows[i : i + piece]) for i in range(0, len(rows), piece))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + after + chunk(b"IEND", b"")


def tiff(tags: list[Tag], data: bytes, width: int = 64, height: int = 64, compression: int = 1) -> bytes:
    """A grey TIFF with these tags beside the usual ones, and data from byte 8 on."""
    usual = [(256, width), (257, height), (258, 8), (259, compression), (262, 1), (277, 1)]
    given = {tag for tag, *_ in tags}
    entries = sorted([*tags, *((tag, 4, 1, value) for tag, value in usual if tag not in given)])
    directory = b"".join(struct.pack("<HHII", *each) for each in entries)
    head = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    return head + struct.pack("<H", len(entries)) + directory + bytes(4)


def tiff_of_strips(count: int) -> bytes:
    return tiff([(273, 4, count, 8), (278, 4, 1, 1), (279, 4, count, 8)], bytes(4 * count))


def tiff_of_one_tile(side: int) -> bytes:
    rows = zlib.compress(bytes(side * side), 9)
    tags = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, len(rows))]
    return tiff(tags, rows, compression=8)


def bmp_of_runs(width: int, height: int, runs: bytes) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(runs), 0, 0, 1078) + info + bytes(1024) + runs


def compressed_text(name: bytes, head: bytes, count: int) -> bytes:
    return png(chunk(name, head + zlib.compress(bytes(1_000_000), 9)) * count)


def jpeg2000(at: int, value: bytes) -> bytes:
    """A grey JPEG 2000 of 64 x 64 whose header has other bytes at a place, counted from its codestream."""
    stream = io.BytesIO()
    Image.new("L", (64, 64), 128).save(stream, "JPEG2000")
    whole = stream.getvalue()
    place = whole.index(b"\xff\x4f\xff\x51") + at
    return whole[:place] + value + whole[place + len(value) :]


BOMBS: dict[str, Callable[[], bytes]] = {
    "JPEG of 5,000 scans": lambda: scans(5_000, (2000, 2000)),
    "JPEG of 100,000 scans": lambda: scans(100_000),
    "JPEG of 95 scans of 48 megapixels": lambda: scans(90, (8000, 6000)),
    "JPEG of 95 scans that claim a small frame in a thumbnail": lambda: scans(5_000).replace(
        b"\xff\xd8", b"\xff\xd8" + segment(0xE1, jpeg()), 1
    ),
    "JPEG of 40,000 pieces of Exif": lambda: segments(40_000, b"Exif\0\0" + bytes(60)),
    "JPEG of 300,000 comments": lambda: segments(300_000, b"x", 0xFE),
    "JPEG of 100,000 tables": lambda: segments(100_000, bytes(17), 0xC4),
    "JPEG of 40 MB of metadata": lambda: segments(700, bytes(60_000), 0xE5),
    "JPEG 2000 of 16,000,000 tiles": lambda: jpeg2000(
        8, struct.pack(">8I", 4000, 4000, 0, 0, 1, 1, 0, 0)
    ),
    "JPEG 2000 of 16,384 bands": lambda: jpeg2000(40, b"\x40\0"),
    "JPEG 2000 without end of its boxes": lambda: jpeg2000(0, b"") [:12] + bytes(3_000_000),
    "JPEG of 5 MB between two segments": lambda: b"\xff\xd8\xff\xfe\0\2" + bytes(5_000_000) + jpeg()[2:],
    "JPEG of 5 MB of padding": lambda: b"\xff\xd8" + b"\xff" * 5_000_000 + jpeg()[2:],
    "PNG of 300,000 empty pieces": lambda: png(chunk(b"IDAT", b"") * 300_000),
    "PNG of 10,000 texts": lambda: png(chunk(b"tEXt", b"a\0b") * 10_000),
    "PNG of 10,000 texts behind": lambda: png(after=chunk(b"tEXt", b"a\0b") * 10_000),
    "PNG of 10,000 compressed profiles": lambda: compressed_text(b"iCCP", b"k\0\0", 10_000),
    "PNG of 10,000 compressed texts": lambda: compressed_text(b"zTXt", b"k\0\0", 10_000),
    "TIFF of 2,000,000 strips": lambda: tiff_of_strips(2_000_000),
    "TIFF of one tile of 1 GB": lambda: tiff_of_one_tile(32_768),
    "TIFF of 5,000,000 bits": lambda: tiff([(258, 3, 5_000_000, 8), (273, 4, 1, 8), (279, 4, 1, 4096)],
                                           b"\x10\x20" * 5_000_000),
    "BMP of 10,000,000 runs": lambda: bmp_of_runs(10_000, 1_000, b"\1\0" * 10_000_000),
    "BMP of ends of lines": lambda: bmp_of_runs(2_000, 2_000, b"\0\0" * 10_000_000),
    "PPM with a comment of 20 MB": lambda: b"P6\n#" + b"x" * 20_000_000 + b"\n64 64\n255\n" + RGB,
    "PPM with a comment within a number": lambda: b"P6 64 64 255#" + b"x" * 20_000_000 + b"\n" + RGB,
    "PPM with 20 MB of spaces": lambda: b"P6" + b" " * 20_000_000 + b"64 64 255\n" + RGB,
    "PPM of 2,000,000 comments": lambda: b"P3\n64 64\n255\n" + b"#\n" * 2_000_000 + b"1 " * 64 * 64 * 3,
    "PPM of 12,000,000 written numbers": lambda: b"P3\n2000 2000\n255\n" + b"1 " * 12_000_000,
    "PPM of 12,000,000 values up to 254": lambda: b"P6\n2000 2000\n254\n" + bytes(12_000_000),
}  # fmt: skip
