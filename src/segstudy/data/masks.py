"""What the values of a mask mean: which of them are foreground, or of which class they are.

A rule is applied to the table of a mask's values, never to its pixels, so that a whole data set can be judged
by tables alone, see ``mask_survey``.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.mask_rules import USUAL, MaskMeaning, MaskRule
from segstudy.core.outputs import IGNORED
from segstudy.core.quantities import counted as counted_noun
from segstudy.core.quantities import percent
from segstudy.data.images import ImageError
from segstudy.data.mask_pixels import Kind, MaskPixels, decode_mask
from segstudy.data.sources import MaskSource, first_file

THRESHOLD = 128  # of blurred masks with 8 bits
GREY = range(32, 224)  # neither background nor foreground, even after JPEG
MAX_GREY_FRAC = 0.05
FEW = 16  # more values than that are a blur, or numbers of objects


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


def read_mask(source: MaskSource, meaning: MaskMeaning = USUAL) -> NDArray[Any]:
    """Decode a mask ``(H, W)``, of the type ``meaning.outputs.mask_dtype``.

    Raises:
        ImageError: as ``images.read_image``, and a mask of which the meaning says too little.
    """
    return classified(decode_mask(source), first_file(source), meaning)


def classified(mask: MaskPixels, path: Path, meaning: MaskMeaning = USUAL) -> NDArray[Any]:
    """Apply the meaning of a data set's masks to one of them.

    Raises:
        ImageError: its values do not fit.
    """
    table = table_of(mask, path)
    return lookup(mask, table, numbers_in(table, meaning))


def lookup(mask: MaskPixels, table: MaskTable, numbers: NDArray[Any]) -> NDArray[Any]:
    """What the pixels ``(H, W)`` are, from what the values of the table are, ``(K,)``."""
    if mask.values.dtype == np.uint8:
        wanted = np.zeros(256, numbers.dtype)
        wanted[table.values] = numbers
        return np.asarray(wanted[mask.values])
    if numbers.dtype == np.bool_ and len(table.values) <= 2 and numbers.sum() == 1:
        return np.asarray(mask.values == table.values[numbers][0])
    return numbers[np.searchsorted(table.values, mask.values)]


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


def numbers_in(table: MaskTable, meaning: MaskMeaning = USUAL) -> NDArray[Any]:
    """Of which class a table's values are, ``(K,)`` of the type ``meaning.outputs.mask_dtype``.

    Raises:
        ImageError: the values do not fit the meaning.
    """
    if meaning.classes:
        return _class_numbers(table, meaning)
    if not meaning.ignore:
        return foreground_of(table, meaning)
    return np.where(ignored_in(table, meaning), np.uint8(IGNORED), foreground_of(table, meaning))


def ignored_in(table: MaskTable, meaning: MaskMeaning) -> NDArray[np.bool_]:
    """Which of a table's values count nowhere, ``(K,)``."""
    return _among(table, meaning.ignore, meaning)


def without_ignored(table: MaskTable, meaning: MaskMeaning) -> MaskTable:
    """The values that count."""
    if not meaning.ignore:
        return table
    counts = ~ignored_in(table, meaning)
    colours = None if table.colours is None else table.colours[counts]
    return replace(table, values=table.values[counts], counts=table.counts[counts], colours=colours)


def _class_numbers(table: MaskTable, meaning: MaskMeaning) -> NDArray[np.uint8]:
    """The number of each value's class; values of no class are refused."""
    numbers = np.full(len(table.values), IGNORED, np.uint8)
    named = ignored_in(table, meaning).astype(np.uint8)
    for number, each in enumerate(meaning.classes):
        chosen = _among(table, each.values, meaning)
        numbers[chosen] = number
        named += chosen
    if (named != 1).any():
        raise of_no_class(table, named)
    return numbers


def _among(table: MaskTable, names: tuple[int | str, ...], meaning: MaskMeaning) -> NDArray[np.bool_]:
    """Which of a table's values are named, as numbers or colours. Brightness is no number here."""
    chosen = np.zeros(len(table.values), np.bool_)
    if colours := [int(each[1:], 16) for each in names if isinstance(each, str)]:
        chosen |= np.isin(_as_colours(table), colours)
    if numbers := [each for each in names if isinstance(each, int)]:
        found = _stored_numbers(table, by_index=meaning.rule.kind == "indices")
        chosen |= np.zeros_like(chosen) if found is None else np.isin(found, numbers)
    return chosen


