"""The bands of a TIFF that Pillow has no mode for: decoded as a grey image under tags of its own.

A TIFF is a list of tags, and strips or tiles of numbers. Bands that lie one after the other (planes) have
strips of their own each; elsewhere the bands of a pixel lie together. Either way a row of numbers is a row of
bytes, and those are the pixels of a wider grey image of 8 bits, whatever compresses them. What order of bytes
they have, and differences of neighbours that are kept in their place, are undone here.
"""

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from segstudy.data.orientation import upright
from segstudy.data.tiff_tags import BANDS, BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT

WIDTH, HEIGHT, COMPRESSION, ORIENTATION, ROWS, PREDICTOR, TILE_WIDTH, TILE_HEIGHT = (
    *(256, 257, 259, 274, 278, 317, 322, 323),
)
STRIPS, TILES = (273, 279), (324, 325)  # places, and numbers of bytes
KEPT = (HEIGHT, COMPRESSION, ROWS, TILE_HEIGHT)
NUM_COLOURS = 3
MAX_BYTES = 800_000_000  # of all bands: 100 megapixels of four with 16 bits
# Of rows of numbers, whatever they mean: none, LZW, two names of deflate, PackBits, LZMA, Zstandard.
OF_ANY_NUMBERS = (1, 5, 8, 32946, 32773, 34925, 50000)
NUMBERS = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")
UNSIGNED, SIGNED, FRACTIONS = 1, 2, 3

Tags = Mapping[int, Any]


def tags_of(stream: BinaryIO) -> Tags:
    """The tags of the first page of a TIFF, whose file stands at its start.

    Raises:
        ValueError, OSError, SyntaxError, struct.error: damaged.
    """
    head = stream.read(16)
    is_big = 43 in head[2:4]
    if is_big and head[:2] == b"MM":  # Pillow takes it for another
        raise ValueError("a BigTIFF with the highest byte first")
    tags = TiffImagePlugin.ImageFileDirectory_v2(head if is_big else head[:8])
    stream.seek(tags.next)
    tags.load(stream)
    return tags


def number_in(tags: Tags, name: int, otherwise: int = 1) -> int:
    """The first number of a tag."""
    return _first(tags[name]) if name in tags else otherwise


