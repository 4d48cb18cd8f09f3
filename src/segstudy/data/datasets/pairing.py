"""Pairing images with masks by file name, and what can be wrong with it: shared by the readers."""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.core.quantities import counted
from segstudy.data.datasets.class_folders import paired_by_class
from segstudy.data.datasets.mask_names import (
    NamedMask,
    Unclear,
    can_be_merged,
    image_that_begins,
    masks_by_image,
)
from segstudy.data.datasets.similar_names import paired_by_similar_names
from segstudy.data.image_formats import image_suffix, stem_of
from segstudy.data.samples import PARTS, Problem, Sample, Severity
from segstudy.data.sources import MaskSource, Merged, name_within

IN_NO_PART, MISSING_PART = "in no part", "missing part"


@dataclass(frozen=True)
class Paired:
    """Images with their masks.

    Attributes:
        samples: sorted by id, each its own group.
        problems: what could not be paired, and what was merged.
        without_mask: images that are no sample's.
    """

    samples: list[Sample]
    problems: list[Problem]
    without_mask: list[Path]


def image_files(folder: Path) -> list[Path]:
    """The visible image files directly in a folder, sorted."""
    return sorted(
        file
        for file in folder.iterdir()
        if image_suffix(file.name) and not file.name.startswith(".") and file.is_file()
    )


def pair(root: Path, images: Sequence[Path], masks: Sequence[Path]) -> tuple[list[Sample], list[Problem]]:
    """Pair images with masks by stem, wherever they lie; as ``pair_folders``.

    Returns:
        Samples sorted by id, each its own group, and what could not be paired.
    """
    found = _paired(root, _by_id(images, None), _by_id(masks, None))
    return found.samples, found.problems


def pair_folders(
    root: Path, images: Sequence[Path], masks: Sequence[Path], folders: tuple[Path, Path]
) -> Paired:
    """Pair images with masks by their paths in the two folders, without suffix; see ``mask_names``.

    Args:
        root: what paths in problems are relative to.
        images: files.
        masks: files.
        folders: of images and of masks.
    """
    images_by_id, masks_by_id = _by_id(images, folders[0]), _by_id(masks, folders[1])
    found = _paired(root, images_by_id, masks_by_id)
    if not found.samples and (by_class := _by_class(root, images_by_id, masks_by_id)):
        return by_class
    if found.samples or not (similar := paired_by_similar_names(images_by_id, masks_by_id)):
        return found
    by_image, how = similar
    found = _paired(root, images_by_id, by_image)
    first = found.samples[0]
    where = folders[1].relative_to(root).as_posix()
    pair = f"{name_within(root, first.image)} with {name_within(root, first.mask)}"
    detail = f"no mask has its image's name; the names differ {how}: {pair} and so on"
    return replace(found, problems=[*found.problems, Problem("note", "similar names", where, detail)])


def _by_class(root: Path, images: Mapping[str, list[Path]], masks: Mapping[str, list[Path]]) -> Paired | None:
    """The same of masks in a folder per class; None where there are no such folders."""

    def pair_one(of_class: Mapping[str, Sequence[Path]]) -> tuple[list[Sample], list[Problem]]:
        found = _paired(root, images, of_class)
        return found.samples, found.problems

    by_class = paired_by_class(images, masks, pair_one)
    if by_class is None:
        return None
    samples, problems = by_class
    there = {sample.id for sample in samples}
    alone = [image_id for image_id in sorted(images) if image_id not in there]
    problems += [each for image_id in alone for each in _unpaired(root, image_id, images[image_id], [], {})]
    return Paired(samples, problems, [file for image_id in alone for file in images[image_id]])


