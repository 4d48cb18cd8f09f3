"""The rule that the values of all masks speak for, where the user names none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.errors import UserError
from segstudy.core.mask_rules import USUAL, MaskMeaning, MaskRule
from segstudy.data.blurred_classes import GreyLevels, levels_of
from segstudy.data.images import ImageError
from segstudy.data.mask_inference import Inference
from segstudy.data.mask_looks import MaskLook
from segstudy.data.mask_refusals import (
    Refusal,
    blurred,
    blurred_by_format,
    coloured_masks,
    differing,
    of_two_colours,
    several,
)
from segstudy.data.mask_tables import MaskTable, as_bytes, is_grey, rgb_of
from segstudy.data.masks import (
    FEW,
    GREY,
    THRESHOLD,
    coloured,
    foreground_of,
    listed,
    numbers_of,
    several_classes,
)

FLAT_FRAC = 0.2  # of the pixels between black and white: more of them in flat areas are no blurred edge
FLAT_OBJECTS_FRAC = 0.3
MIN_OBJECTS = 20  # numbers of objects reach at least that in some mask; fewer may be classes
NUMBERED_FRAC = 0.9  # of the numbers from 1 to the largest, those that occur
MAX_WHITE_FRAC = 0.4  # of what is not black: more of it near white is a blur
FULL_SCALE = (1, 255, 65_535)  # what people write for "true"
MAX_CLASS = 8192  # grey levels of 16 bits reach further


def from_values(looks: Sequence[MaskLook]) -> Inference:
    """Find the one rule of all masks from their values alone."""
    tables = [look.table for look in looks]
    if any(table.colours is not None and not is_grey(table.colours) for table in tables):
        return _by_colour(tables)
    return _by_number(looks)


def grey_levels(looks: Sequence[MaskLook]) -> GreyLevels:
    """The levels around which the values of all masks with more than two values lie."""
    mixed = [look for look in looks if len(look.steady)]
    counts = np.zeros(256, np.int64)
    for look in mixed:
        counts += np.bincount(as_bytes(look.table.values), look.table.counts, 256).astype(np.int64)
    return levels_of((look.steady for look in mixed), counts)


def blurred_masks(looks: Sequence[MaskLook], levels: GreyLevels) -> Inference:
    """What is found of label masks that were blurred: each with more than two values is refused."""
    refused = [i for i, look in enumerate(looks) if len(look.steady)]
    refusal = blurred(levels.values, is_lossy=any(looks[i].table.lossy for i in refused))
    errors = {i: refusal.error(looks[i].table.path) for i in refused}
    return Inference(USUAL, "label masks that are blurred", errors, refusal=refusal)


def agrees(tables: Iterable[MaskTable], one: MaskMeaning, other: MaskMeaning) -> bool:
    """Whether two meanings give the same masks."""
    try:
        return all((foreground_of(each, one) == foreground_of(each, other)).all() for each in tables)
    except UserError:
        return False


def _usual_if_equal(tables: Sequence[MaskTable], rule: str, value: Any) -> MaskMeaning:
    """The rule, unless the usual one gives the same masks: keys then stay as they were."""
    meaning = MaskMeaning(MaskRule(rule, str(value)))  # type: ignore[arg-type]
    return USUAL if agrees(tables, USUAL, meaning) else meaning


def refusal_of(looks: Sequence[MaskLook], unfit: Mapping[int, ImageError]) -> Refusal | None:
    """Why the masks that do not fit are refused together, if they hold several classes or colours."""
    refused = [looks[i] for i, error in unfit.items() if error.kind == "multi-class"]
    if refused:
        found = np.unique(np.concatenate([numbers_or_none(look.table) for look in refused]))
        if any(look.table.lossy for look in refused):
            return blurred_by_format(found)
        are_edges = all(look.table.kind == "grey" and look.flat_frac < FLAT_FRAC for look in refused)
        return several(found, are_edges)
    tables = [looks[i].table for i, error in unfit.items() if error.kind == "coloured"]
    return coloured_masks(tables) if tables else None


# Colours


def _by_colour(tables: Sequence[MaskTable]) -> Inference:
    colours = np.unique(np.concatenate([_colours_of(table) for table in tables]))
    in_colour = [table for table in tables if table.kind == "colour"]
    if len(colours) <= 2:
        return _by_two_colours(tables, colours)
    palettes = {i: table for i, table in enumerate(tables) if table.kind == "palette"}
    if not in_colour:
        errors = {i: several_classes(t, t.values) for i, t in palettes.items() if len(t.values) > 1}
        return Inference(USUAL, "numbers of a palette, of several classes", errors)
    if not palettes and all(len(numbers_or_none(t)) and _is_one_channel(colours) for t in in_colour):
        return _several(tables, {i: numbers_of(table) for i, table in enumerate(tables)})
    errors = {
        i: coloured(t) for i, t in enumerate(tables) if t.colours is not None and not is_grey(t.colours)
    }
    refusal = coloured_masks(tables[i] for i in errors)
    return Inference(USUAL, f"masks in {len(colours)} colours", errors, refusal=refusal)


def numbers_or_none(table: MaskTable) -> NDArray[Any]:
    """The numbers in a mask; none of one in colours."""
    try:
        return numbers_of(table)
    except ImageError:
        return np.array([], np.uint8)


def _colours_of(table: MaskTable) -> NDArray[np.uint32]:
    if table.colours is not None:
        return np.unique(table.colours)
    return np.unique(as_bytes(table.values).astype(np.uint32) * np.uint32(0x010101))


def _is_one_channel(colours: NDArray[np.uint32]) -> bool:
    return any(not (colours & ~np.uint32(0xFF << shift)).any() for shift in (16, 8, 0))


def _by_two_colours(tables: Sequence[MaskTable], colours: NDArray[np.uint32]) -> Inference:
    brightness = rgb_of(colours).sum(axis=1, dtype=np.int64)
    dark, bright = (f"#{colours[i]:06x}" for i in np.argsort(brightness, kind="stable")[[0, -1]])
    why = f"two colours: {dark} is background, {bright} is foreground"
    meaning = _usual_if_equal(tables, "background", dark)
    is_clear = len(set(brightness)) == len(colours) and (dark == "#000000" or meaning == USUAL)
    is_on_white = bright == "#ffffff" and dark != "#000000"  # as on maps, where white is background
    if is_clear and not is_on_white:
        return Inference(meaning, why)
    against = "their order in the palette contradicts their brightness"
    reason = "white may be the background" if is_on_white else against
    refusal = of_two_colours(dark, bright, reason)
    errors = {i: refusal.error(table.path) for i, table in enumerate(tables)}
    return Inference(meaning, why, errors, refusal=refusal)


# Numbers


def _by_number(looks: Sequence[MaskLook]) -> Inference:
    tables = [look.table for look in looks]
    numbers = {i: numbers_of(table) for i, table in enumerate(tables)}
    if any(values.dtype.kind == "f" and (values % 1).any() for values in numbers.values()):
        return Inference(USUAL, "fractions")
    levels = grey_levels(looks)
    if levels.are_blurred and not _have_few_values(numbers):
        return blurred_masks(looks, levels)
    if _are_objects(looks, numbers):
        most = max(int(values.max()) for values in numbers.values())
        why = f"numbers of objects, up to {most} in a mask: every number but 0 is foreground"
        return Inference(_usual_if_equal(tables, "background", 0), why)
    if all(len(values) <= 2 for values in numbers.values()):
        return _of_two_values(tables, numbers)
    return _of_more_values(looks, numbers, levels)


def _have_few_values(numbers: Mapping[int, NDArray[Any]]) -> bool:
    """Whether each mask has few values: then they may be classes all the same, however thin their areas."""
    return all(len(values) <= FEW for values in numbers.values())


def _are_objects(looks: Sequence[MaskLook], numbers: Mapping[int, NDArray[Any]]) -> bool:
    """Whether the values count objects: from 1 on in every mask, without many gaps, and in flat areas."""
    several = [(looks[i], values) for i, values in numbers.items() if len(values) > 1]
    if not several or any(v.dtype.kind == "f" or look.table.lossy or v.min() < 0 for look, v in several):
        return False
    largest = [int(values.max()) for _, values in several]
    numbered = all((values > 0).sum() >= NUMBERED_FRAC * values.max() for _, values in several)
    flat = all(look.flat_frac >= FLAT_OBJECTS_FRAC for look, values in several if len(values) > FEW)
    return numbered and flat and max(largest) >= MIN_OBJECTS and not any(_is_white(*each) for each in several)


def _is_white(look: MaskLook, values: NDArray[Any]) -> bool:
    """Whether what is not black is mostly white, as in a blurred mask."""
    counts = look.table.counts
    white = counts[(values >= GREY.stop) & (values <= 255)].sum()
    return bool(values.max() <= 255 and white > MAX_WHITE_FRAC * counts[values > 0].sum())


def _of_two_values(tables: Sequence[MaskTable], numbers: Mapping[int, NDArray[Any]]) -> Inference:
    found = np.unique(np.concatenate(list(numbers.values())))
    pairs = {tuple(values.tolist()) for values in numbers.values() if len(values) == 2}
    if len(found) <= 2:
        why = (
            f"{found[0]} is background, {found[-1]} is foreground"
            if len(found) == 2
            else _one_value(found[0])
        )
        usual = len(found) == 1 or not pairs
        return Inference(USUAL if usual else _usual_if_equal(tables, "background", found[0]), why)
    if all(value in (0, *FULL_SCALE) for value in found):
        why = f"0 is background, {' or '.join(map(str, found[1:]))} is foreground"
        return Inference(USUAL, why, remark=_several_scales(numbers, found))
    if found.min() >= 0 and all(map(_is_black_and_white, numbers.values())):
        meaning = _usual_if_equal(tables, "cut", THRESHOLD if found.max() <= 255 else 257 * THRESHOLD)
        return Inference(meaning, f"black and white nearly, cut at {THRESHOLD}")
    return _differing(tables, numbers, found)


def _several_scales(numbers: Mapping[int, NDArray[Any]], found: NDArray[Any]) -> str:
    """That 1 is written in some masks and 255 in others, which is often a border of no class."""
    held = [f"{sum(value in values for values in numbers.values())} hold {value}" for value in found[1:]]
    return (
        f"of the masks {' and '.join(held)}, and all of these count as foreground; if {found[-1]} is no "
        f"class (void, ignore), choose --foreground {found[1]}"
    )


def _is_black_and_white(values: NDArray[Any]) -> bool:
    """Whether one or two values are black, white, or one of each, nearly."""
    grey = as_bytes(values)
    low, high = int(grey.min()), int(grey.max())
    return (high >= GREY.stop and (low < GREY.start or low == high)) or values.max() == 0


def _one_value(value: Any) -> str:
    return f"every pixel of every mask is {value}"


def _differing(
    tables: Sequence[MaskTable], numbers: Mapping[int, NDArray[Any]], found: NDArray[Any]
) -> Inference:
    """Two values in each mask, but other ones in others."""
    errors = {
        i: ImageError(tables[i].path, "multi-class", f"holds {listed(values)}, others hold {listed(found)}")
        for i, values in numbers.items()
    }
    refusal = differing({tables[i].path: values for i, values in numbers.items()})
    return Inference(USUAL, "other values in other masks", errors, refusal=refusal)


def _of_more_values(
    looks: Sequence[MaskLook], numbers: Mapping[int, NDArray[Any]], levels: GreyLevels
) -> Inference:
    tables = [look.table for look in looks]
    found = np.unique(np.concatenate(list(numbers.values())))
    flat = {
        i
        for i, values in numbers.items()
        if len(values) > 2 and not tables[i].lossy and _is_flat(looks[i], values, len(found))
    }
    if flat:
        return _several(tables, {i: numbers[i] for i in flat})
    if levels.are_several:
        return _several(tables, numbers)
    errors = {
        i: _against_the_cut(tables[i], values) for i, values in numbers.items() if not _fits_the_cut(values)
    }
    return Inference(USUAL, f"grey values, cut at {THRESHOLD}: foreground from there up", errors)


def _is_flat(look: MaskLook, values: NDArray[Any], num_found: int) -> bool:
    """Whether the values between the smallest and the largest are areas of their own, not blurred edges."""
    if values.dtype != np.uint8 and values.max() < MAX_CLASS:
        return True
    return num_found <= 4 or (len(values) <= FEW and look.flat_frac >= FLAT_FRAC)


def _several(tables: Sequence[MaskTable], numbers: Mapping[int, NDArray[Any]]) -> Inference:
    errors = {i: several_classes(tables[i], values) for i, values in numbers.items() if len(values) > 2}
    if not errors:
        return _differing(tables, numbers, np.unique(np.concatenate(list(numbers.values()))))
    return Inference(USUAL, "several classes", errors)


def _fits_the_cut(values: NDArray[Any]) -> bool:
    """Whether the larger of two values, or the only one, means the same as a cut in the middle."""
    if len(values) > 2:
        return True
    grey = as_bytes(values)
    return bool(grey.max() >= THRESHOLD or values.max() == 0) and (len(values) == 1 or grey.min() < THRESHOLD)


def _against_the_cut(table: MaskTable, values: NDArray[Any]) -> ImageError:
    detail = (
        f"holds {listed(values)}, but the other masks are blurred and cut at {THRESHOLD}; "
        "save it in black and white, or choose --masks larger"
    )
    return ImageError(table.path, "grey", detail)
