"""What the masks of a data set hold of each of several classes."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segstudy.core.classes import NAME, is_background
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.outputs import Outputs
from segstudy.core.quantities import counted, percent
from segstudy.data.mask_findings import EMPTY, mask_problems
from segstudy.data.mask_looks import MaskLook
from segstudy.data.masks import foreground_of, ignored_in, numbers_in
from segstudy.data.samples import PARTS, Dataset, Problem
from segstudy.data.sources import PerClass, masks_of

NO_BACKGROUND = "classes: none is called background, so all count in the scores"

ClassPixels = NDArray[np.int64]  # (K + 1,): how many pixels of a mask each class has, and how many count


@dataclass(frozen=True, slots=True)
class ClassShare:
    """How much there is of a class.

    Attributes:
        name: of the class.
        pixel_frac: of all pixels that count.
        num_masks: that hold it.
    """

    name: str
    pixel_frac: float
    num_masks: int


def class_pixels(look: MaskLook, meaning: MaskMeaning) -> ClassPixels:
    """Count the pixels of each class of a mask.

    Raises:
        ImageError: its values do not fit.
    """
    numbers, counts = numbers_in(look.table, meaning), look.table.counts
    found = [counts[numbers == number].sum() for number in range(len(meaning.classes))]
    return np.array([*found, sum(found)], np.int64)


def layer_pixels(layers: Mapping[str, MaskLook], meaning: MaskMeaning) -> ClassPixels:
    """The same of classes with masks of their own; of a class without one, none.

    Args:
        layers: what the mask of each class shows.
        meaning: of the values of each of them, and the classes.
    """
    found, alone = np.zeros(len(meaning.classes) + 1, np.int64), meaning.of_layers()
    for number, each in enumerate(meaning.classes):
        if look := layers.get(each.name):
            found[number] = look.table.counts[foreground_of(look.table, alone)].sum()
    tables = [look.table for look in layers.values()]
    found[-1] = min(int(table.counts[~ignored_in(table, alone)].sum()) for table in tables)
    return found


def layer_problems(
    where: str, layers: Mapping[str, MaskLook], meaning: MaskMeaning
) -> tuple[list[Problem], float]:
    """List what is odd about the masks of an image's classes, and the largest share of one of them."""
    found, fracs = [], [0.0]
    for name, look in layers.items():
        problems, frac = mask_problems(f"{where}, {name}", look, meaning.of_layers())
        found += [problem for problem in problems if problem.kind != EMPTY]
        fracs.append(frac)
    if not any(fracs):
        found.append(Problem("warning", EMPTY, where, "no pixel is of any class; true of this image?"))
    return found, max(fracs)


def meaning_name(meaning: MaskMeaning) -> str:
    """Equal for meanings that give the same masks."""
    return json.dumps(meaning.key)


def class_name(meaning: MaskMeaning, name: str) -> str:
    """What the samples without a class are stored by."""
    return f"{meaning_name(meaning)} {name}"


def are_layered(dataset: Dataset) -> bool:
    """Whether each class has masks of its own, so that classes may overlap."""
    return any(isinstance(sample.mask, PerClass) for sample in dataset.samples)


def layout_problems(dataset: Dataset, meaning: MaskMeaning, is_for_model: bool = False) -> list[Problem]:
    """Refuse classes that may overlap but have no masks each, and the other way round.

    Args:
        dataset: the samples.
        meaning: with the classes.
        is_for_model: a trained model has these classes, so that none can be chosen.
    """
    layered, overlapping = are_layered(dataset), meaning.outputs.task == "multilabel"
    if not layered and not overlapping:
        return []
    kind, names = "masks per class", _layer_names(dataset)
    if not layered:
        detail = (
            f"{', '.join(meaning.outputs.names)} have no mask values: they may overlap and need masks each, "
            f"in folders of their names as {' and '.join(f'masks/{name}/' for name in meaning.outputs.names)}"
        )
        detail += "" if is_for_model else "; or give them values, as --classes background=0,disc=1,cup=2"
    elif odd := [name for name in names if not NAME.fullmatch(name)]:
        detail = f"the folder {odd[0]}/ cannot name a class: rename it, without any of , = + # / and \\"
    elif not overlapping and is_for_model:
        detail = f"the masks lie in a folder for each class, {' and '.join(names)}; {_as_one(meaning)}"
    elif not overlapping:
        detail = (
            f"the masks lie in a folder for each class, {' and '.join(names)}, and classes may overlap"
            f"{_named(names)}; to train on one of them alone, or if the folders are those of several "
            "experts, put the masks of one into masks/, or the union of an image's masks as one file"
        )
    elif missing := [name for name in meaning.outputs.names if name not in names]:
        detail = f"no folder holds the masks of class {missing[0]}; there are {', '.join(names)}"
    else:
        return []
    return [Problem("error", kind, dataset.name, detail)]


def _as_one(meaning: MaskMeaning) -> str:
    """How masks are stored for a model whose classes exclude each other."""
    if not meaning.classes:
        return "the model has one foreground: put the masks of that alone into masks/"
    values = ", ".join(f"{each.values[0]} for {each.name}" for each in meaning.classes)
    return (
        "the model's classes exclude each other: save an image's masks as one file in masks/, with the "
        f"values {values}"
    )


def _named(folders: Sequence[str]) -> str:
    """How classes with masks of their own are named, in words; a background has none."""
    names = [name for name in folders if not is_background(name)]
    return f": name them with --classes {shlex.quote(','.join(names))}" if len(names) > 1 else ""


def _layer_names(dataset: Dataset) -> list[str]:
    return sorted({name for sample in dataset.samples for name, _ in masks_of(sample.mask)})


def class_shares(pixels: Mapping[str, ClassPixels], outputs: Outputs) -> tuple[ClassShare, ...]:
    """Return the share of each class in the masks of all samples, which are given by id."""
    if not pixels:
        return ()
    stack = np.stack(list(pixels.values()))
    *columns, counting = stack.T
    total = max(1, int(counting.sum()))
    return tuple(
        ClassShare(name, float(column.sum() / total), int((column > 0).sum()))
        for name, column in zip(outputs.names, columns, strict=True)
    )


def class_problems(dataset: Dataset, pixels: Mapping[str, ClassPixels], outputs: Outputs) -> list[Problem]:
    """List the classes that no mask holds, or no mask of an official subset."""
    problems: list[Problem] = []
    if not pixels:
        return problems
    for number, name in enumerate(outputs.names):
        having = {sample_id for sample_id, found in pixels.items() if found[number]}
        if not having:
            detail = f"no mask holds the class {name}: nothing can be learnt or scored of it"
            problems.append(Problem("warning", "class nowhere", dataset.name, detail))
            continue
        for part in PARTS:
            members = [sample.id for sample in dataset.samples if sample.part == part]
            if members and not having.intersection(members):
                detail = f"none of its {len(members)} masks holds the class {name}"
                problems.append(Problem("warning", "class nowhere", f"{dataset.name}, {part}", detail))
    return problems


def shares_text(shares: Sequence[ClassShare], num_masks: int) -> str:
    """Return ``background 81.2 % of the pixels, in 40 of 40 masks; disc ...``."""
    return "; ".join(
        f"{each.name} {percent(each.pixel_frac, 1)} of the pixels, in {each.num_masks} of "
        f"{counted(num_masks, 'mask')}"
        for each in shares
    )
