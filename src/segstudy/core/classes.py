"""The classes of a data set and their spelling, as in ``--classes background=0,disc=1,cup=2``.

Names with values are exclusive: a pixel of the masks is of one class. Names alone, as in ``--classes
disc,cup``, may overlap: each has masks of its own, in a folder of its name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

BACKGROUND = "background"
MOST_EXCLUSIVE, MOST_OVERLAPPING = 254, 15  # as a mask of 8 bits, and one of 16 bits, can hold
NAME = re.compile(r"[^\s,=+#/\\\x00-\x1f](?:[^,=+#/\\\x00-\x1f]{0,48}[^\s,=+#/\\\x00-\x1f])?")
VALUE = re.compile(r"[0-9]{1,5}|#[0-9a-f]{6}")

Value = int | str  # a mask's number, or a colour as #00ff00


@dataclass(frozen=True, slots=True)
class MaskClass:
    """One class.

    Attributes:
        name: as people read it.
        values: of the masks' pixels that are of this class; empty if it has masks of its own.
    """

    name: str
    values: tuple[Value, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}={'+'.join(map(str, self.values))}" if self.values else self.name


def parse_classes(text: str) -> tuple[MaskClass, ...]:
    """Read classes as they are spelled.

    Raises:
        ValueError: no classes; the message says what is wrong.

    >>> parse_classes("background=0,lesion=1+2")
    (MaskClass(name='background', values=(0,)), MaskClass(name='lesion', values=(1, 2)))
    """
    found = tuple(_parsed(part.strip()) for part in text.split(","))
    names, values = [each.name for each in found], [value for each in found for value in each.values]
    for what in (*(name.casefold() for name in names), *values):
        if (*(name.casefold() for name in names), *values).count(what) > 1:
            raise ValueError(f"classes must name {what} once, got {text!r}")
    if len(found) < 2:
        raise ValueError(f"classes must be two or more, as background=0,disc=1,cup=2, got {text!r}")
    if any(each.values for each in found) and not all(each.values for each in found):
        alone = next(each.name for each in found if not each.values)
        raise ValueError(f"classes must all have mask values, or none of them: {alone} has none in {text!r}")
    most = MOST_EXCLUSIVE if values else MOST_OVERLAPPING
    if len(found) > most:
        raise ValueError(f"classes must be at most {most}, got {len(found)}")
    _refuse_odd_background(found, text)
    return found


def _refuse_odd_background(classes: tuple[MaskClass, ...], text: str) -> None:
    """Refuse a background that is not the first class, or that overlaps others.

    Raises:
        ValueError: there is one.
    """
    place = next((i for i, each in enumerate(classes) if is_background(each.name)), 0)
    if place > 0:
        raise ValueError(f"classes must begin with {BACKGROUND}, got {text!r}")
    if is_background(classes[0].name) and not classes[0].values:
        raise ValueError(
            f"classes with masks of their own have no {BACKGROUND}: leave it out, or give mask values as "
            "background=0,disc=1,cup=2"
        )


def _parsed(text: str) -> MaskClass:
    name, equals, values = (part.strip() for part in text.partition("="))
    if not NAME.fullmatch(name):
        raise ValueError(
            f"classes must be names with mask values, as background=0,disc=1,cup=2, got {text!r}"
        )
    if not equals:
        return MaskClass(name)
    given = values.lower().split("+")
    if odd := next((value for value in given if not VALUE.fullmatch(value)), None):
        raise ValueError(
            f"classes must have numbers or colours (#00ff00) as mask values, got {odd!r} for {name}"
        )
    return MaskClass(name, tuple(value if value.startswith("#") else int(value) for value in given))


def is_background(name: str) -> bool:
    """Whether a class of this name is the background, which does not count in the headline."""
    return name.casefold() == BACKGROUND


def spelled_classes(value: object) -> object:
    """Classes as this module spells them; a table, as ``{background = 0, disc = [1, 2]}``, too.

    Raises:
        ValueError: no classes.
    """
    if isinstance(value, Mapping):
        parts = [
            f"{name}={'+'.join(map(str, each if isinstance(each, list | tuple) else [each]))}"
            for name, each in value.items()
        ]
        value = ",".join(parts)
    elif isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return ",".join(map(str, parse_classes(value))) if isinstance(value, str) else value