def planes_of(image: Image.Image, content: bytes) -> NDArray[np.uint16]:
    """The first three bands of an opened TIFF, upright ``(H, W, 3)``.

    Args:
        image: with 16 bits in at least three bands, one after the other.
        content: of its file.

    Raises:
        ValueError: it is built in another way.
        OSError: damaged.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    if tags[BANDS] < NUM_COLOURS or number_in(tags, SAMPLE_FORMAT) != UNSIGNED:
        raise ValueError("fewer bands, or bands of other numbers")
    found = np.concatenate([*_planes(tags, content, NUM_COLOURS)], axis=-1)
    return upright(found.astype(np.uint16, copy=False), number_in(tags, ORIENTATION))


def bands_of(content: bytes) -> NDArray[Any]:
    """All bands of a TIFF as they are stored, upright ``(H, W, bands)``: whole numbers or fractions.

    Raises:
        ValueError: built in a way that is not understood; the message says which.
        OSError, SyntaxError, struct.error: damaged.
    """
    tags = tags_of(io.BytesIO(content))
    number = number_in(tags, BANDS)
    if number_in(tags, PHOTOMETRIC) not in (1, 2):
        raise ValueError(f"bands of colours that are no channels (photometric {tags.get(PHOTOMETRIC)})")
    if number_in(tags, PLANES) == 2 and number > 1:
        found = np.concatenate([*_planes(tags, content, number)], axis=-1)
    else:
        places, sizes = _parts_in(tags)
        found = _values(tags, content, {each: list(tags[each]) for each in (places, sizes)}, number)
    return upright(found, number_in(tags, ORIENTATION))


def _parts_in(tags: Tags) -> tuple[int, int]:
    return TILES if TILES[0] in tags else STRIPS


def _planes(tags: Tags, content: bytes, most: int) -> Iterator[NDArray[Any]]:
    """The first bands ``(H, W, 1)``, of those that lie one after the other."""
    places, sizes = _parts_in(tags)
    num_bands, num_parts = number_in(tags, BANDS), len(tags[places])
    if num_parts % num_bands or len(tags[sizes]) != num_parts:
        raise ValueError("bands of other sizes")
    parts = num_parts // num_bands
    for i in range(most):
        own = {number: list(tags[number][i * parts : (i + 1) * parts]) for number in (places, sizes)}
        yield _values(tags, content, own, 1)


def _values(tags: Tags, content: bytes, parts: Mapping[int, list[int]], number: int) -> NDArray[Any]:
    """The values ``(H, W, number)`` of bands of which those of a pixel lie together, in these parts."""
    dtype = _dtype(tags, "<" if content[:2] == b"II" else ">")
    compression = number_in(tags, COMPRESSION)
    if compression not in OF_ANY_NUMBERS:
        raise ValueError(f"bands compressed as pictures (compression {compression})")
    width, height = number_in(tags, WIDTH), number_in(tags, HEIGHT)
    across = number_in(tags, TILE_WIDTH) if TILES[0] in tags else width
    if min(width, height, across) < 1:
        raise ValueError("tiles of no size")
    whole = -(-width // across) * across  # tiles may reach further than the image
    num_bytes = number * dtype.itemsize  # of a pixel
    if height * whole * num_bytes > MAX_BYTES:
        raise ValueError("tiles far larger than the image")
    own: dict[int, list[int]] = {**parts, WIDTH: [whole * num_bytes]}
    if TILES[0] in tags:
        own[TILE_WIDTH] = [across * num_bytes]
    rows = np.asarray(_as_grey(tags, content, own)).reshape(height, -1, across * num_bytes)
    added = _ADDED_UP[number_in(tags, PREDICTOR)](rows, number, dtype)
    return np.ascontiguousarray(added.reshape(height, whole, number)[:, :width])


def _dtype(tags: Tags, order: str) -> np.dtype[Any]:
    bits, formats = tags.get(BITS, (1,)), tags.get(SAMPLE_FORMAT, (UNSIGNED,))
    letter = {UNSIGNED: "u", SIGNED: "i", FRACTIONS: "f"}.get(formats[0])
    name = f"{letter}{bits[0] // 8}"
    if len({*bits}) > 1 or len({*formats}) > 1 or bits[0] % 8 or name not in NUMBERS:
        raise ValueError(f"bands of {' and '.join(map(str, dict.fromkeys(bits)))} bits")
    return np.dtype(f"{order}{name}")


# What is kept of rows of a strip or tile, uint8 ``(H, parts, bytes)``, as numbers ``(H, parts, numbers)``.


def _as_they_are(rows: NDArray[np.uint8], _number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    values = np.ascontiguousarray(rows).view(dtype)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _differences(rows: NDArray[np.uint8], number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Each number but the first is kept as its difference to that of the same band on its left."""
    bits = _as_they_are(rows, number, np.dtype(f"{dtype.byteorder}u{dtype.itemsize}"))
    apart = bits.reshape(*bits.shape[:2], -1, number)
    added: NDArray[Any] = np.cumsum(apart, axis=2, dtype=bits.dtype).reshape(bits.shape)
    return added.view(dtype.newbyteorder("="))


def _differences_of_bytes(rows: NDArray[np.uint8], number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The highest bytes of all numbers of a row come first, then the next ones; of those the differences."""
    apart = rows.reshape(*rows.shape[:2], -1, number)
    added = np.cumsum(apart, axis=2, dtype=np.uint8).reshape(*rows.shape[:2], dtype.itemsize, -1)
    return _as_they_are(added.swapaxes(2, 3).reshape(rows.shape), number, dtype.newbyteorder(">"))


_ADDED_UP = {1: _as_they_are, 2: _differences, 3: _differences_of_bytes}


def _as_grey(tags: Tags, content: bytes, own: Mapping[int, Sequence[int]]) -> Image.Image:
    """The bytes of rows as a grey image of 8 bits: the same file under some of its tags, and others."""
    order = "<" if content[:2] == b"II" else ">"
    kept = {number: [_first(tags[number])] for number in KEPT if number in tags}
    changed = {**kept, BITS: [8], BANDS: [1], PHOTOMETRIC: [1], **own}
    start = len(content) + len(content) % 2
    if start >= 2**32:
        raise ValueError("more than 4 GiB")
    head = content[:2] + struct.pack(f"{order}HI", 42, start)
    file = head + content[8:].ljust(start - 8, b"\0") + directory(changed, start, order)
    # Not by ``Image.open``, whose limit is one of pixels: these are bytes, and the caller has bounded them.
    return TiffImagePlugin.TiffImageFile(io.BytesIO(file))


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def directory(tags: Mapping[int, Sequence[int]], start: int, order: str) -> bytes:
    """A list of tags of a TIFF, as its bytes from that position on; numbers have 2 or 4 bytes."""
    entries = behind = b""
    end = start + 2 + 12 * len(tags) + 4
    for number, values in sorted(tags.items()):
        kind, letter = (4, "I") if max(values) >= 2**16 or number in (*STRIPS, *TILES) else (3, "H")
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            place = struct.pack(f"{order}I", end + len(behind))
            packed, behind = place, behind + packed
        entries += struct.pack(f"{order}HHI", number, kind, len(values)) + packed.ljust(4, b"\0")
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + behind
