"""Shared by the readers of polygons and run lengths: numbers of class names, problems with a description."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.quantities import and_more
from segstudy.data.samples import Problem
from segstudy.data.shapes import MAX_CLASSES

ClassNames = tuple[tuple[int | str, str], ...]


def numbered(names: Iterable[str]) -> dict[str, int]:
    """A number from 1 for each class name, in the order of the alphabet."""
    found = sorted(set(names))
    if len(found) > MAX_CLASSES:
        raise UserError(f"{len(found):,} class names are too many; at most {MAX_CLASSES:,} can be told apart")
    return {name: i + 1 for i, name in enumerate(found)}


def class_names(numbers: Mapping[str, int]) -> ClassNames:
    """The names by number; none of a single class, which needs no name."""
    return tuple((number, name) for name, number in numbers.items()) if len(numbers) > 1 else ()


def unusable(root: Path, file: Path, detail: object, name: str = "") -> Problem:
    """The error of one image's description; the image is left out of the samples."""
    where = file.relative_to(root).as_posix() + (f": {name}" if name else "")
    return Problem("error", "unusable annotation", where, str(detail))


def unpaired_image(root: Path, image: Path, without: str) -> Problem:
    """The warning of an image that nothing describes."""
    where = image.relative_to(root).as_posix()
    return Problem("warning", "unpaired image", where, f"{without}; left out")


def unpaired_mask(root: Path, file: Path, name: object) -> Problem:
    """The warning of a description whose image is not there."""
    where = file.relative_to(root).as_posix()
    return Problem("warning", "unpaired mask", where, f"no image {str(name)[:80]}; left out")


def refuse_without(root: Path, problems: list[Problem], reason: str) -> UserError:
    """The error of a whole data set of which no image can be used."""
    first = f": {problems[0].where}: {problems[0].detail}{and_more(len(problems) - 1)}" if problems else ""
    return UserError(f"{root}: {reason}{first}")
