"""Spellings of architectures and losses, and of weighted sums of losses: ``bce+0.5*dice``.

A sum has parts that are named as in ``registry``: of a table, a plug-in or a package, with options inside:
``tversky:fp_weight=0.3+2*focal``. A plus sign between quotation marks or in a number belongs to an option:
``1e+2``. Components of a file are no parts of sums, as a path may hold any of these signs.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.registry import Component, parse

_PLUS = re.compile(r'\+(?=(?:[^"]*"[^"]*")*[^"]*$)')  # outside quotation marks
_BEFORE_EXPONENT = re.compile(r"(?:^|[=\[,])\s*-?(?:\d+\.?\d*|\.\d+)[eE]$")
_WEIGHT = re.compile(r"\s*([^:*]*?)\s*\*\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a sum, with its weight."""

    component: Component
    weight: float = 1.0

    def __str__(self) -> str:
        return f"{self._factor}{self.component}"

    @property
    def spelling(self) -> str:
        return f"{self._factor}{self.component.spelling}"

    @property
    def _factor(self) -> str:
        return "" if self.weight == 1 else f"{repr(self.weight).removesuffix('.0')}*"


@dataclass(frozen=True, slots=True)
class Sum:
    """A weighted sum of components; most often one component.

    ``str(sum)`` is its canonical spelling, which is printed and hashed. Parts are in the order of their
    names, so equal sums are spelled alike.
    """

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "+".join(map(str, self.parts))

    @property
    def spelling(self) -> str:
        """Return the spelling with the folder of a user's file, as ``Component.spelling`` has it."""
        return "+".join(part.spelling for part in self.parts)

    @property
    def components(self) -> tuple[Component, ...]:
        return tuple(part.component for part in self.parts)

    @property
    def file(self) -> Path | None:
        """The user's file, which only a single component has."""
        return self.parts[0].component.file


def sum_of(parts: Iterable[Part]) -> Sum:
    """Return the sum of these parts, by their names.

    Raises:
        UserError: two of them are the same.
    """
    found = tuple(sorted(parts, key=lambda part: (str(part.component), part.weight)))
    named = [str(part.component) for part in found]
    for name in named:
        if named.count(name) > 1:
            raise UserError(f"{'+'.join(map(str, found))!r} adds {name} twice: give it once, as 2*{name}")
    return Sum(found)


def parse_sum(text: str) -> Sum:
    """Read a component, or a sum of components with weights.

    Raises:
        UserError: another form, a weight that is not above 0, or a part that is there twice.
    """
    if ".py:" in text:
        return Sum((Part(parse(text)),))
    pieces = _pieces(text)
    if len(pieces) > 1 and not all(piece.strip() for piece in pieces):
        raise UserError(f"{text!r} adds up nothing beside a plus sign: write it as bce+0.5*dice")
    parts = [_part(piece) for piece in pieces]
    for piece, part in zip(pieces[:-1], parts, strict=False):
        _refuse_open_text(text, piece, part.component)
    return sum_of(parts)


def _refuse_open_text(whole: str, piece: str, component: Component) -> None:
    """Refuse a plus sign behind a text without quotes: it may belong to the text.

    Raises:
        UserError: with both ways to write it.
    """
    name, value = component.options[-1] if component.options else ("", None)
    if isinstance(value, str) and not piece.rstrip().endswith(("'", '"')):
        raise UserError(
            f"{whole!r}: the plus sign after {name}={value} may belong to it or add a component; put the "
            f'text of {name} in quotes, as {name}="{value}"'
        )


def _pieces(text: str) -> list[str]:
    found: list[str] = []
    for piece in _PLUS.split(text):
        if found and _BEFORE_EXPONENT.search(found[-1]) and piece[:1].isdigit():
            found[-1] += f"+{piece}"
        else:
            found.append(piece)
    return found


def _part(text: str) -> Part:
    with_weight = _WEIGHT.fullmatch(text)
    if with_weight is None:
        return Part(parse(text.strip()))
    try:
        weight = float(with_weight[1])
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise UserError(f"{text!r}: the weight of {with_weight[2]} must be a number above 0, as 0.5*dice")
    return Part(parse(with_weight[2].strip()), weight)


def title(text: str) -> str:
    """Return a component's name as it is printed and hashed: without the folder of a user's file."""
    return str(parse_sum(text))


def distinct_titles(texts: Iterable[str]) -> dict[str, str]:
    """Return the titles of components, with as much of the path as distinguishes their files.

    >>> sorted(distinct_titles(["/a/my.py:Net", "/b/my.py:Net", "unet"]).values())
    ['a/my.py:Net', 'b/my.py:Net', 'unet']
    """
    components = {text: parse_sum(text) for text in texts}
    files: dict[str, set[Path]] = {}
    for component in components.values():
        if component.file is not None:
            files.setdefault(str(component), set()).add(component.file)
    return {text: _distinct_title(each, files.get(str(each), set())) for text, each in components.items()}


def _distinct_title(component: Sum, files: set[Path]) -> str:
    """Return the title, preceded by the last folders of its file that no other of these files ends with."""
    if component.file is None or len(files) < 2:
        return str(component)
    parts, others = component.file.parts, [file.parts for file in files if file != component.file]
    longest = len(parts)
    size = next(n for n in range(2, longest + 1) if all(o[-n:] != parts[-n:] for o in others) or n == longest)
    return Path(*parts[-size:-1], str(component)).as_posix()
