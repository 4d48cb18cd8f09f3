"""What a file may ask of its decoder, looked at before the decoder begins.

A file of kilobytes can ask for hours of time or gigabytes of memory: a JPEG of 100,000 scans, a TIFF of a
million strips, text compressed a thousandfold. No picture that an encoder writes comes near these bounds.
"""

import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from PIL import Image

MAX_FILE_BYTES = 2**30  # 100 megapixels of four 16-bit channels, not compressed, have 800 MB

# JPEG. Encoders write 1 to 18 scans, and hand-made scripts some 60.
MAX_SCANS = 100
MAX_SCAN_PIXELS = 2_000_000_000  # scans times pixels: 20 scans of 100 megapixels, some seconds
MAX_SEGMENTS = 1_000  # before the picture; an ICC profile takes up to 255
MAX_METADATA_BYTES = 2**25
MAX_JUNK_BYTES = 2**16

# PNG. Encoders write pieces of 8 KB or more.
MAX_CHUNKS = 100_000
MAX_EXTRA_CHUNKS = 1_000  # that hold no pixels

# TIFF.
MAX_TAGS = 4_096
MAX_VALUES = 100_000  # of one tag, so of strips and tiles; text and bytes are free
MAX_TILE_PIXELS = 4_096**2  # or four times the image

# JPEG 2000.
MAX_J2K_HEADER_BYTES = 2**20
MAX_J2K_TILES = 10_000
MAX_J2K_LAYERS = 1_000
MAX_J2K_BANDS = 4

# PPM, and what Pillow decodes pixel by pixel in Python, at some 2 million samples a second.
MAX_HEADER_BYTES = 2**16
MAX_COMMENTS = 1_000
MAX_SLOW_SAMPLES = 4_000_000
SLOW = ("ppm", "ppm_plain", "bmp_rle")