def foreground_of(table: MaskTable, meaning: MaskMeaning = USUAL) -> NDArray[np.bool_]:
    """Which of a table's values are foreground, ``(K,)``; of several classes all but the background are.

    By the rule ``larger`` the larger of two values is foreground. A constant 0 is an empty mask, a constant
    1 or 128 and above a full one. Of more values those from 128 up are foreground, as JPEG blurs what was
    black and white. Values that are ignored are not foreground, and the rule does not see them.

    Raises:
        ImageError: the values do not fit the meaning.
    """
    if meaning.classes:
        return np.isin(_class_numbers(table, meaning), meaning.outputs.scored)
    if meaning.ignore:
        foreground = np.zeros(len(table.values), np.bool_)
        counting = without_ignored(table, meaning)
        if len(counting.values):
            foreground[~ignored_in(table, meaning)] = foreground_of(counting, replace(meaning, ignore=()))
        return foreground
    return _named(table, meaning) if meaning.foreground is not None else _by_rule(table, meaning.rule)


def _by_rule(table: MaskTable, rule: MaskRule) -> NDArray[np.bool_]:
    match rule.kind:
        case "background" if rule.value.startswith("#"):
            return np.asarray(_as_colours(table) != rule.number)
        case "background":
            return np.asarray(numbers_of(table) != rule.number)
        case "cut":
            return np.asarray(numbers_of(table) >= rule.number)
        case "inverted":
            return ~_larger(table)
        case "indices" if len(table.values) > 2:
            raise several_classes(table, table.values)
    return _larger(table)


def _named(table: MaskTable, meaning: MaskMeaning) -> NDArray[np.bool_]:
    """The values that ``foreground`` names."""
    named = meaning.foreground or ()
    chosen = np.zeros(len(table.values), np.bool_)
    if colours := [int(each[1:], 16) for each in named if isinstance(each, str)]:
        chosen |= np.isin(_as_colours(table), colours)
    if numbers := [each for each in named if isinstance(each, int)]:
        found = numbers_of(table, by_index=meaning.rule.kind == "indices")
        if meaning.rule.kind == "nearest":
            found = np.where(as_bytes(found) >= THRESHOLD, 255, 0)
        chosen |= np.isin(found, numbers)
    return chosen


def _larger(table: MaskTable) -> NDArray[np.bool_]:
    values = numbers_of(table)
    if len(values) == 1:
        return _constant(table, values)
    if len(values) == 2:
        return np.asarray(values == values.max())
    if values.dtype.kind == "f":
        raise _fractions(table)
    if int(values.min()) < 0 or int(values.max()) > 65535:
        raise several_classes(table, values)
    grey = as_bytes(values)
    grey_frac = grey_frac_of(table)
    if looks_like_classes(values) or (grey_frac > MAX_GREY_FRAC and len(values) <= FEW):
        raise several_classes(table, values)
    if grey_frac > MAX_GREY_FRAC:
        detail = f"{percent(grey_frac)} of the pixels are grey, neither background nor foreground"
        raise ImageError(table.path, "grey", f"{detail}; save it in black and white, or {_cut(values)}")
    return grey >= THRESHOLD


def numbers_of(table: MaskTable, by_index: bool = False) -> NDArray[Any]:
    """A table's values as numbers ``(K,)``.

    A palette of greys counts by grey, another one by index. Colours of one channel count by that channel; of
    two others the brighter counts as 255 and the darker as 0.

    Raises:
        ImageError: colours of which none is the foreground.
    """
    found = _stored_numbers(table, by_index)
    if found is not None:
        return found
    assert table.colours is not None
    rgb = rgb_of(table.colours)
    brightness = rgb.sum(axis=1, dtype=np.int64)
    if len(rgb) == 2 and brightness[0] != brightness[1]:
        return np.where(brightness == brightness.max(), np.uint8(255), np.uint8(0))
    raise coloured(table)


def _stored_numbers(table: MaskTable, by_index: bool = False) -> NDArray[Any] | None:
    """A table's values as the numbers that were meant; None of colours of several channels."""
    if table.kind == "grey" or (table.kind == "palette" and by_index) or table.colours is None:
        return table.values
    if table.kind == "palette":
        return _channel(table.colours, 0) if table.has_grey_palette else table.values
    for shift in (16, 8, 0):
        if not (table.colours & ~np.uint32(0xFF << shift)).any():
            return _channel(table.colours, shift)
    return None


def _channel(colours: NDArray[np.uint32], shift: int) -> NDArray[np.uint8]:
    return ((colours >> np.uint32(shift)) & np.uint32(0xFF)).astype(np.uint8)


def _as_colours(table: MaskTable) -> NDArray[np.uint32]:
    if table.colours is not None:
        return table.colours
    return as_bytes(table.values).astype(np.uint32) * np.uint32(0x010101)


