"""What the masks of a data set mean, decided from the values of all of them together.

A single mask does not tell: one without an object holds one value, one of several classes may hold two of
them. So the values of all masks are counted first, then one rule is found for all, and masks that do not fit
it are listed. Where several rules are possible none is chosen: the errors spell the choices.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.errors import UserError
from segstudy.core.mask_rules import AUTO, USUAL, MaskMeaning, MaskRule
from segstudy.data.images import ImageError
from segstudy.data.mask_looks import MaskLook
from segstudy.data.mask_tables import MaskTable, as_bytes, differ_in_channel, is_grey, rgb_of
from segstudy.data.masks import (
    FEW,
    GREY,
    MAX_GREY_FRAC,
    THRESHOLD,
    coloured,
    foreground_of,
    grey_frac_of,
    ignored_in,
    listed,
    numbers_of,
    several_classes,
    without_ignored,
)

FLAT_FRAC = 0.2  # of the pixels between black and white: more of them in flat areas are no blurred edge
FLAT_OBJECTS_FRAC = 0.3
MIN_OBJECTS = 20  # numbers of objects reach at least that in some mask; fewer may be classes
NUMBERED_FRAC = 0.9  # of the numbers from 1 to the largest, those that occur
MAX_WHITE_FRAC = 0.4  # of what is not black: more of it near white is a blur
FULL_SCALE = (1, 255, 65_535)  # what people write for "true"
MAX_CLASS = 8192  # grey levels of 16 bits reach further


@dataclass(frozen=True)
class Inference:
    """The meaning of a data set's masks.

    Attributes:
        meaning: for all masks; ``larger`` where nothing speaks for another.
        why: what speaks for it, for people.
        unfit: the masks that do not fit it, by position.
        fault: what is wrong with all of them together; nothing mostly.
        is_given: the rule is the user's.
        doubt: what speaks against a rule that is given; nothing mostly.
        remark: what else should be known of the values; nothing mostly.
    """

    meaning: MaskMeaning
    why: str
    unfit: Mapping[int, ImageError] = field(default_factory=dict)
    fault: str = ""
    is_given: bool = False
    doubt: str = ""
    remark: str = ""


def infer(looks: Sequence[MaskLook], asked: MaskMeaning = AUTO) -> Inference:
    """Find the one rule of all masks, or check the one that is asked for.

    Args:
        looks: what each mask shows.
        asked: the user's: its rule ``auto`` is found here; ``foreground`` holds in any case.
    """
    if asked.ignore and not asked.classes:
        return _beside_ignored(looks, asked)
    tables = [look.table for look in looks]
    if not tables:
        return Inference(replace(asked, rule=USUAL.rule), "no mask can be read")
    if asked.classes:
        found = _of_classes(tables, asked)
    elif asked.rule.kind != "auto":
        doubt = _doubt(looks, asked)
        found = Inference(asked, f"the rule {asked.rule} is given", is_given=True, doubt=doubt)
    elif asked.foreground is not None:
        found = Inference(
            replace(asked, rule=_rule_of_names(tables, asked.foreground)), "foreground is named"
        )
    elif any(table.colours is not None and not is_grey(table.colours) for table in tables):
        found = _by_colour(tables)
    else:
        found = _by_number(looks)
    unfit = {**_unfit(tables, found.meaning), **found.unfit}
    fault = found.fault or (_unheld(tables, found.meaning) if not unfit else "")
    return replace(found, unfit=unfit, fault=fault)


def _beside_ignored(looks: Sequence[MaskLook], asked: MaskMeaning) -> Inference:
    """As ``infer``, of the values that are not ignored; a mask without any fits every rule."""
    if asked.rule.kind == "auto" and _are_indices([look.table for look in looks], asked.ignore):
        named = replace(asked, rule=MaskRule("indices"))
    else:
        named = asked
    counting = {}
    for i, look in enumerate(looks):
        counts = ~ignored_in(look.table, named)
        if counts.any():
            table = without_ignored(look.table, named)
            counting[i] = replace(look, table=table, border=look.border[counts])
    found = infer(list(counting.values()), replace(named, ignore=()))
    places = list(counting)
    return replace(
        found,
        meaning=replace(found.meaning, ignore=asked.ignore),
        unfit={places[i]: error for i, error in found.unfit.items()},
        is_given=asked.rule.kind != "auto",
    )


def _of_classes(tables: Sequence[MaskTable], asked: MaskMeaning) -> Inference:
    """The classes that are named; whether their numbers are those of a palette is found from the values."""
    named = tuple(value for each in asked.classes for value in each.values) + asked.ignore
    if asked.rule.kind == "auto":
        asked = replace(asked, rule=MaskRule("indices") if _are_indices(tables, named) else USUAL.rule)
    by_number = any(isinstance(value, int) and value > 0 for value in named)
    unfit = _of_several_channels(tables) if by_number and differ_in_channel(tables) else {}
    return Inference(asked, "classes are named", unfit)


def _of_several_channels(tables: Sequence[MaskTable]) -> dict[int, ImageError]:
    """Errors of masks in colour whose numbers would mean other colours in other masks."""
    detail = (
        "the masks use different channels (as red and green), where one number would mean several colours; "
        "name the colours, as --classes background=#000000,NAME=#ff0000"
    )
    return {i: ImageError(t.path, "coloured", detail) for i, t in enumerate(tables) if t.kind == "colour"}


def _doubt(looks: Sequence[MaskLook], asked: MaskMeaning) -> str:
    """What the values say against the usual rule, where that is given."""
    if asked.rule != USUAL.rule or asked.foreground is not None:
        return ""
    found = infer(looks)
    if found.unfit:
        first = next(iter(found.unfit.values()))
        return f"{len(found.unfit)} masks speak against it: {found.why} (first: {first})"
    return "" if found.meaning == USUAL else f"the masks need masks={found.meaning.rule}: {found.why}"


def _unfit(tables: Sequence[MaskTable], meaning: MaskMeaning) -> dict[int, ImageError]:
    unfit = {}
    for i, table in enumerate(tables):
        try:
            foreground_of(table, meaning)
        except ImageError as error:
            unfit[i] = error
    return unfit


def _agrees(tables: Iterable[MaskTable], one: MaskMeaning, other: MaskMeaning) -> bool:
    """Whether two meanings give the same masks."""
    try:
        return all((foreground_of(each, one) == foreground_of(each, other)).all() for each in tables)
    except UserError:
        return False


def _usual_if_equal(tables: Sequence[MaskTable], rule: str, value: Any) -> MaskMeaning:
    """The rule, unless the usual one gives the same masks: keys then stay as they were."""
    meaning = MaskMeaning(MaskRule(rule, str(value)))  # type: ignore[arg-type]
    return USUAL if _agrees(tables, USUAL, meaning) else meaning


# Foreground that is named


def _are_indices(tables: Sequence[MaskTable], names: tuple[int | str, ...]) -> bool:
    """Whether these names are numbers of entries of palettes, not grey levels."""
    by_palette = [table for table in tables if table.kind == "palette"]
    usual, indices = MaskMeaning(USUAL.rule, names), MaskMeaning(MaskRule("indices"), names)
    return not all(table.has_grey_palette for table in by_palette) and not _agrees(by_palette, usual, indices)


def _rule_of_names(tables: Sequence[MaskTable], foreground: tuple[int | str, ...]) -> MaskRule:
    if _are_indices(tables, foreground):
        return MaskRule("indices")
    is_blurred = any(
        len(table.values) > FEW and table.kind == "grey" and _is_two_toned(table) for table in tables
    )
    if is_blurred and set(foreground) <= {0, 255}:
        return MaskRule("nearest")
    return USUAL.rule


def _is_two_toned(table: MaskTable) -> bool:
    values = table.values
    return values.dtype == np.uint8 and values.max() >= THRESHOLD and grey_frac_of(table) <= MAX_GREY_FRAC


def _unheld(tables: Sequence[MaskTable], meaning: MaskMeaning) -> str:
    """The names of foreground that no mask holds."""
    for name in meaning.foreground or ():
        alone = replace(meaning, foreground=(name,))
        if not any(foreground_of(table, alone).any() for table in tables):
            there = np.unique(np.concatenate([_numbers_or_none(table) for table in tables]))
            return f"no mask holds the foreground {name}; the masks hold {listed(there) or 'colours'}"
    return ""


def _numbers_or_none(table: MaskTable) -> NDArray[Any]:
    """The numbers in a mask; none of one in colours."""
    try:
        return numbers_of(table)
    except ImageError:
        return np.array([], np.uint8)


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
    if not palettes and all(len(_numbers_or_none(t)) and _is_one_channel(colours) for t in in_colour):
        return _several(tables, {i: numbers_of(table) for i, table in enumerate(tables)})
    errors = {
        i: coloured(t) for i, t in enumerate(tables) if t.colours is not None and not is_grey(t.colours)
    }
    return Inference(USUAL, f"masks in {len(colours)} colours", errors)


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
    choices = f"--masks background={dark} or --masks background={bright}"
    detail = f"two colours, {dark} and {bright}, and {reason}; choose {choices}"
    return Inference(meaning, why, {i: ImageError(t.path, "palette", detail) for i, t in enumerate(tables)})


# Numbers


def _by_number(looks: Sequence[MaskLook]) -> Inference:
    tables = [look.table for look in looks]
    numbers = {i: numbers_of(table) for i, table in enumerate(tables)}
    if any(values.dtype.kind == "f" and (values % 1).any() for values in numbers.values()):
        return Inference(USUAL, "fractions")
    if _are_objects(looks, numbers):
        most = max(int(values.max()) for values in numbers.values())
        why = f"numbers of objects, up to {most} in a mask: every number but 0 is foreground"
        return Inference(_usual_if_equal(tables, "background", 0), why)
    if all(len(values) <= 2 for values in numbers.values()):
        return _of_two_values(tables, numbers)
    return _of_more_values(looks, numbers)


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
    choices = f"--masks background={found[0]} (every value but {found[0]}), or --foreground {found[1]}"
    errors = {}
    for i, values in numbers.items():
        detail = (
            f"holds {listed(values)}, but masks of this data set hold {listed(found)}: several classes? "
            f"Choose {choices} and so on, or --masks larger (of two values in a mask the larger)"
        )
        errors[i] = ImageError(tables[i].path, "multi-class", detail)
    return Inference(USUAL, "other values in other masks", errors)


def _of_more_values(looks: Sequence[MaskLook], numbers: Mapping[int, NDArray[Any]]) -> Inference:
    tables = [look.table for look in looks]
    found = np.unique(np.concatenate(list(numbers.values())))
    flat = {
        i
        for i, values in numbers.items()
        if len(values) > 2 and not tables[i].lossy and _is_flat(looks[i], values, len(found))
    }
    if flat:
        return _several(tables, {i: numbers[i] for i in flat})
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
