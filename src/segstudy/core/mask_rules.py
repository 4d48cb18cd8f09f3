"""The rules by which mask values become foreground and background, and their spelling.

A rule holds for all masks of a data set. It is spelled as in ``--masks background=0``.
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from segstudy.core.classes import MaskClass

if TYPE_CHECKING:  # numpy: `segstudy status` does without
    from segstudy.core.outputs import Outputs

Kind = Literal["auto", "larger", "inverted", "background", "cut", "nearest", "indices"]

DESCRIPTIONS: dict[Kind, str] = {
    "auto": "found from the values of all masks together",
    "larger": "of two values the larger is foreground; blurred masks are cut at half of their range",
    "inverted": "of two values the smaller is foreground; blurred masks are cut at half of their range",
    "background": "background=V: every value but V is foreground; V is a number or a colour, as #00ff00",
    "cut": "cut=V: every value from V up is foreground; 0.5 for probabilities",
    "nearest": "blurred masks: a pixel counts as the nearer of 0 and 255, of which foreground names one",
    "indices": "the number of a pixel's colour in the file's palette, of which foreground names some",
}
COLOUR = re.compile(r"#[0-9a-f]{6}")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class MaskRule:
    """One rule.

    Attributes:
        kind: which of ``DESCRIPTIONS``.
        value: what follows the equals sign, of ``background`` and ``cut``.
    """

    kind: Kind
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind}={self.value}" if self.value else self.kind

    @property
    def number(self) -> float:
        """The value as a number; a colour as 0xRRGGBB."""
        return int(self.value[1:], 16) if self.value.startswith("#") else float(self.value)


def parse(text: str) -> MaskRule:
    """Read a rule as it is spelled.

    Raises:
        ValueError: no rule; the message says which there are.

    >>> parse("background=0"), parse("larger")
    (MaskRule(kind='background', value='0'), MaskRule(kind='larger', value=''))
    """
    name, equals, value = text.strip().lower().partition("=")
    for kind in DESCRIPTIONS:
        takes_value = kind in ("background", "cut")
        is_value = NUMBER.fullmatch(value) or (kind == "background" and COLOUR.fullmatch(value))
        if name == kind and bool(equals) == takes_value and (is_value or not takes_value):
            return MaskRule(kind, value)
    choices = "; ".join(f"{kind} ({description})" for kind, description in DESCRIPTIONS.items())
    raise ValueError(f"masks must be one of the rules, got {text!r}; they are: {choices}")


@dataclass(frozen=True, slots=True)
class MaskMeaning:
    """The meaning of a data set's masks.

    Attributes:
        rule: how values become foreground; ``auto`` counts as ``larger`` until the data were looked at.
        foreground: values that are foreground, numbers or colours as #00ff00; None for those of the rule.
        classes: all classes, if there are several; ``foreground`` is None then.
        ignore: values of pixels that count nowhere.
    """

    rule: MaskRule = MaskRule("larger")
    foreground: tuple[int | str, ...] | None = None
    classes: tuple[MaskClass, ...] = ()
    ignore: tuple[int | str, ...] = ()

    @property
    def outputs(self) -> "Outputs":
        """What masks of this meaning hold, and what networks trained on them give."""
        from segstudy.core.outputs import outputs_of  # as above

        return outputs_of(self.classes, bool(self.ignore))

    def of_layers(self) -> "MaskMeaning":
        """The meaning of each of the masks of classes that may overlap: in them the class is foreground."""
        return replace(self, classes=())

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for meanings that give the same masks: a rule that was never found counts as ``larger``."""
        kind = "larger" if self.rule.kind == "auto" else str(self.rule)
        several = (tuple(map(str, self.classes)), self.ignore) if self.classes or self.ignore else ()
        return kind, self.foreground, *several


def spelled(text: str) -> str:
    """A rule as this module spells it, ``larger`` for ``Larger``.

    Raises:
        ValueError: no rule.
    """
    return str(parse(text))


USUAL = MaskMeaning()
AUTO = MaskMeaning(MaskRule("auto"))
