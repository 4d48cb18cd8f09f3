"""Measurements of a mask that is seen block by block."""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StreamedMeasures:
    """Those of ``Measures`` that need no more than a block at a time; see there."""

    area_px: int
    area_frac: float
    left_px: int | None
    top_px: int | None
    width_px: int | None
    height_px: int | None
    centroid_x_px: float | None
    centroid_y_px: float | None
    touches_border: bool
    confidence: float


class MeasuredBlocks:
    """Sums over the blocks of a mask.

    Args:
        size: height and width of the image.
    """

    def __init__(self, size: tuple[int, int]):
        self._size = size
        self._down = np.zeros(size[0], np.int64)  # foreground pixels of each row
        self._across = np.zeros(size[1], np.int64)  # of each column
        self._sum, self._highest = 0.0, 0.0  # of probabilities

    def add(self, top: int, left: int, mask: NDArray[np.bool_], prob: NDArray[np.float32]) -> None:
        """Add a block ``(rows, columns)`` of the mask and of its probabilities, with its first pixel."""
        rows, columns = mask.shape
        self._down[top : top + rows] += np.count_nonzero(mask, axis=1)
        self._across[left : left + columns] += np.count_nonzero(mask, axis=0)
        self._sum += float(prob[mask].sum(dtype=np.float64))
        self._highest = max(self._highest, float(prob.max()))

    def measures(self) -> StreamedMeasures:
        """Return the measurements; those of an empty mask as ``measured`` has them."""
        area = int(self._down.sum())
        if not area:
            sure = round(1 - self._highest, 4)
            return StreamedMeasures(0, 0.0, None, None, None, None, None, None, False, sure)
        (top, bottom), (left, right) = (_ends(counts) for counts in (self._down, self._across))
        height, width = self._size
        return StreamedMeasures(
            area_px=area,
            area_frac=round(area / prod(self._size), 6),
            left_px=left,
            top_px=top,
            width_px=right - left,
            height_px=bottom - top,
            centroid_x_px=_mean_place(self._across),
            centroid_y_px=_mean_place(self._down),
            touches_border=top == 0 or left == 0 or bottom == height or right == width,
            confidence=round(self._sum / area, 4),
        )


def _ends(counts: NDArray[np.int64]) -> tuple[int, int]:
    there = np.flatnonzero(counts)
    return int(there[0]), int(there[-1]) + 1


def _mean_place(counts: NDArray[np.int64]) -> float:
    total = sum(int(count) * i for i, count in enumerate(counts.tolist()) if count)
    return round(total / int(counts.sum()), 2)
