"""Why masks of a data set are refused together, and the choices: said once, not for every file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.quantities import and_more
from segstudy.data.images import ImageError
from segstudy.data.mask_tables import MaskTable, as_colours
from segstudy.data.masks import foreground_of_several, listed, naming
from segstudy.data.samples import Dataset, Problem
from segstudy.data.sources import name_within

MOST_CHARACTERS = 200  # of options that an error repeats
OR = "; or "  # between remedies
OTHERS = "; `segstudy check` names the other choices"
FEW_SAMPLES = 3  # ids that are named to be left out
BLACK = "#000000"
BUT_BLACK = f"count every colour but black as foreground with --masks 'background={BLACK}'"
AS_PNG = "save them as PNG again from their source, without smoothing (nearest neighbour)"


@dataclass(frozen=True)
class Refusal:
    """Why masks are refused together.

    Attributes:
        kind: of the masks, as of an ``ImageError``.
        what: is wrong with them; a verb of which the masks are the subject.
        remedies: what to choose, the first one first.
        has_classes: whether all their values may be classes of their own, which is then the first remedy.
    """

    kind: str
    what: str
    remedies: tuple[str, ...]
    has_classes: bool = True

    def error(self, path: Path) -> ImageError:
        """The error of one of these masks."""
        return ImageError(path, self.kind, f"one of the masks that {self.what}; {OR.join(self.remedies)}")


def several(found: NDArray[Any], are_edges: bool) -> Refusal:
    """The refusal of masks with more than two values.

    Args:
        found: the values of all of them.
        are_edges: whether the values between may be blurred edges.
    """
    what = f"hold several classes, with the values {listed(found)}"
    return Refusal("multi-class", what, foreground_of_several(found, are_edges))


def differing(values: Mapping[Path, NDArray[Any]]) -> Refusal:
    """The refusal of masks with two values each, but other ones in others; the values are given by file."""
    found = np.unique(np.concatenate(list(values.values())))
    files = {value: [file for file, held in values.items() if value in held] for value in found}
    rare = min(found, key=lambda value: len(files[value]))
    larger = "count the larger of each mask's two values as foreground with --masks larger"
    remedies = (*foreground_of_several(found, False), larger)
    what = (
        f"hold two values that differ from mask to mask, together {listed(found)} ({rare} is in "
        f"{len(files[rare])} of them, as {files[rare][0].name}): several classes?"
    )
    return Refusal("multi-class", what, remedies)


def coloured_masks(tables: Iterable[MaskTable]) -> Refusal:
    """The refusal of masks in colours of which none is the foreground by itself."""
    tables = list(tables)
    if any(table.lossy for table in tables):
        what = "are in colours that their format has blurred"
        return Refusal("coloured", what, (AS_PNG,), has_classes=False)
    colours = np.array(
        [f"#{colour:06x}" for colour in np.unique(np.concatenate(list(map(as_colours, tables))))]
    )
    some = f"count some as foreground with {naming(str(colours[-1]))}"
    black = [BUT_BLACK] if colours[0] == BLACK else []
    remedies = (some, *black, "save them in black and white")
    return Refusal("coloured", f"are in {len(colours)} colours, {listed(colours)}", remedies)


def of_two_colours(dark: str, bright: str, reason: str) -> Refusal:
    """The refusal of masks in two colours, either of which may be the foreground."""
    remedies = (
        f"choose --masks 'background={dark}'",
        f"--masks 'background={bright}'",
    )
    what = f"have two colours, {dark} and {bright}, and {reason}"
    return Refusal("palette", what, remedies, has_classes=False)


def of_several_channels(colours: Sequence[int], number: int, is_foreground: bool) -> Refusal:
    """The refusal of masks in which a number that is named means several colours.

    Args:
        colours: that it means, as 0xRRGGBB.
        number: as it is named.
        is_foreground: whether as foreground; else as a class, or to be ignored.
    """
    spelled = [f"#{colour:06x}" for colour in colours]
    what = f"use several channels, so that {number} means {', '.join(spelled)}"
    remedies = (
        f"name those that are foreground with {naming('+'.join(spelled))}",
        BUT_BLACK,
    )
    return Refusal("coloured", what, remedies if is_foreground else ())


def blurred(levels: Sequence[int], is_lossy: bool) -> Refusal:
    """The refusal of label masks whose values lie around several levels, with others between."""
    around = f"{', '.join(map(str, levels[:-1]))} and {levels[-1]}"
    by = "their format" if is_lossy else "resizing, or by a format such as JPEG in which they were before"
    what = f"are label masks blurred by {by}: their values lie around {around}, with few between"
    return Refusal("blurred", what, (AS_PNG,), has_classes=False)


def blurred_by_format(found: NDArray[Any]) -> Refusal:
    """The refusal of masks of classes in a lossy format; ``found`` are the values of all of them."""
    what = f"are label masks blurred by their format, with the values {listed(found)}"
    return Refusal("blurred", what, (AS_PNG,), has_classes=False)


def named_but_blurred(named: Sequence[int | str]) -> Refusal:
    """The refusal of masks in a lossy format, of which exact values are named."""
    values = " and ".join(map(str, named))
    what = f"are blurred by their format, so that pixels of {values} have other values too"
    return Refusal("blurred", what, (AS_PNG,), has_classes=False)


def problem_of(
    refusal: Refusal, dataset: Dataset, refused: Mapping[str, MaskTable], classes: str, ignored: str = ""
) -> Problem:
    """One error for all masks that are refused.

    Args:
        refusal: why, and the remedies.
        dataset: of the masks.
        refused: the first mask of each sample that is refused, by id.
        classes: the options that name all values as classes; nothing where they are none.
        ignored: the option to ignore values that a file names as of no class, if that leaves two.
    """
    remedies = [*refusal.remedies, *_left_out(list(refused), len(dataset.samples))]
    if refusal.has_classes and classes:
        line = classes if len(classes) <= MOST_CHARACTERS else "--classes (`segstudy check` prints the line)"
        remedies.insert(0, f"train on all as classes of their own with {line}")
    if ignored:
        remedies.insert(0, f"leave out of everything what is of no class with {ignored}")
    first = name_within(dataset.root, next(iter(refused.values())).path)
    names, said = _names(dataset), "; " + OR.join(remedies)
    if len(refused) == 1:
        detail = f"one of {len(dataset.samples)} masks that {refusal.what}{names}{said}"
        return Problem("error", f"{refusal.kind} mask", first, detail, tuple(refused))
    number = f"{len(refused)} of {len(dataset.samples)} masks"
    detail = f"{number} {refusal.what}{names} (first: {first}){said}"
    return Problem("error", f"{refusal.kind} masks", dataset.name, detail, tuple(refused))


def in_short(problem: Problem) -> str:
    """What is wrong, with the first remedy only where there are several."""
    first, others, _ = problem.detail.partition(OR) if problem.samples else (problem.detail, "", "")
    return f"{first}{OTHERS}" if others else first


def _left_out(ids: Sequence[str], num_samples: int) -> list[str]:
    """How few masks of many are left out."""
    is_few = len(ids) <= FEW_SAMPLES and 2 * len(ids) < num_samples
    return [f"exclude {', '.join(ids)}"] if is_few else []


def _names(dataset: Dataset, most: int = 20) -> str:
    """What the reader knows of the masks' numbers or colours, in words."""
    shown = [f"{value} is {name}" for value, name in dataset.class_names]
    more = and_more(len(shown) - most) if len(shown) > most else ""
    return f" ({', '.join(shown[:most])}{more})" if shown else ""