_SOS, _EOI, _STANDALONE = 0xDA, 0xD9, {0x01, *range(0xD0, 0xDA)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_MARKER_IN_SCANS = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # restarts belong to the scan
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_FREE = (1, 2, 7)  # bytes, text, undefined: they stay as they are


class ExcessError(ValueError):
    """A file asks for more than any picture needs; the message says of what."""


def check_file(stream: BinaryIO, whole: bool = True) -> None:
    """Look at an image's file before it is opened; the stream is at its start then again.

    Args:
        stream: that can be searched.
        whole: it will be decoded; else only its header is read, and little more is read here.

    Raises:
        ExcessError: it asks for too much.
    """
    if stream.seek(0, 2) > MAX_FILE_BYTES:
        raise ExcessError(f"a file of more than {MAX_FILE_BYTES // 2**30} GiB")
    stream.seek(0)
    start = stream.read(132)
    stream.seek(0)
    if start.endswith(b"DICM"):  # its decoder has bounds of its own
        return
    for magics, check in _CHECKS.items():
        if start.startswith(magics):
            check(stream, whole)
    stream.seek(0)


def check_opened(image: Image.Image, num_bytes: int) -> None:
    """Look at an opened image before its pixels are decoded.

    Args:
        image: opened by Pillow, not loaded.
        num_bytes: of its file.

    Raises:
        ExcessError: it asks for too much.
    """
    pixels = image.width * image.height
    codec = getattr(image, "tile", None) and image.tile[0][0]  # type: ignore[attr-defined]
    if codec in SLOW:
        samples = pixels * len(image.getbands())
        if samples > MAX_SLOW_SAMPLES or (codec == "bmp_rle" and num_bytes > 3 * MAX_SLOW_SAMPLES):
            raise ExcessError(
                f"more than {MAX_SLOW_SAMPLES // 10**6} million values in an encoding that is slow to read"
            )
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(322, 0), tags.get(323, 0)
    if (
        isinstance(width, int)
        and isinstance(height, int)
        and width * height > max(MAX_TILE_PIXELS, 4 * pixels)
    ):
        raise ExcessError(f"tiles of {width} x {height} pixels, far larger than the image")


def _check_jpeg(stream: BinaryIO, whole: bool) -> None:
    content = stream.read() if whole else stream.read(2**20)
    found = jpeg_header(content)
    if found is None and not whole:
        content += stream.read(MAX_METADATA_BYTES)
        found = jpeg_header(content)
    if found is None or not whole:
        return
    start, pixels = found
    most = min(MAX_SCANS, MAX_SCAN_PIXELS // max(1, pixels))
    # Both bytes stand in metadata too, and behind the picture: counted in full only where it matters.
    if content.count(b"\xff\xda", start) > most and _more_scans(content, start, most):
        raise ExcessError(f"more than {most} scans of {pixels / 1e6:.3g} megapixels")


def jpeg_header(content: bytes) -> tuple[int, int] | None:
    """Where the first scan begins, and the number of pixels; None where no scan is found."""
    position, segments, metadata, junk, pixels = 2, 0, 0, 0, 0
    while match := _MARKER.search(content, position):
        junk += match.end() - position - 2
        code, position = content[match.end() - 1], match.end()
        if code == _SOS:
            return match.end() - 2, pixels
        segments += 1
        if code not in _STANDALONE:
            length = max(2, int.from_bytes(content[position : position + 2], "big"))
            if code in _FRAMES:
                height, width = struct.unpack(">HH", content[position + 3 : position + 7].ljust(4, b"\0"))
                pixels = max(pixels, height * width)
            metadata, position = metadata + length, position + length
        if segments > MAX_SEGMENTS or metadata > MAX_METADATA_BYTES or junk > MAX_JUNK_BYTES:
            raise ExcessError(
                f"more than {MAX_SEGMENTS} segments or {MAX_METADATA_BYTES // 2**20} MiB before the picture"
            )
    if len(content) - position > MAX_METADATA_BYTES:
        raise ExcessError("no picture in its first megabytes")
    return None


def _more_scans(content: bytes, start: int, most: int) -> bool:
    """Whether there are more scans than that, found as a decoder finds them; or segments without end."""
    position, scans, segments = start, 0, 0
    while match := _MARKER_IN_SCANS.search(content, position):
        code, position = content[match.end() - 1], match.end()
        if code == _EOI:
            return False
        scans, segments = scans + (code == _SOS), segments + 1
        if scans > most or segments > MAX_CHUNKS:
            return True
        if code not in _STANDALONE:
            position += max(2, int.from_bytes(content[position : position + 2], "big"))
    return False


def _check_png(stream: BinaryIO, whole: bool) -> None:
    stream.seek(8)
    chunks = extra = 0
    while len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
        if head[4:] == b"IDAT" and not whole:
            return
        chunks += 1
        extra += head[4:] not in (b"IDAT", b"fdAT", b"fcTL")
        if chunks > MAX_CHUNKS or extra > MAX_EXTRA_CHUNKS:
            raise ExcessError(f"more than {MAX_CHUNKS} chunks, or {MAX_EXTRA_CHUNKS} without pixels")
        stream.seek(int.from_bytes(head[:4], "big") + 4, 1)


def _check_tiff(stream: BinaryIO, _: bool) -> None:
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in head[2:4]
    where, number, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    start = 8 if big else 4
    if len(head) < 16:
        return  # no TIFF: its decoder says so
    stream.seek(min(2**62, *struct.unpack(order + where, head[start : 2 * start])))
    size = struct.calcsize(order + number)
    content = stream.read(size)
    if len(content) < size:
        return
    (tags,) = struct.unpack(order + number, content)
    if tags > MAX_TAGS:
        raise ExcessError(f"{tags} tags")
    size = struct.calcsize(order + entry)
    content = stream.read(size * tags)
    for tag, kind, count, _value in struct.iter_unpack(order + entry, content[: len(content) // size * size]):
        if count > MAX_VALUES and kind not in _FREE:
            raise ExcessError(f"{count} values of tag {tag}, such as strips or tiles")


def _check_j2k(stream: BinaryIO, _: bool) -> None:
    """Look at the header of the codestream, which the boxes of a JP2 stand before."""
    head = stream.read(MAX_J2K_HEADER_BYTES)
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise ExcessError(f"no image within its first {MAX_J2K_HEADER_BYTES // 2**20} MiB")
    if len(head) < at + 42:
        return  # cut off: its decoder says so
    extent = struct.unpack(">8I", head[at + 8 : at + 40])
    (bands,) = struct.unpack(">H", head[at + 40 : at + 42])
    width, height, _left, _top, tile_width, tile_height, tiles_left, tiles_top = extent
    columns = -(-(width - tiles_left) // max(1, tile_width))
    rows = -(-(height - tiles_top) // max(1, tile_height))
    if columns * rows > MAX_J2K_TILES or bands > MAX_J2K_BANDS:
        raise ExcessError(f"more than {MAX_J2K_TILES} tiles or {MAX_J2K_BANDS} bands")
    style = head.find(b"\xff\x52", at)
    if style >= 0 and int.from_bytes(head[style + 6 : style + 8], "big") > MAX_J2K_LAYERS:
        raise ExcessError(f"more than {MAX_J2K_LAYERS} layers")


def _check_ppm(stream: BinaryIO, whole: bool) -> None:
    head = stream.read(MAX_HEADER_BYTES)
    text = re.sub(rb"#[^\r\n]*", b"", head)
    needed = 3 if head[:2] in (b"P1", b"P4") else 4  # magic, width, height, largest value
    words = text.split(maxsplit=needed)
    ended = len(words) > needed or (len(words) == needed and text[-1:].isspace())
    if len(head) == MAX_HEADER_BYTES and not ended:
        raise ExcessError(f"no end of its header within {MAX_HEADER_BYTES // 1024} KiB")
    if whole and head[:2] in (b"P1", b"P2", b"P3") and (head + stream.read()).count(b"#") > MAX_COMMENTS:
        raise ExcessError(f"more than {MAX_COMMENTS} comments")


_CHECKS: dict[bytes | tuple[bytes, ...], Callable[[BinaryIO, bool], None]] = {
    b"\xff\xd8": _check_jpeg,
    b"\x89PNG": _check_png,
    (b"II", b"MM"): _check_tiff,
    b"P": _check_ppm,
    (b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"): _check_j2k,
}
