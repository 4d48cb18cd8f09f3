"""Images and masks at their own size in square chunks, of which a window reads only those that it touches.

An image has as many chunks as cover it, row by row; those at the bottom and the right are filled up with
zeros, which nobody reads.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.outputs import Outputs
from segstudy.core.windowing import Place, Size
from segstudy.data.hashed_arrays import StoredArray

CHUNK = 128  # pixels of a side: 48 KB in colour


def grid_of(native: Size) -> Size:
    """Return how many rows and columns of chunks an image of this height and width has."""
    height, width = native
    return -(-height // CHUNK), -(-width // CHUNK)


def num_chunks(native: Size) -> int:
    """Return how many chunks an image of this height and width has."""
    rows, columns = grid_of(native)
    return rows * columns


def in_chunks(pixels: NDArray[Any]) -> NDArray[Any]:
    """Cut an image or a mask ``(H, W, ...)`` into chunks ``(n, CHUNK, CHUNK, ...)``."""
    height, width, *more = pixels.shape
    rows, columns = grid_of((height, width))
    out = np.zeros((rows, columns, CHUNK, CHUNK, *more), pixels.dtype)
    for row in range(rows):
        for column in range(columns):
            top, left = row * CHUNK, column * CHUNK
            chunk = pixels[top : top + CHUNK, left : left + CHUNK]
            out[row, column, : chunk.shape[0], : chunk.shape[1]] = chunk
    return out.reshape(rows * columns, CHUNK, CHUNK, *more)


def counts_in_chunks(mask: NDArray[Any], outputs: Outputs) -> NDArray[np.uint16]:
    """Count the pixels of each class of a true mask ``(H, W)`` in its chunks: ``(n, classes)``."""
    rows, columns = (np.arange(0, length, CHUNK) for length in mask.shape)
    found = [
        np.add.reduceat(
            np.add.reduceat(outputs.plane(mask, number), rows, axis=0, dtype=np.int64), columns, axis=1
        )
        for number in range(len(outputs.names))
    ]
    return np.stack(found, axis=-1).reshape(-1, len(found)).astype(np.uint16)


def read_window(chunks: StoredArray[Any], first: int, native: Size, place: Place, size: Size) -> NDArray[Any]:
    """Read a window ``(*size, ...)`` of one image, cut off where the image ends.

    Args:
        chunks: of all images, ``(n, CHUNK, CHUNK, ...)``.
        first: the number of the image's first chunk.
        native: its height and width.
        place: top row and left column of the window.
        size: its height and width.
    """
    (top, left), columns = place, grid_of(native)[1]
    bottom, right = (min(begin + length, end) for begin, length, end in zip(place, size, native, strict=True))
    out = np.empty((bottom - top, right - left, *chunks.shape[3:]), chunks.dtype)
    across = range(left // CHUNK, (right - 1) // CHUNK + 1)
    for row in range(top // CHUNK, (bottom - 1) // CHUNK + 1):
        begin = first + row * columns
        found = chunks[begin + across.start : begin + across.stop]
        down, to_rows = _shared(row, top, bottom)
        for column, chunk in zip(across, found, strict=True):
            sideways, to_columns = _shared(column, left, right)
            out[to_rows, to_columns] = chunk[down, sideways]
    return out


def _shared(number: int, begin: int, end: int) -> tuple[slice, slice]:
    """Return the pixels that a chunk and a window share along one axis: in the chunk and in the window."""
    start = number * CHUNK
    first, last = max(begin, start), min(end, start + CHUNK)
    return slice(first - start, last - start), slice(first - begin, last - begin)


def read_pixels(
    masks: StoredArray[Any],
    first: int,
    native: Size,
    counts: NDArray[np.uint16],
    outputs: Outputs,
    wanted: Sequence[tuple[int, int]],
) -> NDArray[np.int64]:
    """Find pixels of classes in the true mask of one image; one chunk is read for each.

    Args:
        masks: the chunks of all masks, ``(n, CHUNK, CHUNK)``.
        first: the number of the image's first chunk.
        native: its height and width.
        counts: of the pixels of each class in the image's chunks, ``(its chunks, classes)``.
        outputs: what masks hold.
        wanted: of each pixel its class, and its number among the image's pixels of the class, from 0 on.

    Returns:
        Row and column of each, ``(len(wanted), 2)``.
    """
    ends = counts.cumsum(axis=0, dtype=np.int64)
    columns = grid_of(native)[1]
    found = np.empty((len(wanted), 2), np.int64)
    for i, (number, which) in enumerate(wanted):
        chunk = int(np.searchsorted(ends[:, number], which, side="right"))
        before = ends[chunk, number] - counts[chunk, number]
        top, left = (CHUNK * each for each in divmod(chunk, columns))
        mask = masks[first + chunk][: native[0] - top, : native[1] - left]
        pixels = np.flatnonzero(outputs.plane(mask, number))
        row, column = divmod(int(pixels[which - before]), mask.shape[1])
        found[i] = top + row, left + column
    return found
