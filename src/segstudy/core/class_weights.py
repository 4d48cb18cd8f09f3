"""The weights of classes in losses, and their spelling: none, balanced, or numbers as in ``1+2+5``."""

import re
from collections.abc import Sequence

from segstudy.core.classes import MaskClass, is_background
from segstudy.core.quantities import counted

NONE, BALANCED = "none", "balanced"
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
MOST = 1e9


def weights_in(text: str) -> tuple[float, ...]:
    """Return the numbers of class weights as they are spelled; none for ``balanced``.

    Raises:
        ValueError: neither; the message says what is wrong.

    >>> weights_in("1+2.5"), weights_in("balanced")
    ((1.0, 2.5), ())
    """
    if text == BALANCED:
        return ()
    parts = text.split("+")
    if not all(map(NUMBER.fullmatch, parts)) or max(map(float, parts)) > MOST:
        raise ValueError(
            f"class_weights must be {NONE}, {BALANCED} or a number for each class, as 1+2+5, got {text!r}"
        )
    return tuple(map(float, parts))


def spelled_weights(value: object) -> object:
    """Class weights as this module spells them, None for ``none``; a list of numbers, too.

    Raises:
        ValueError: no class weights.
    """
    match value:
        case bool():
            return value
        case int() | float():
            return spelled_weights([value])
        case list() | tuple():
            return spelled_weights("+".join(map(_written, value)))
        case str():
            text = value.strip().lower()
            if text == NONE:
                return None
            return "+".join(map(_written, weights_in(text))) or text
    return value


def _written(value: object) -> str:
    """A number without an exponent, whose sign would be taken for the one between two weights."""
    return f"{value:.12f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def refuse_other_weights(text: str, classes: Sequence[MaskClass]) -> None:
    """Refuse weights that are not of these classes; there are none in binary studies.

    Raises:
        ValueError: weights without classes, another number of them, or none above 0.
    """
    if not classes:
        raise ValueError("class_weights needs classes: leave it out, or give classes")
    weights, names = weights_in(text), [each.name for each in classes]
    if weights and len(weights) != len(names):
        raise ValueError(
            f"class_weights must be {counted(len(names), 'number')}, for {', '.join(names)}, got {text!r}"
        )
    scored = [weight for weight, name in zip(weights, names, strict=False) if not is_background(name)]
    if weights and not any(scored):
        raise ValueError(f"class_weights must be above 0 for a class that is scored, got {text!r}")
