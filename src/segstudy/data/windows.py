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

WINDOWS_AT_ONCE = 16  # fixed, because the batch size can change the last bits

Forward = Callable[[Sequence[Place]], NDArray[np.float32]]
Block = tuple[int, int, NDArray[np.float32]]
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


def blocks(windows: Windows, forward: Forward) -> Iterator[Block]:
    """Blend the probabilities of all windows, block by block: only the rows that windows share are kept.

    Args:
        windows: of the image.
        forward: gives the probabilities ``(n, ..., *tile)`` of the windows at n places.

    Yields:
        Top row, left column and probabilities ``(..., rows, columns)`` of a block; from the left to the right
        and from the top to the bottom. Blocks beside each other have equal rows.
    """
    height, width = windows.native
    down = _weights(windows.rows, windows.tile[0])
    begun: NDArray[np.float32] | None = None  # the sums of the rows that the next windows add to
    for i, (top, weights) in enumerate(zip(windows.rows, down, strict=True)):
        bottom = windows.rows[i + 1] if i + 1 < len(windows.rows) else height
        rest: NDArray[np.float32] | None = None
        for left, blended in _row_of_windows(windows, top, forward):
            block, columns = blended * weights[:, None], slice(left, left + blended.shape[-1])
            if begun is not None:
                block[..., : begun.shape[-2], :] += begun[..., columns]
            done, more = block[..., : bottom - top, : width - left], block[..., bottom - top :, :]
            if rest is None:
                rest = np.empty((*more.shape[:-1], windows.columns[-1] + windows.tile[1]), np.float32)
            rest[..., columns] = more
            yield top, left, np.minimum(done, 1, out=done)
        begun = rest


def whole(windows: Windows, forward: Forward, array: MakeArray = np.empty) -> NDArray[np.float32]:
    """Return the blended probabilities ``(..., H, W)`` of an image.

    Args:
        windows: of the image.
        forward: as for ``blocks``.
        array: makes the array that is returned, of a shape and type, as ``scratch_array`` does.
    """
    found: NDArray[np.float32] | None = None
    for top, left, block in blocks(windows, forward):
        if found is None:
            found = array((*block.shape[:-2], *windows.native), np.float32)
        rows, columns = block.shape[-2:]
        found[..., top : top + rows, left : left + columns] = block
    assert found is not None
    return found


def _row_of_windows(
    windows: Windows, top: int, forward: Forward
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield left column and blended probabilities ``(..., tile height, n)`` of windows in one row.

    Columns that a later window adds to come with it.
    """
    lefts, tile = windows.columns, windows.tile[1]
    across = _weights(lefts, tile)
    begun: NDArray[np.float32] | None = None
    for at in range(0, len(lefts), WINDOWS_AT_ONCE):
        some = slice(at, at + WINDOWS_AT_ONCE)
        start, end = lefts[at], lefts[some][-1] + tile
        found = forward([(top, left) for left in lefts[some]])
        total = np.zeros((*found.shape[1:-1], end - start), np.float32)
        if begun is not None:
            total[..., : begun.shape[-1]] = begun
        for left, weights, prob in zip(lefts[some], across[some], found, strict=True):
            total[..., left - start : left - start + tile] += prob * weights
        following = lefts[at + WINDOWS_AT_ONCE] if at + WINDOWS_AT_ONCE < len(lefts) else end
        begun = total[..., following - start :].copy()
        yield start, total[..., : following - start]


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
