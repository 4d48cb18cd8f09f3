"""Masks of classes that may overlap, in a folder for each: ``masks/disc/a.png`` and ``masks/cup/a.png``.

That folder is the outermost or the innermost one: ``masks/disc/train/a.png``, ``masks/train/disc/a.png``.
An image without a file in one of the folders has no pixel of that class, which is said.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from segstudy.core.classes import MOST_OVERLAPPING
from segstudy.core.quantities import counted
from segstudy.data.datasets.mask_names import masks_by_image
from segstudy.data.datasets.subsets import is_subset_word
from segstudy.data.samples import Problem, Sample
from segstudy.data.sources import OneMask, PerClass

LEAST_FRAC = 0.5  # of the files of each class, those that have the name of an image

Files = Mapping[str, Sequence[Path]]
Found = tuple[list[Sample], list[Problem]]


def paired_by_class(images: Files, masks: Files, pair: Callable[[Files], Found]) -> Found | None:
    """Pair the masks of each class with the images; None where the folders are not those of classes.

    Args:
        images: files by id, which is the path without suffix.
        masks: the same of masks, none of which has the id of an image.
        pair: pairs masks of one class with the images; lists images without a mask too.
    """
    classes = _by_class(images, masks, first=True) or _by_class(images, masks, first=False)
    if classes is None:
        return None
    of_image: dict[str, list[tuple[str, OneMask]]] = defaultdict(list)
    samples: dict[str, Sample] = {}
    problems: list[Problem] = []
    for name in sorted(classes):
        found, own = pair(classes[name])
        for sample in found:
            assert not isinstance(sample.mask, PerClass)
            samples[sample.id] = sample
            of_image[sample.id].append((name, sample.mask))
        problems += [problem for problem in own if problem.kind != "unpaired image"]
    problems += _without_some(classes, of_image)
    merged = [replace(samples[each], mask=PerClass(tuple(of_image[each]))) for each in sorted(samples)]
    return merged, problems


def _without_some(
    classes: Mapping[str, Files], of_image: Mapping[str, list[tuple[str, OneMask]]]
) -> list[Problem]:
    """A warning for each class that has no file for some images."""
    problems = []
    for name in sorted(classes):
        lacking = sorted(each for each, masks in of_image.items() if name not in dict(masks))
        if lacking:
            detail = (
                f"no file of class {name} for {counted(len(lacking), 'image')}, the first is {lacking[0]}: "
                "they count as without it"
            )
            problems.append(Problem("warning", "class without file", f"{name}/", detail))
    return problems


def _by_class(images: Files, masks: Files, *, first: bool) -> dict[str, dict[str, list[Path]]] | None:
    """The masks by class, and by id without the class's folder; None where that fits the images badly."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(dict)
    for mask_id, files in masks.items():
        *folders, stem = mask_id.split("/")
        if not folders:
            return None
        name = folders.pop(0 if first else -1)
        found[name]["/".join([*folders, stem])] = list(files)
    folders_of_images = {part for each in images for part in each.split("/")[:-1]}
    if not 2 <= len(found) <= MOST_OVERLAPPING or found.keys() & (folders_of_images | images.keys()):
        return None
    if all(map(is_subset_word, found)) or not all(_fits(of_class, images) for of_class in found.values()):
        return None
    return dict(found)


def _fits(masks: Mapping[str, list[Path]], images: Files) -> bool:
    return len(masks_by_image(masks, images).of_image.keys() & images.keys()) >= LEAST_FRAC * len(masks)
