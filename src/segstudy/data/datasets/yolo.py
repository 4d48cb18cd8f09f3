"""YOLO's text files with polygons: a line per object, a file per image.

Layouts::

    DATA/images/a.jpg     DATA/images/train/a.jpg     DATA/train/images/a.jpg
    DATA/labels/a.txt     DATA/labels/train/a.txt     DATA/train/labels/a.txt
    DATA/data.yaml        (optional) the names of the classes; or classes.txt

A line is ``class x y x y x y ...``, with x and y from 0 to 1, in widths and heights of the image. Polygons
are rasterised as ``data.shapes`` says, in the order of the file. Class numbers are one higher than in the
file, as 0 is background; if one class occurs only, it is 1. An empty file is an image without object.

Quirks: lines of five numbers are boxes and are refused: a box is no outline.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segstudy.core.errors import UserError
from segstudy.data.datasets.annotation_files import files_below, folders_in, lines_in, some_files
from segstudy.data.datasets.described import (
    ClassNames,
    refuse_without,
    unpaired_image,
    unpaired_mask,
    unusable,
)
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.subsets import subset_named
from segstudy.data.images import ImageError, image_size
from segstudy.data.samples import Dataset, Part, Problem, Sample
from segstudy.data.shapes import MAX_CLASSES, Drawing, ShapeError, polygon

DESCRIPTION = "YOLO's polygons: labels/NAME.txt with lines class x y x y ..., and images/"
OUTSIDE = 0.02  # tools write coordinates a little beyond 1


@dataclass(frozen=True)
class _Place:
    """A folder of images and that of their text files, the beginning of their ids, and their subset."""

    images: Path
    labels: Path
    prefix: str = ""
    part: Part | None = None


def detect(root: Path) -> bool:
    """Whether ``labels/`` holds text files of numbers beside ``images/``."""
    return bool(_places(root))


def read(root: Path) -> Dataset:
    """One sample per image with a text file.

    Raises:
        UserError: no polygon in any file.
    """
    lines: dict[Path, list[str]] = {}
    images: list[tuple[_Place, Path, Path]] = []
    problems: list[Problem] = []
    seen: list[Path] = []
    for place in _places(root):
        texts = {file.stem: file for file in some_texts(place.labels)}
        for image in image_files(place.images):
            text = texts.pop(image.stem, None)
            seen.append(image)
            if text is None:
                problems.append(unpaired_image(root, image, "no text file (an empty one says: no object)"))
                continue
            images.append((place, image, text))
            lines[text] = lines_in(text)
        problems += [unpaired_mask(root, file, f"{file.stem}.*") for file in texts.values()]
    first_cells = {line.split()[0] for each in lines.values() for line in each}
    classes = sorted({int(cell) for cell in first_cells if re.fullmatch("[0-9]{1,6}", cell)})
    numbers = {number: number + 1 if len(classes) > 1 else 1 for number in classes}
    samples = []
    for place, image, text in images:
        try:
            samples.append(_sample(place, image, text, lines[text], numbers))
        except (ShapeError, ImageError) as error:
            problems.append(unusable(root, text, getattr(error, "detail", error)))
    if not any(lines.values()) or not samples:
        raise refuse_without(root, problems, "no YOLO text file with a polygon can be used; export polygons")
    return dataset_of(root, "yolo", samples, problems, seen, _class_names(root, numbers))


def some_texts(folder: Path) -> list[Path]:
    """The text files in a folder, but for lists of names."""
    return [file for file in files_below(folder, ".txt", 1) if file.name.lower() != "classes.txt"]


def _places(root: Path) -> list[_Place]:
    """All pairs of folders, if some text file in them holds numbers."""
    found = _places_in(root / "images", root / "labels", "")
    for folder in folders_in(root):
        if part := subset_named(folder.name):
            inside = _places_in(folder / "images", folder / "labels", f"{folder.name}/")
            found += [_Place(each.images, each.labels, each.prefix, part) for each in inside]
    return found if any(_holds_numbers(place.labels) for place in found) else []


def _places_in(images: Path, labels: Path, prefix: str) -> list[_Place]:
    """The two folders, and folders of equal names in them, where there are text files, even empty ones."""
    if not images.is_dir() or not labels.is_dir():
        return []
    found = [_Place(images, labels, prefix)]
    for folder in folders_in(labels):
        if (images / folder.name).is_dir():
            part = subset_named(folder.name)
            found.append(_Place(images / folder.name, folder, f"{prefix}{folder.name}/", part))
    return [place for place in found if any(some_files(place.labels, ".txt"))]


def _holds_numbers(folder: Path) -> bool:
    for file in some_files(folder, ".txt"):
        try:
            line = next(iter(lines_in(file)), "")
        except UserError:
            continue
        if re.match(r"\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*$", line, re.IGNORECASE):
            return True
    return False


def _sample(place: _Place, image: Path, text: Path, lines: list[str], numbers: Mapping[int, int]) -> Sample:
    """One image and its polygons.

    Raises:
        ShapeError: a line that is none.
        ImageError: an image whose size cannot be read.
    """
    height, width = image_size(image)
    shapes = []
    for i, line in enumerate(lines):
        number, points = _line(line, i + 1)
        if number not in numbers or numbers[number] > MAX_CLASSES:
            raise ShapeError(f"line {i + 1}: class {number} is too large")
        shapes.append(polygon(numbers[number], [points * (width, height)]))
    sample_id = place.prefix + image.stem
    mask = Drawing(text, image.name, (height, width), image, tuple(shapes))
    return Sample(sample_id, image, mask, group=sample_id, part=place.part)


def _line(line: str, number: int) -> tuple[int, np.ndarray]:
    cells = line.split()
    if len(cells) == 5:
        raise ShapeError(f"line {number} is a box without an outline; export polygons (YOLO segmentation)")
    try:
        points = np.array([float(cell) for cell in cells[1:]])
        label = int(cells[0])
    except ValueError:
        raise ShapeError(f"line {number} must be a class number and coordinates, got {line[:40]!r}") from None
    if len(points) < 6 or len(points) % 2:
        raise ShapeError(f"line {number} must have 3 points or more, each x and y; export it again")
    if not np.isfinite(points).all() or points.min() < -OUTSIDE or points.max() > 1 + OUTSIDE:
        raise ShapeError(
            f"line {number} has coordinates beyond 0 to 1; write them in widths and heights of the image"
        )
    return label, points.reshape(-1, 2)


def _class_names(root: Path, numbers: Mapping[int, int]) -> ClassNames:
    """The names in ``data.yaml`` or ``classes.txt``, by class number; none where one class occurs only."""
    if len(numbers) < 2:
        return ()
    named: dict[int, str] = {}
    for file in (root / "data.yaml", root / "dataset.yaml"):
        if file.is_file():
            named = named or _yaml_names("\n".join(lines_in(file)))
    for file in (root / "classes.txt", root / "labels" / "classes.txt"):
        if file.is_file():
            named = named or dict(enumerate(lines_in(file)))
    return tuple((number, named[label].strip()) for label, number in numbers.items() if label in named)


def _yaml_names(text: str) -> dict[int, str]:
    """What stands under ``names:``, as a list in one line, a list, or numbers with names."""
    if inline := re.search(r"^names:\s*[\[{](.*?)[\]}]", text, re.MULTILINE | re.DOTALL):
        cells = [cell.strip().strip("'\"") for cell in inline[1].split(",")]
        pairs = [cell.partition(":") for cell in cells]
        if all(colon and key.strip().isdecimal() for key, colon, _ in pairs):
            return {int(key): name.strip().strip("'\"") for key, _, name in pairs}
        return dict(enumerate(cells))
    block = re.search(r"^names:[^\S\n]*\n((?:[^\S\n]*(?:-|\d+:).*\n?)+)", text, re.MULTILINE)
    rows = [row.strip() for row in block[1].splitlines()] if block else []
    if rows and all(row.startswith("-") for row in rows):
        return {i: row[1:].strip().strip("'\"") for i, row in enumerate(rows)}
    pairs = [row.partition(":") for row in rows]
    return {int(key): name.strip().strip("'\"") for key, _, name in pairs if key.isdecimal()}
