"""The options that name every value of a data set's masks as a class: what ``check`` proposes."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.classes import BACKGROUND, MOST_EXCLUSIVE, is_background
from segstudy.core.outputs import IGNORED
from segstudy.data.mask_tables import MaskTable, as_colours, differ_in_channel, stored_numbers
from segstudy.data.masks import THRESHOLD

FORBIDDEN = re.compile(r"[\s,=+#/\\\x00-\x1f]+")
BLACK = "#000000"
BACKGROUND_WORDS = ("background", "bg", "hintergrund", "fond", "none")
NO_CLASS = re.compile(r"(?<![a-z])(ignored?|ignore index|void|of no class)(?![a-z])", re.IGNORECASE)
FEW_CLASSES = 2  # foreground and background: no reason to name classes
MOST_CHARACTERS = 46  # of a name, and room for a number where two are the same

Value = int | str


def class_options(
    tables: Sequence[MaskTable],
    names: Sequence[tuple[Value, str]] = (),
    ignore: Sequence[Value] = (),
) -> str:
    """Return ``--classes ...`` with one class for each value, and ``--ignore`` for values of no class.

    These are named as such, as void, or are 255 above small numbers.

    Args:
        tables: of all masks.
        names: of values, where a file says them.
        ignore: values that are to be ignored in any case.

    Returns:
        Words for the command line; nothing where the values are no classes: less than two, more than a mask
        can hold, fractions, values that a format has blurred, or of few masks among black and white ones.
    """
    if sum(map(_is_black_and_white, tables)) > len(tables) / 2:
        return ""
    values, known = _values(tables), dict(names)
    ignored = {value: None for value in values if value in ignore or NO_CLASS.search(known.get(value, ""))}
    ignored |= {IGNORED: None} if _stands_apart(values, known) else {}
    classes = [value for value in values if value not in ignored]
    if not 2 <= len(classes) <= MOST_EXCLUSIVE:
        return ""
    named = zip(_names(classes, known), classes, strict=True)
    words = f"--classes {shlex.quote(','.join(f'{name}={value}' for name, value in named))}"
    return f"{words} --ignore {shlex.quote('+'.join(map(str, ignored)))}" if ignored else words


def ignored_alone(tables: Sequence[MaskTable], names: Sequence[tuple[Value, str]]) -> str:
    """Return ``--ignore V`` of values that a file names as of no class, if at most two others are left."""
    values, known = _values(tables), dict(names)
    ignored = [value for value in values if NO_CLASS.search(known.get(value, ""))]
    if not ignored or len(values) - len(ignored) > FEW_CLASSES:
        return ""
    return f"--ignore {shlex.quote('+'.join(map(str, ignored)))}"


def _values(tables: Sequence[MaskTable]) -> list[Value]:
    """All values of all masks as numbers, or as colours where numbers are not meant; none of blurred ones."""
    if any(table.lossy or len(table.values) > MOST_EXCLUSIVE for table in tables):
        return []
    by_index = any(table.kind == "palette" and not table.has_grey_palette for table in tables)
    found = [stored_numbers(table, by_index) for table in tables]
    numbers = [each for each in found if each is not None]
    if len(numbers) == len(tables) and not differ_in_channel(tables):
        together = np.unique(np.concatenate([np.zeros(0, np.uint8), *numbers]))
        return [int(value) for value in together] if _are_whole(together) else []
    colours = np.unique(np.concatenate([as_colours(table) for table in tables]))
    return [f"#{colour:06x}" for colour in colours]


def _is_black_and_white(table: MaskTable) -> bool:
    return 0xFFFFFF in as_colours(table) and bool(np.isin(as_colours(table), (0, 0xFFFFFF)).all())


def _are_whole(values: NDArray[Any]) -> bool:
    return bool(
        values.dtype.kind in "ui" and (len(values) == 0 or 0 <= values.min() <= values.max() <= 99999)
    )


def _stands_apart(values: Sequence[Value], names: Mapping[Value, str]) -> bool:
    """Whether 255 is far above small class numbers, as of pixels that are marked to count nowhere."""
    others = [value for value in values if value != IGNORED]
    is_there = IGNORED in values and IGNORED not in names and len(others) > 1
    return is_there and all(isinstance(value, int) and value < THRESHOLD for value in others)


def _names(values: Sequence[Value], known: Mapping[Value, str]) -> list[str]:
    """A name for each value, all different; the first is the background if it is 0 or black."""
    names: list[str] = []
    for place, value in enumerate(values):
        name = FORBIDDEN.sub(" ", known.get(value, "")).strip()[:MOST_CHARACTERS].strip()
        is_first = place == 0 and value in (0, BLACK)
        if is_first and name.strip("_").casefold() in ("", *BACKGROUND_WORDS):
            name = BACKGROUND
        elif not name or is_background(name):
            name = f"class{value if isinstance(value, int) else place}"
        while name.casefold() in map(str.casefold, names):
            name = f"{name}-{place}"
        names.append(name)
    return names
