"""The weights of classes in losses, and their spelling: none, balanced, or numbers as in ``1+2+5``."""

import math
import re

from segstudy.core.quantities import counted

NONE, BALANCED = "none", "balanced"
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
MOST = 1e9


def weights_in(text: str) -> tuple[float, ...]:
    """Return the numbers of class weights as they are spelled; none for a word.

    Raises:
        ValueError: neither; the message says what is wrong.

    >>> weights_in("1+2.5"), weights_in("balanced")
    ((1.0, 2.5), ())
    """
    if text in (NONE, BALANCED):
        return ()
    parts = text.split("+")
    if not all(map(NUMBER.fullmatch, parts)) or max(map(float, parts)) > MOST:
        raise ValueError(
            f"class_weights must be {NONE}, {BALANCED} or a number for each class, as 1+2+5, got {text!r}"
        )
    return tuple(map(float, parts))


def spelled_weights(value: object) -> object:
    """Class weights as this module spells them; a list of numbers, too.

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
            return "+".join(map(_written, weights_in(text))) or text
    return value


def _written(value: object) -> str:
    """A number without an exponent, whose sign would be taken for the one between two weights."""
    return f"{value:.12f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def refuse_other_weights(text: str, names: tuple[str, ...], scored: tuple[int, ...]) -> None:
    """Refuse weights that are not of these classes.

    Args:
        text: as it is spelled.
        names: of the classes; none in binary studies.
        scored: the numbers of all classes but the background.

    Raises:
        ValueError: weights without classes, another number of them, or none above 0.
    """
    if text == NONE:
        return
    if not names:
        raise ValueError("class_weights needs classes: leave it out, or give classes")
    weights = weights_in(text)
    if weights and len(weights) != len(names):
        raise ValueError(
            f"class_weights must be {counted(len(names), 'number')}, for {', '.join(names)}, got {text!r}"
        )
    if weights and not math.fsum(weights[number] for number in scored):
        raise ValueError(f"class_weights must be above 0 for a class that is scored, got {text!r}")