def _by_id(files: Iterable[Path], folder: Path | None) -> dict[str, list[Path]]:
    """Files by id, whose accents are written the same way whatever system the files come from."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        stem = stem_of(file.name)
        path = stem if folder is None else file.relative_to(folder).with_name(stem).as_posix()
        found[unicodedata.normalize("NFC", path)].append(file)
    return found


def _paired(root: Path, images: Mapping[str, list[Path]], masks: Mapping[str, Sequence[Path]]) -> Paired:
    names = masks_by_image(masks, images)
    unclear = {each.image for each in names.unclear}
    samples: list[Sample] = []
    problems = [_unclear(root, each) for each in names.unclear]
    without: list[Path] = []
    hints = _hints(root, images, names.of_image)
    for image_id in sorted(images.keys() | names.of_image.keys()):
        files, found = images.get(image_id, []), names.of_image.get(image_id, [])
        source = _source(found)
        if len(files) == 1 and source is not None and image_id not in unclear:
            samples.append(Sample(image_id, files[0], source, group=image_id))
            continue
        without += files
        if image_id not in unclear:
            problems += _unpaired(root, image_id, files, found, hints)
    return Paired(samples, problems + _merged(samples), without)


def _source(masks: Sequence[NamedMask]) -> MaskSource | None:
    """The masks of an image as one; None where there is none, or it is unclear which is meant."""
    if len(masks) == 1:
        return masks[0].file
    if masks and can_be_merged(masks):
        return Merged(tuple(sorted(mask.file for mask in masks)))
    return None


def _merged(samples: Sequence[Sample]) -> list[Problem]:
    several = [sample for sample in samples if isinstance(sample.mask, Merged)]
    if not several:
        return []
    num_files = sum(len(sample.mask.files) for sample in several if isinstance(sample.mask, Merged))
    which = f"{several[0].id}{' and others' if len(several) > 1 else ''}"
    detail = (
        f"{counted(len(several), 'image')} with several masks, {num_files} files in all; the foreground "
        "of such an image is that of all its masks together"
    )
    return [Problem("note", "masks merged", which, detail)]


def _unclear(root: Path, mask: Unclear) -> Problem:
    detail = (
        f"a further mask of image {mask.image}, or the mask of an image {mask.other}? Rename it to "
        f"{mask.image.rpartition('/')[2]}_mask_N with a number N that no image has, or remove it"
    )
    return Problem("error", "unclear mask", mask.file.relative_to(root).as_posix(), detail)


def _unpaired(
    root: Path, image_id: str, images: list[Path], masks: Sequence[NamedMask], others: Mapping[str, str]
) -> list[Problem]:
    """Why the images and masks of one id are not a pair; ``others`` are hints for images and masks, by id."""

    def problem(severity: Severity, kind: str, files: list[Path], detail: str) -> Problem:
        where = ", ".join(file.relative_to(root).as_posix() for file in files)
        return Problem(severity, kind, where, detail)

    which = "which is meant? Remove or rename the others"
    truths = [mask.file for mask in masks]
    hint = others.get(image_id, "")
    problems = []
    if len(images) > 1:
        problems.append(problem("error", "two images of one name", [*images, *truths], which))
    elif len(masks) > 1:
        problems.append(problem("error", "two masks for one image", [*images, *truths], which))
    if not masks:
        detail = f"no mask of that name; left out{hint}"
        problems.append(problem("warning", "unpaired image", images, detail))
    if not images:
        detail = f"no image of that name; left out{hint}"
        problems.append(problem("warning", "unpaired mask", truths, detail))
    return problems


def _hints(root: Path, images: Collection[str], masks: Mapping[str, Sequence[NamedMask]]) -> dict[str, str]:
    """What an image or a mask without partner probably is, by id."""
    lone_masks = {each: named[0].file for each, named in masks.items() if each not in images}
    by_name = {each.rpartition("/")[2]: file for each, file in lone_masks.items()}
    hints = {}
    for mask_id in lone_masks:
        if like := image_that_begins(mask_id, images):
            further = f"{like.rpartition('/')[2]}_mask_2"
            hints[mask_id] = f"; if it is a further mask of image {like}, rename it to {further} or so"
    for image_id in images:
        other = by_name.get(image_id.rpartition("/")[2])
        if other and image_id not in masks:
            hints[image_id] = f"; {other.relative_to(root).as_posix()} lies in another folder"
    return hints


def part_problems(root: Path, samples: Sequence[Sample]) -> list[Problem]:
    """What is odd about a data set's official parts: one is missing, or a sample is in none."""
    there = {sample.part for sample in samples if sample.part}
    absent = [part for part in PARTS if part not in there]
    if not there:
        return []
    problems = [
        Problem("warning", IN_NO_PART, sample.id, "the other samples are in official parts; it is not used")
        for sample in samples
        if sample.part is None
    ]
    if absent:
        remedy = "cut from train" if "train" in there else "give shares to run, as in --set split=50/25/25"
        detail = f"no official {' and no official '.join(absent)} part: {remedy}"
        problems.append(Problem("note", MISSING_PART, root.resolve().name, detail))
    return problems
