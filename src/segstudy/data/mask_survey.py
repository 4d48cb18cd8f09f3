"""What the masks of a data set mean, decided from the values of all of them together.

A single mask does not tell: one without an object holds one value, one of several classes may hold two of
them. So the values of all masks are counted first, then one rule is found for all, and masks that do not fit
it are listed. Where several rules are possible none is chosen: the errors spell the choices.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segstudy.core.mask_rules import AUTO, USUAL, MaskMeaning, MaskRule
from segstudy.data.images import ImageError
from segstudy.data.mask_inference import Inference
from segstudy.data.mask_looks import MaskLook
from segstudy.data.mask_refusals import Refusal, named_but_blurred, of_several_channels
from segstudy.data.mask_tables import MaskTable, as_colours, stored_numbers
from segstudy.data.mask_values import (
    agrees,
    blurred_masks,
    from_values,
    grey_levels,
    numbers_or_none,
    refusal_of,
)
from segstudy.data.masks import (
    FEW,
    MAX_GREY_FRAC,
    THRESHOLD,
    foreground_of,
    grey_frac_of,
    has_unnamed,
    ignored_in,
    listed,
    without_ignored,
)

ABOUT_CLASSES = ("multi-class", "coloured", "blurred")  # kinds of masks that a cut would merge


def infer(looks: Sequence[MaskLook], asked: MaskMeaning = AUTO) -> Inference:
    """Find the one rule of all masks, or check the one that is asked for.

    Args:
        looks: what each mask shows.
        asked: the user's: its rule ``auto`` is found here; ``foreground`` holds in any case.
    """
    found = _beside_ignored(looks, asked) if asked.ignore and not asked.classes else _counting(looks, asked)
    return replace(found, not_held=_not_held([look.table for look in looks], found.meaning))


def _counting(looks: Sequence[MaskLook], asked: MaskMeaning) -> Inference:
    """As ``infer``, of masks of which all values count, or in which classes are named."""
    tables = [look.table for look in looks]
    if not tables:
        return Inference(replace(asked, rule=USUAL.rule), "no mask can be read")
    if asked.classes:
        found = _of_classes(looks, asked)
    elif asked.rule.kind != "auto":
        doubt = _doubt(looks, asked)
        found = Inference(asked, f"the rule {asked.rule} is given", is_given=True, doubt=doubt)
    elif asked.foreground is not None:
        found = _of_foreground(looks, asked)
    else:
        found = from_values(looks)
    unfit = found.unfit if found.refusal else {**_unfit(tables, found.meaning), **found.unfit}
    fault = found.fault or (_unheld(tables, found.meaning) if not unfit else "")
    refusal = found.refusal or (None if asked.classes else refusal_of(looks, unfit))
    return replace(found, unfit=unfit, fault=fault, refusal=refusal)


def _beside_ignored(looks: Sequence[MaskLook], asked: MaskMeaning) -> Inference:
    """As ``infer``, of the values that are not ignored; a mask without any fits every rule."""
    tables = [look.table for look in looks]
    if asked.rule.kind == "auto" and _are_indices(tables, asked.ignore):
        named = replace(asked, rule=MaskRule("indices"))
    else:
        named = asked
    counting = {}
    for i, look in enumerate(looks):
        counts = ~ignored_in(look.table, named)
        if counts.any():
            table = without_ignored(look.table, named)
            counting[i] = replace(look, table=table, border=look.border[counts])
    found = _refused(looks, asked.ignore, named, is_foreground=False)
    places = list(range(len(looks))) if found else list(counting)
    found = found or _counting(list(counting.values()), replace(named, ignore=()))
    return replace(
        found,
        meaning=replace(found.meaning, ignore=asked.ignore),
        unfit={places[i]: error for i, error in found.unfit.items()},
        is_given=asked.rule.kind != "auto",
    )


def _of_classes(looks: Sequence[MaskLook], asked: MaskMeaning) -> Inference:
    """The classes that are named; whether their numbers are those of a palette is found from the values."""
    tables = [look.table for look in looks]
    named = tuple(value for each in asked.classes for value in each.values) + asked.ignore
    if asked.rule.kind == "auto":
        asked = replace(asked, rule=MaskRule("indices") if _are_indices(tables, named) else USUAL.rule)
    return _refused(looks, named, asked, is_foreground=False) or Inference(asked, "classes are named")


def _of_foreground(looks: Sequence[MaskLook], asked: MaskMeaning) -> Inference:
    """The foreground that is named."""
    tables = [look.table for look in looks]
    named = asked.foreground or ()
    meaning = replace(asked, rule=_rule_of_names(tables, named))
    return _refused(looks, named, meaning, is_foreground=True) or Inference(meaning, "foreground is named")


# Values that are named but mean too much, or hardly anything


def _refused(
    looks: Sequence[MaskLook], named: tuple[int | str, ...], meaning: MaskMeaning, is_foreground: bool
) -> Inference | None:
    """What is found if values that are named do not say which pixels are meant; else None.

    Args:
        looks: what each mask shows.
        named: numbers and colours.
        meaning: with its rule.
        is_foreground: whether they are named as foreground.
    """
    tables = [look.table for look in looks]
    for number in (each for each in named if isinstance(each, int) and each > 0):
        colours = _colours_of_number(tables, number)
        if len(colours) > 1:
            places = [i for i, table in enumerate(tables) if table.kind == "colour"]
            refusal = of_several_channels(colours, number, is_foreground)
            return _all_refused(tables, places, refusal, meaning)
    levels = grey_levels(looks)
    if levels.are_blurred and any(len(table.values) > FEW for table in tables):
        return replace(blurred_masks(looks, levels), meaning=meaning)
    lossy = [i for i, table in enumerate(tables) if table.lossy and len(table.values) > FEW]
    if meaning.classes and not any(has_unnamed(tables[i], meaning) for i in lossy):
        return None  # a format that may be without loss, as WebP: all values are those of classes
    if lossy and meaning.rule.kind != "nearest":
        return _all_refused(tables, lossy, named_but_blurred(named), meaning)
    return None


def _all_refused(
    tables: Sequence[MaskTable], places: Sequence[int], refusal: Refusal, meaning: MaskMeaning
) -> Inference:
    errors = {i: refusal.error(tables[i].path) for i in places}
    return Inference(meaning, "values are named", errors, refusal=refusal)


def _colours_of_number(tables: Sequence[MaskTable], number: int) -> list[int]:
    """The colours, as 0xRRGGBB, that a number means in masks in colour."""
    found: set[int] = set()
    for table in tables:
        numbers = stored_numbers(table) if table.kind == "colour" else None
        if table.kind == "colour" and numbers is None:
            numbers = numbers_or_none(table)
        if numbers is not None and len(numbers):
            found.update(as_colours(table)[numbers == number].tolist())
    return sorted(found)


def _not_held(tables: Sequence[MaskTable], meaning: MaskMeaning) -> str:
    """The values to ignore that no mask holds, in words."""
    for name in meaning.ignore if tables else ():
        alone = replace(meaning, ignore=(name,))
        if not any(ignored_in(table, alone).any() for table in tables):
            return f"no mask holds the value {name} that --ignore names; the masks hold {_held(tables)}"
    return ""


def _held(tables: Sequence[MaskTable]) -> str:
    return listed(np.unique(np.concatenate(list(map(numbers_or_none, tables))))) or "colours"


def _doubt(looks: Sequence[MaskLook], asked: MaskMeaning) -> str:
    """What the values say against the usual rule, or against a cut, where that is given."""
    is_cut = asked.rule.kind == "cut"
    if (asked.rule != USUAL.rule and not is_cut) or asked.foreground is not None:
        return ""
    found = _counting(looks, AUTO)
    if is_cut:
        merged = found.refusal is not None and found.refusal.kind in ABOUT_CLASSES
        return f"the masks {found.refusal.what}" if found.refusal and merged else ""
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


# Foreground that is named


def _are_indices(tables: Sequence[MaskTable], names: tuple[int | str, ...]) -> bool:
    """Whether these names are numbers of entries of palettes, not grey levels."""
    by_palette = [table for table in tables if table.kind == "palette"]
    usual, indices = MaskMeaning(USUAL.rule, names), MaskMeaning(MaskRule("indices"), names)
    return not all(table.has_grey_palette for table in by_palette) and not agrees(by_palette, usual, indices)


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
            return f"no mask holds the foreground {name}; the masks hold {_held(tables)}"
    return ""
