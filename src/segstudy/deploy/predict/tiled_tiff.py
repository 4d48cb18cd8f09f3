"""Masks and probabilities that are too large for memory, written as tiled TIFFs, row by row.

Grey or with a palette, 8 bits, compressed by deflate; a BigTIFF where a TIFF could become too small.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

TILE_PX = 256
LEVEL = 1  # of deflate: masks are small at every level
SHORT, LONG, ASCII, RATIONAL, DOUBLE, LONG8 = 3, 4, 2, 5, 12, 16
LETTERS = {SHORT: "H", LONG: "I", DOUBLE: "d", LONG8: "Q"}
GREY, WITH_PALETTE = 1, 3
MAX_TIFF_BYTES = 2**32 - 2**24  # so that the list of tiles fits behind them, too

Tag = tuple[int, int, int, Any]  # code, type, count, value


class TiledTiff:
    """A TIFF that is being written.

    Args:
        stream: of a new file.
        size: height and width in pixels.
        palette: red, green and blue of each value; None for grey.
        tags: further ones.
    """

    def __init__(
        self,
        stream: BinaryIO,
        size: tuple[int, int],
        palette: Sequence[tuple[int, int, int]] | None = None,
        tags: Sequence[Tag] = (),
    ):
        self._stream, self._size, self._palette, self._tags = stream, size, palette, tags
        down, self._across = (-(-length // TILE_PX) for length in size)
        self._is_big = down * self._across * (TILE_PX**2 + 100) > MAX_TIFF_BYTES
        self._offsets, self._sizes = list[int](), list[int]()
        self._rows = np.zeros((TILE_PX, self._across * TILE_PX), np.uint8)
        self._num_rows = self._num_written = 0  # in memory, and before
        stream.write(
            b"II" + (struct.pack("<HHHQ", 43, 8, 0, 0) if self._is_big else struct.pack("<HI", 42, 0))
        )

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Write the next rows ``(n, W)``."""
        while len(rows):
            taken = rows[: TILE_PX - self._num_rows]
            self._rows[self._num_rows : self._num_rows + len(taken), : self._size[1]] = taken
            self._num_rows += len(taken)
            rows = rows[len(taken) :]
            if self._num_rows == TILE_PX:
                self._write_tiles()

    def finish(self) -> None:
        """Write what is left, and the tags; all rows must have been written."""
        if self._num_rows:
            self._rows[self._num_rows :] = 0
            self._write_tiles()
        assert self._num_written >= self._size[0]
        start = self._stream.tell()
        if start % 2:
            start += self._stream.write(b"\0")
        self._stream.write(self._directory(start))
        self._stream.seek(8 if self._is_big else 4)
        self._stream.write(struct.pack("<Q" if self._is_big else "<I", start))

    def _write_tiles(self) -> None:
        for left in range(0, self._rows.shape[1], TILE_PX):
            tile = zlib.compress(self._rows[:, left : left + TILE_PX].tobytes(), LEVEL)
            self._offsets.append(self._stream.tell())
            self._sizes.append(self._stream.write(tile))
        self._num_written += self._num_rows
        self._num_rows = 0

    def _directory(self, start: int) -> bytes:
        """The list of tags as its bytes from that position on."""
        height, width = self._size
        place = LONG8 if self._is_big else LONG
        own: list[Tag] = [
            (256, LONG, 1, [width]),
            (257, LONG, 1, [height]),
            (258, SHORT, 1, [8]),
            (259, SHORT, 1, [8]),  # deflate
            (262, SHORT, 1, [GREY if self._palette is None else WITH_PALETTE]),
            (277, SHORT, 1, [1]),
            (322, SHORT, 1, [TILE_PX]),
            (323, SHORT, 1, [TILE_PX]),
            (324, place, len(self._offsets), self._offsets),
            (325, LONG, len(self._sizes), self._sizes),
        ]
        if self._palette is not None:
            colours = np.zeros((3, 256), np.uint16)
            colours[:, : len(self._palette)] = np.array(self._palette, np.uint16).T * 257
            own.append((320, SHORT, colours.size, colours.reshape(-1).tolist()))
        return _packed([*own, *self._tags], start, self._is_big)


def _packed(tags: Sequence[Tag], start: int, is_big: bool) -> bytes:
    head, entry, inline = ("Q", "HHQ", 8) if is_big else ("H", "HHI", 4)
    place = "Q" if is_big else "I"
    num_bytes = struct.calcsize(f"<{head}{place}") + len(tags) * (struct.calcsize(f"<{entry}") + inline)
    entries, behind = b"", bytearray()
    for code, kind, count, value in sorted(tags, key=lambda tag: tag[0]):
        content = _value(kind, value)
        number = len(content) if kind == ASCII else count  # others may have removed blanks from the text
        if len(content) > inline:
            where = struct.pack(f"<{place}", start + num_bytes + len(behind))
            behind += content + bytes(len(content) % 2)
            content = where
        entries += struct.pack(f"<{entry}", code, kind, number) + content.ljust(inline, b"\0")
    return struct.pack(f"<{head}", len(tags)) + entries + struct.pack(f"<{place}", 0) + bytes(behind)


def _value(kind: int, value: Any) -> bytes:
    if kind == ASCII:
        return str(value).encode("ascii", "replace") + b"\0"
    numbers = [value] if isinstance(value, int | float) else list(value)
    letter = LETTERS[LONG if kind == RATIONAL else kind]
    return struct.pack(f"<{len(numbers)}{letter}", *numbers)
