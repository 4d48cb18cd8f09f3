"""How often each value of a mask occurs, and its values as numbers and as colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.data.mask_pixels import Kind, MaskPixels


@dataclass(frozen=True, slots=True)
class MaskTable:
    """How often each value of a mask occurs.

    Attributes:
        path: named in errors.
        kind: what the values are, as in ``MaskPixels``.
        lossy: the file's format keeps values only nearly.
        values: ``(K,)``, ascending, all that occur.
        counts: ``(K,)``, how many pixels have each.
        colours: ``(K,)``, each value as 0xRRGGBB; None of grey masks.
    """

    path: Path
    kind: Kind
    lossy: bool
    values: NDArray[Any]
    counts: NDArray[np.int64]
    colours: NDArray[np.uint32] | None = None

    @property
    def has_grey_palette(self) -> bool:
        """Whether it is a palette of which only greys are used."""
        return self.kind == "palette" and self.colours is not None and is_grey(self.colours)


def table_of(mask: MaskPixels, path: Path) -> MaskTable:
    """Count the values of a mask."""
    values, counts = counted(mask.values)
    colours = mask.palette[values] if mask.palette is not None else None
    if mask.kind == "colour":
        colours = values
    return MaskTable(path, mask.kind, mask.lossy, values, counts, colours)


def counted(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values that occur, ascending, and how often each does."""
    if values.dtype != np.uint8:
        return np.unique(values, return_counts=True)
    counts = np.array(Image.fromarray(np.atleast_2d(values)).histogram())  # 30 times faster than sorting
    found = np.flatnonzero(counts)
    return found.astype(np.uint8), counts[found]


def stored_numbers(table: MaskTable, by_index: bool = False) -> NDArray[Any] | None:
    """A table's values as the numbers that were meant; None of colours of several channels."""
    if table.kind == "grey" or (table.kind == "palette" and by_index) or table.colours is None:
        return table.values
    if table.kind == "palette":
        return channel(table.colours, 0) if table.has_grey_palette else table.values
    shift = one_channel(table.colours)
    return None if shift is None else channel(table.colours, shift)


def one_channel(colours: NDArray[np.uint32]) -> int | None:
    """Where the one channel starts that all colours lie in, in bits; None of colours of several."""
    return next((shift for shift in (16, 8, 0) if not (colours & ~np.uint32(0xFF << shift)).any()), None)


def differ_in_channel(tables: Sequence[MaskTable]) -> bool:
    """Whether masks in colour have numbers in one channel each, but not all in the same one."""
    colours = [table.colours for table in tables if table.kind == "colour" and table.colours is not None]
    if not colours or any(one_channel(each) is None for each in colours):
        return False
    return one_channel(np.concatenate(colours)) is None


def channel(colours: NDArray[np.uint32], shift: int) -> NDArray[np.uint8]:
    return ((colours >> np.uint32(shift)) & np.uint32(0xFF)).astype(np.uint8)


def as_colours(table: MaskTable) -> NDArray[np.uint32]:
    if table.colours is not None:
        return table.colours
    return as_bytes(table.values).astype(np.uint32) * np.uint32(0x010101)


def rgb_of(colours: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """0xRRGGBB ``(K,)`` as ``(K, 3)``."""
    return np.stack([channel(colours, shift) for shift in (16, 8, 0)], axis=-1)


def is_grey(colours: NDArray[np.uint32]) -> bool:
    """Whether the three channels of all colours agree."""
    return bool((colours == channel(colours, 0).astype(np.uint32) * np.uint32(0x010101)).all())


def as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values on the scale 0 to 255; those of 16 bits are scaled down."""
    if values.dtype == np.uint8:
        return values
    return np.asarray(np.clip(values // 257, 0, 255), np.uint8)
