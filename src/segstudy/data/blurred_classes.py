"""Masks of several classes whose values a lossy format, or resizing, has blurred.

Their values lie around a few levels. A blurred mask of two values has levels at its ends only: a pixel
between lies on an edge, where its neighbours have other values. So only pixels count whose neighbours are
nearly equal. In binary masks (PH2; discs and lines of 1 to 9 px), as JPEG of quality 5 to 95, resized by .1
to 8 with five filters, or blurred by 1 to 20 px, few of the pixels between lie around a level.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.data.mask_tables import as_bytes

NEAR = 8  # grey levels by which neighbours in a flat area differ at most
CORE, REACH = 3, 12  # around a level, what is counted as it, and what is compared with that
LEAST_IN_CORE = 0.4  # of what lies within reach
LEAST_FRAC = 0.03  # of the pixels away from the two most frequent levels
FEWEST_PX = 48
MOST_BETWEEN_FRAC = 0.3
LEAST_APART = 0.12  # of the range of all levels
LEAST_STEADY_FRAC = 0.9  # of the flat areas of blurred masks
STRIP_PIXELS = 2**20  # looked at at a time
MOST = 32  # levels that are looked for

Counts = NDArray[np.int64]  # (256,) how many pixels have each grey level; (0,) where it was not counted


def steady_counts(values: NDArray[Any]) -> Counts:
    """Count the pixels by grey level whose right and lower neighbours are nearly equal.

    Args:
        values: ``(H, W)``, whole numbers; those of more than 8 bits are scaled down.
    """
    found = np.zeros(256, np.int64)
    height, width = values.shape
    for top in range(0, height - 1, rows := max(1, STRIP_PIXELS // width)):
        grey = as_bytes(values[top : top + rows + 1]).astype(np.int16)
        inner = grey[:-1, :-1]
        others = (grey[:-1, 1:], grey[1:, :-1], grey[1:, 1:])
        is_steady = np.logical_and.reduce([abs(inner - other) <= NEAR for other in others])
        found += np.bincount(inner[is_steady], minlength=256)
    return found


@dataclass(frozen=True)
class GreyLevels:
    """The levels around which the values of masks lie.

    Attributes:
        values: ascending.
        steady_frac: of the pixels among nearly equal ones, those that lie around these levels.
        between_frac: of the pixels of a value that lies around none, those among nearly equal ones; the mean
            over such values. Numbers of classes and objects have areas of their own, edges do not. 0 without
            such values, if there could be some.
    """

    values: tuple[int, ...]
    steady_frac: float
    between_frac: float

    @property
    def are_several(self) -> bool:
        """Whether there are more than background and foreground."""
        return len(self.values) > 2

    @property
    def are_blurred(self) -> bool:
        """Whether there are, and nearly all flat areas are at one of them: values between are edges."""
        are_edges = self.between_frac <= MOST_BETWEEN_FRAC
        return self.are_several and self.steady_frac >= LEAST_STEADY_FRAC and are_edges


def levels_of(steady: Iterable[Counts], all_counts: Counts) -> GreyLevels:
    """Find the levels around which the values of all masks lie.

    Args:
        steady: of each mask, as ``steady_counts``.
        all_counts: of all masks together, of every pixel.
    """
    counts = sum((each for each in steady if len(each)), np.zeros(256, np.int64))
    left, outside, found = counts.copy(), all_counts.copy(), list[int]()
    for _ in range(MOST):
        in_core = np.convolve(left, np.ones(2 * CORE + 1, np.int64), "same")
        level = int(in_core.argmax())
        if in_core[level] < max(FEWEST_PX, LEAST_FRAC * outside.sum()):
            break
        around = slice(max(0, level - REACH), level + REACH + 1)
        if in_core[level] >= LEAST_IN_CORE * counts[around].sum():
            found.append(level)
            if len(found) <= 2:
                outside[around] = 0
        left[around] = 0
    near = np.zeros(256, np.bool_)
    for level in found:
        near[max(0, level - REACH) : level + REACH + 1] = True
    between = ~near & (all_counts > 0)
    have_gaps = all(high - low > 2 * REACH for low, high in pairwise(sorted(found)))
    between_frac = 0.0 if have_gaps else 1.0
    if between.any():
        between_frac = float((counts[between] / all_counts[between]).mean())
    steady_frac = float(counts[near].sum() / max(1, counts.sum()))
    return GreyLevels(_apart([_middle(counts, level) for level in found]), steady_frac, between_frac)


def _apart(levels: Sequence[int]) -> tuple[int, ...]:
    """Those of some levels, the most frequent first, that are far from the ones before; ascending.

    A filter that sharpens (Lanczos, bicubic) leaves rims of another grey beside an edge, a tenth of its
    height away.
    """
    kept: list[int] = []
    for level in levels:
        if all(abs(level - other) > LEAST_APART * (max(levels) - min(levels)) for other in kept):
            kept.append(level)
    return tuple(sorted(kept))


def _middle(counts: Counts, level: int) -> int:
    """The most frequent value of those that were counted as a level."""
    low = max(0, level - CORE)
    return low + int(counts[low : level + CORE + 1].argmax())
