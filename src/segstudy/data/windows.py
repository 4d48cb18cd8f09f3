"""Windows of an image, and the blending of what a network gives for them: ``resize = tiles``.

Near the border of a window a network sees only a part of a pixel's surroundings. So where windows overlap,
the outer quarter of the overlap counts nothing, and over its middle half the weight grows evenly. Weights
of all windows at a pixel add up to 1. Needs no PyTorch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.windowing import Place, Size, Windows

NUMERICS = 1  # raised when any number of tiles, windows or blending changes; enters the keys of their runs
WINDOWS_AT_ONCE = 16  # fixed, because the batch size can change the last bits

Forward = Callable[[Sequence[Place]], NDArray[np.float32]]
MakeArray = Callable[[tuple[int, ...], type[np.float32]], NDArray[np.float32]]


def cut(pixels: NDArray[Any], place: Place, tile: Size) -> NDArray[Any]:
    """Return the window of an image or mask ``(H, W, ...)`` at a place, ``(*tile, ...)``.

    Where it reaches beyond the image, the image is mirrored.
    """
    top, left = place
    inner = pixels[top : top + tile[0], left : left + tile[1]]
    return mirrored(inner, tile)


def mirrored(inner: NDArray[Any], tile: Size) -> NDArray[Any]:
    """Return an array ``(h, w, ...)`` with the size of a tile: at the bottom and the right it is mirrored."""
    height, width = inner.shape[:2]
    if (height, width) == tile:
        return inner
    beyond = [(0, tile[0] - height), (0, tile[1] - width), *[(0, 0)] * (inner.ndim - 2)]
    return np.pad(inner, beyond, mode="symmetric")


def bands(windows: Windows, forward: Forward) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Blend the probabilities of all windows, some rows at a time: memory grows with the image's width only.

    Args:
        windows: of the image.
        forward: gives the probabilities ``(n, ..., *tile)`` of the windows at n places.

    Yields:
        The first row, and probabilities ``(..., rows, W)`` from there on; from the top to the bottom.
    """
    height, width = windows.native
    down, across = _weights(windows.rows, windows.tile[0]), _weights(windows.columns, windows.tile[1])
    begun: NDArray[np.float32] | None = None  # the sums of the rows that the next windows add to
    for i, (top, weights) in enumerate(zip(windows.rows, down, strict=True)):
        row = _row_of_windows(windows, top, across, forward)
        row *= weights[:, None]
        if begun is not None:
            row[..., : begun.shape[-2], :] += begun
        bottom = windows.rows[i + 1] if i + 1 < len(windows.rows) else height
        done = bottom - top
        begun = row[..., done:, :].copy()  # the rest is given up
        found = row[..., :done, :width]
        yield top, np.minimum(found, 1, out=found)


def whole(windows: Windows, forward: Forward, array: MakeArray = np.empty) -> NDArray[np.float32]:
    """Return the blended probabilities ``(..., H, W)`` of an image.

    Args:
        windows: of the image.
        forward: as for ``bands``.
        array: makes the array that is returned, of a shape and type, as ``scratch_array`` does.
    """
    found: NDArray[np.float32] | None = None
    for top, band in bands(windows, forward):
        if found is None:
            found = array((*band.shape[:-2], *windows.native), np.float32)
        found[..., top : top + band.shape[-2], :] = band
    assert found is not None
    return found


def _row_of_windows(
    windows: Windows, top: int, across: Sequence[NDArray[np.float32]], forward: Forward
) -> NDArray[np.float32]:
    """Return the blended probabilities ``(..., tile height, W)`` of the windows that begin in one row."""
    total: NDArray[np.float32] | None = None
    width = windows.columns[-1] + windows.tile[1]
    for at in range(0, len(windows.columns), WINDOWS_AT_ONCE):
        some = slice(at, at + WINDOWS_AT_ONCE)
        found = forward([(top, left) for left in windows.columns[some]])
        if total is None:
            total = np.zeros((*found.shape[1:-1], width), np.float32)
        for left, weights, prob in zip(windows.columns[some], across[some], found, strict=True):
            total[..., left : left + windows.tile[1]] += prob * weights
    assert total is not None
    return total


def _weights(begins: Sequence[int], tile: int) -> list[NDArray[np.float32]]:
    """Return the weight of each pixel of each window along one axis; at every pixel they add up to 1."""
    found = [np.ones(tile) for _ in begins]
    for i, (first, second) in enumerate(pairwise(begins)):
        shared = first + tile - second
        rising = _rising(shared)
        found[i][tile - shared :] *= 1 - rising
        found[i + 1][:shared] *= rising
    total = np.zeros(begins[-1] + tile)
    for begin, weights in zip(begins, found, strict=True):
        total[begin : begin + tile] += weights
    pairs = zip(begins, found, strict=True)
    return [(weights / total[begin : begin + tile]).astype(np.float32) for begin, weights in pairs]


def _rising(shared: int) -> NDArray[np.float64]:
    """Return the weights of the second of two windows over the pixels that they share."""
    middles = (np.arange(shared) + 0.5) / shared if shared else np.empty(0)
    return np.clip(2 * middles - 0.5, 0, 1)


def in_windows(pixels: NDArray[np.uint8], tile: Size) -> Callable[[Iterable[Place]], NDArray[np.uint8]]:
    """Return a function that cuts windows ``(n, *tile, channels)`` out of an image ``(H, W, channels)``."""

    def at(places: Iterable[Place]) -> NDArray[np.uint8]:
        return np.stack([cut(pixels, place, tile) for place in places])

    return at
