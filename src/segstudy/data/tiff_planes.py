"""The bands of a 16-bit TIFF that lie one after the other, which Pillow would take for bands of 8 bits.

Each band is decoded as a grey image: its strips or tiles, under tags of their own.
"""

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.data.tiff_tags import BANDS, BITS, PHOTOMETRIC

STRIPS, TILES = (273, 279), (324, 325)  # places, and numbers of bytes
# Width, height, compression, orientation, rows a strip, predictor, size of tiles, number format.
KEPT = (256, 257, 259, 274, 278, 317, 322, 323, 339)
NUM_COLOURS = 3


def planes_of(image: Image.Image, content: bytes) -> NDArray[np.uint16]:
    """The first three bands of an opened TIFF, upright ``(H, W, 3)``.

    Args:
        image: with 16 bits in at least three bands, one after the other.
        content: of its file.

    Raises:
        ValueError: it is built in another way.
        OSError: damaged.
    """
    bands = [np.asarray(band) for band in _bands(image, content)]
    if any(band.dtype.kind != "u" or band.ndim != 2 for band in bands):
        raise ValueError("bands of other numbers")
    return np.stack([band.astype(np.uint16) for band in bands], axis=-1)


def _bands(image: Image.Image, content: bytes) -> Iterator[Image.Image]:
    tags = image.tag_v2  # type: ignore[attr-defined]
    places, sizes = TILES if TILES[0] in tags else STRIPS
    num_bands, num_parts = tags[BANDS], len(tags[places])
    if len(content) >= 2**32 or content[2] == 43 or content[3] == 43:
        raise ValueError("a BigTIFF")
    if num_bands < NUM_COLOURS or num_parts % num_bands or len(tags[sizes]) != num_parts:
        raise ValueError("bands of other sizes")
    parts = num_parts // num_bands
    order = "<" if content[:2] == b"II" else ">"
    kept = {number: [_first(tags[number])] for number in KEPT if number in tags}
    for i in range(NUM_COLOURS):
        own = {number: list(tags[number][i * parts : (i + 1) * parts]) for number in (places, sizes)}
        own |= kept | {BITS: [16], BANDS: [1], PHOTOMETRIC: [1]}
        start = len(content) + len(content) % 2
        head = content[:4] + struct.pack(f"{order}I", start)
        file = head + content[8:].ljust(start - 8, b"\0") + _directory(own, start, order)
        yield Image.open(io.BytesIO(file), formats=("TIFF",))


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


def _directory(tags: Mapping[int, Sequence[int]], start: int, order: str) -> bytes:
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
