"""How an image is read: the number of its channels, and the scale by which their values become 8 bits.

A scale holds for all images of a data set, and for all images that its models see. It is spelled as in
``--intensity 0..4095``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

COLOURS = 3  # red, green, blue: the channels of images unless a study says another number
MAX_CHANNELS = 64

Kind = Literal["auto", "full", "range"]

DESCRIPTIONS = {
    "auto": "found from the values of all images together",
    "full": "8 bits as they are, 16 bits divided by 257; transparent areas become black",
    "LO..HI": "the values from LO to HI become 0 to 255, others are cut; 8-bit images stay as they are, "
    "unless HI is at most 255; a fourth band is left out",
}
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")


@dataclass(frozen=True, slots=True)
class Scale:
    """One scale, for all channels.

    Attributes:
        kind: which of ``DESCRIPTIONS``; ``auto`` counts as ``full`` until the data were looked at.
        low, high: of a range.
        channels: that images have; grey images read with 3 have it three times.
        is_of_model: a trained model has it: of images that hardly fit it a warning is logged.
        is_for_part: what is read is a part of an image, of which none is logged.
    """

    kind: Kind = "full"
    low: float = 0
    high: float = 0
    channels: int = COLOURS
    is_of_model: bool = False
    is_for_part: bool = False

    def __str__(self) -> str:
        return f"{_plain(self.low)}..{_plain(self.high)}" if self.kind == "range" else self.kind

    @property
    def key(self) -> str:
        """Equal for scales that give the same pixels, of images with the same number of channels."""
        return "full" if self.kind == "auto" else str(self)

    @property
    def extent(self) -> tuple[float, float]:
        """The values that become 0 and 255, of images with more than 8 bits."""
        return (self.low, self.high) if self.kind == "range" else (0, 65535)

    def is_for_bytes(self) -> bool:
        """Whether it changes 8-bit images too."""
        return self.kind == "range" and self.high <= 255 and (self.low, self.high) != (0, 255)

    @property
    def fixed_channels(self) -> int | None:
        """The number of channels that a trained model takes; None where it can be chosen."""
        return self.channels if self.is_of_model else None

    def of_model(self) -> "Scale":
        return replace(self, is_of_model=True)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(float(number))


def between(low: float, high: float) -> Scale:
    """The scale ``LO..HI``."""
    return Scale("range", float(low), float(high))


def parse(text: str) -> Scale:
    """Read a scale as it is spelled.

    Raises:
        ValueError: no scale; the message says which there are.

    >>> str(parse("0..4095")), str(parse("full"))
    ('0..4095', 'full')
    """
    asked = text.strip().lower()
    if asked == "auto":
        return AUTO
    if asked == "full":
        return FULL
    found = _RANGE.fullmatch(asked)
    if found and float(found[1]) < float(found[2]) < float("inf"):
        return between(float(found[1]), float(found[2]))
    choices = "; ".join(f"{name} ({description})" for name, description in DESCRIPTIONS.items())
    raise ValueError(f"intensity must be one of the scales, got {text!r}; they are: {choices}")


def spelled(text: str) -> str:
    """A scale as this module spells it.

    Raises:
        ValueError: no scale.
    """
    return str(parse(text))


def reading_of(protocol: Mapping[str, Any]) -> Scale:
    """The scale in a stored protocol, or a run's description; older ones name neither it nor the channels.

    Raises:
        ValueError: no scale.
    """
    scale = parse(str(protocol.get("intensity") or FULL.kind))
    return replace(scale, channels=int(protocol.get("channels") or COLOURS))


FULL = Scale()
AUTO = Scale("auto")