def rgb_of(colours: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """0xRRGGBB ``(K,)`` as ``(K, 3)``."""
    return np.stack([_channel(colours, shift) for shift in (16, 8, 0)], axis=-1)


def is_grey(colours: NDArray[np.uint32]) -> bool:
    """Whether the three channels of all colours agree."""
    return bool((colours == _channel(colours, 0).astype(np.uint32) * np.uint32(0x010101)).all())


def as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values on the scale 0 to 255; those of 16 bits are scaled down."""
    if values.dtype == np.uint8:
        return values
    return np.asarray(np.clip(values // 257, 0, 255), np.uint8)


def grey_frac_of(table: MaskTable) -> float:
    """The fraction of pixels that are neither near black nor near white (32..223)."""
    grey = as_bytes(numbers_of(table))
    between = (grey >= GREY.start) & (grey < GREY.stop)
    return float(table.counts[between].sum() / table.counts.sum())


def looks_like_classes(found: NDArray[Any]) -> bool:
    """Three or more values that are small numbers, with or without 255 for "ignore"."""
    numbers = found[found != 255]
    return len(found) > 2 and int(numbers.max()) < (GREY.start if len(numbers) < len(found) else THRESHOLD)


def _constant(table: MaskTable, values: NDArray[Any]) -> NDArray[np.bool_]:
    value = values[0]
    if value < 0 or 1 < value < THRESHOLD or value % 1:
        detail = f"every pixel is {value}, neither background (0) nor foreground (255); save it in black and"
        raise ImageError(
            table.path, "grey", f"{detail} white, or name the foreground, {naming(max(0, int(value)))}"
        )
    return np.array([value > 0])


def _fractions(table: MaskTable) -> ImageError:
    low, high = table.values[[0, -1]]
    what = "probabilities" if low >= 0 and high <= 1 else f"32-bit values from {low:.4g} to {high:.4g}"
    detail = f"holds {what}, of which none is the foreground by itself; {_cut(table.values)}"
    return ImageError(table.path, "fractional", detail)


def _cut(values: NDArray[Any]) -> str:
    """The option that cuts such values where most people would."""
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        return f"cut them with --masks cut={0.5 if low >= 0 and high <= 1 else 0:g}"
    return f"cut them with --masks cut={THRESHOLD if values.max() <= 255 else 257 * THRESHOLD}"


def several_classes(table: MaskTable, found: NDArray[Any]) -> ImageError:
    """The error of a mask that has more than two values, none of which is the foreground by itself."""
    detail = f"a mask of several classes, with the values {listed(found)}; name those that are foreground"
    remedy = f"{naming(int(found[1]))}; or count every value but {found[0]} as foreground with"
    blurred = (
        f"; or, if the values between are blurred edges or probabilities, {_cut(found)}"
        if found.max() >= THRESHOLD
        else ""
    )
    return ImageError(table.path, "multi-class", f"{detail}, {remedy} --masks background={found[0]}{blurred}")


def coloured(table: MaskTable) -> ImageError:
    """The error of a mask in several colours."""
    colours = rgb_of(_as_colours(table))
    shown = ", ".join(str(tuple(map(int, colour))) for colour in colours[:4])
    more = ", ..." if len(colours) > 4 else ""
    spelled = "#" + colours[-1].tobytes().hex()
    return ImageError(
        table.path,
        "coloured",
        f"{len(colours)} colours, {shown}{more}; save it in black and white, or name those that are "
        f"foreground, {naming(spelled)}",
    )


def naming(value: int | str) -> str:
    """How the foreground is named; ``--set`` and ``--foreground`` mean the same."""
    spelled = f"'{value}'" if isinstance(value, str) else value
    return f"as foreground={value} (run: --set foreground={value}; check, evaluate: --foreground {spelled})"


def of_no_class(table: MaskTable, named: NDArray[np.uint8]) -> ImageError:
    """The error of a mask with values that no class has, or that two have.

    Args:
        table: of the mask.
        named: ``(K,)``, how often each value is named, among the values to ignore too.
    """
    odd = np.flatnonzero(named != 1)
    if table.kind == "colour":
        shown = np.array([f"#{colour:06x}" for colour in _as_colours(table)[odd]])
    else:
        shown = table.values[odd]
    values = counted_noun(len(odd), "value")
    if (named > 1).any():
        return ImageError(table.path, "multi-class", f"holds {values} that two classes name: {listed(shown)}")
    if table.lossy:
        remedy = "the format of the file blurs class numbers: save the masks as PNG"
    else:
        remedy = "name the class in --classes, or the value in --ignore if such pixels are to count nowhere"
    return ImageError(
        table.path, "multi-class", f"holds {values} that no class has: {listed(shown)}; {remedy}"
    )


def listed(found: NDArray[Any], most: int = 8) -> str:
    """The first of some values, and how many more there are."""
    shown = ", ".join(str(value) for value in found[:most])
    return shown + (f" and {len(found) - most} more" if len(found) > most else "")
