"""Pairing images with masks by file name, and what can be wrong with it: shared by the readers."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from segstudy.data.image_formats import SUFFIXES
from segstudy.data.samples import PARTS, Problem, Sample, Severity

_MASK_ENDING = re.compile(r"_(mask|segmentation)$", re.IGNORECASE)


def image_files(folder: Path) -> list[Path]:
    """The visible image files directly in a folder, sorted."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def pair(root: Path, images: Sequence[Path], masks: Sequence[Path]) -> tuple[list[Sample], list[Problem]]:
    """Pair images with masks by exact stem; a mask's may have an ending.

    Args:
        root: what paths in problems are relative to.
        images: files.
        masks: files.

    Returns:
        Samples sorted by id, each its own group, and what could not be paired.
    """
    pictures = _by_stem(images)
    truths = _masks_by_stem(masks, pictures.keys())
    samples: list[Sample] = []
    problems: list[Problem] = []
    for stem in sorted(pictures.keys() | truths.keys()):
        found, truth = pictures.get(stem, []), truths.get(stem, [])
        if len(found) == 1 and len(truth) == 1:
            samples.append(Sample(stem, found[0], truth[0], group=stem))
        else:
            problems += _unpaired(root, found, truth)
    return samples, problems


def _by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by stem, whose accents are written the same way whatever system the files come from."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        found[unicodedata.normalize("NFC", file.stem)].append(file)
    return found


def _masks_by_stem(masks: Iterable[Path], images: Collection[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for stem, files in _by_stem(masks).items():
        found[stem if stem in images else _MASK_ENDING.sub("", stem)] += files
    return found


def _unpaired(root: Path, images: list[Path], masks: list[Path]) -> list[Problem]:
    """Why the images and masks of one stem are not a pair."""

    def problem(severity: Severity, kind: str, files: list[Path], detail: str) -> Problem:
        where = ", ".join(file.relative_to(root).as_posix() for file in files)
        return Problem(severity, kind, where, detail)

    which = "which is meant? Remove or rename the others"
    problems = []
    if len(images) > 1:
        problems.append(problem("error", "two images of one name", [*images, *masks], which))
    elif len(masks) > 1:
        problems.append(problem("error", "two masks for one image", [*images, *masks], which))
    if not masks:
        problems.append(problem("warning", "unpaired image", images, "no mask of that name; left out"))
    if not images:
        problems.append(problem("warning", "unpaired mask", masks, "no image of that name; left out"))
    return problems


def part_problems(root: Path, samples: Sequence[Sample]) -> list[Problem]:
    """What is odd about a data set's official parts: one is missing, or a sample is in none."""
    there = {sample.part for sample in samples if sample.part}
    absent = [part for part in PARTS if part not in there]
    if not there:
        return []
    problems = [
        Problem("warning", "in no part", sample.id, "the other samples are in official parts; it is not used")
        for sample in samples
        if sample.part is None
    ]
    if absent:
        remedy = "cut from train" if "train" in there else "give shares to run, as in --set split=50/25/25"
        detail = f"no official {' and no official '.join(absent)} part: {remedy}"
        problems.append(Problem("note", "missing part", root.resolve().name, detail))
    return problems
