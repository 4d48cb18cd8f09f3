"""What is kept of one mask when a data set is looked at: its values, not its pixels."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.data.blurred_classes import steady_counts
from segstudy.data.mask_pixels import MaskPixels
from segstudy.data.mask_tables import MaskTable

MAX_KEPT = 65_536  # distinct values of one mask; a map of probabilities has a million


@dataclass(frozen=True, slots=True)
class MaskLook:
    """What one mask shows.

    Attributes:
        table: how often each value occurs.
        border: ``(K,)``, the same along the border.
        shape: height and width.
        flat_frac: of the pixels between the smallest and the largest value, those whose right and lower
            neighbours are equal; 0 where there are none.
        mode, turned, is_white_zero: as in ``MaskPixels``.
        steady: ``(256,)``, how many pixels of each grey level lie among nearly equal ones, see
            ``blurred_classes``; ``(0,)`` of two values, and of what is not grey.
    """

    table: MaskTable
    border: NDArray[np.int64]
    shape: tuple[int, int]
    flat_frac: float
    mode: str
    turned: bool
    is_white_zero: bool = False
    steady: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def look_at_mask(mask: MaskPixels, table: MaskTable) -> MaskLook:
    """Keep of a mask what its meaning and its findings need."""
    values = mask.values
    border = np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])
    is_mixed = len(table.values) > 2 and mask.kind == "grey"
    flat_frac = _flat_frac(values) if is_mixed else 0.0
    steady = steady_counts(values) if is_mixed and values.dtype.kind in "ui" else np.zeros(0, np.int64)
    if len(table.values) > MAX_KEPT:
        table, border = _thinned(table, border)
    places, counts = np.unique(np.searchsorted(table.values, border), return_counts=True)
    along = np.zeros(len(table.values), np.int64)
    along[np.minimum(places, len(along) - 1)] = counts
    shown = (values.shape[:2], flat_frac, mask.mode, mask.turned, mask.is_white_zero)
    return MaskLook(table, along, *shown, steady)


def _flat_frac(values: NDArray[Any]) -> float:
    inner = values[:-1, :-1]
    between = (inner > values.min()) & (inner < values.max())
    flat = between & (inner == values[:-1, 1:]) & (inner == values[1:, :-1])
    return float(flat.sum() / max(1, between.sum()))


def _thinned(table: MaskTable, border: NDArray[Any]) -> tuple[MaskTable, NDArray[Any]]:
    """As many values as are kept, evenly among those that occur; every pixel counts for the one below it."""
    kept = table.values[np.linspace(0, len(table.values) - 1, MAX_KEPT).astype(np.int64)]
    counts = np.bincount(np.searchsorted(kept, table.values, "right") - 1, table.counts, len(kept))
    thin = replace(table, values=kept, counts=counts.astype(np.int64), colours=None)
    return thin, kept[np.searchsorted(kept, border, "right") - 1]
