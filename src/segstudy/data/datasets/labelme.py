"""LabelMe's JSON files: one per image, with polygons, rectangles, circles and small masks.

Layout: ``a.json`` beside ``a.jpg``, or in a folder of its own (``annotations/``, ``labels/``); at the top
or inside folders, three levels deep. The image is the one that ``imagePath`` names, else the one of the
same name.

Shapes are rasterised as ``data.shapes`` says, in the order of the file, so that the later covers the earlier.
Labels become numbers, from 1 in the order of the alphabet. Lines and points have no area and are refused by
name. A shape of a group (``group_id``) is rasterised as any other. An image that is in the JSON only
(``imageData``) is refused.

Cite: B. C. Russell et al. LabelMe: a database and web-based tool for image annotation. IJCV 77, 157-173,
2008; K. Wada, https://github.com/wkentaro/labelme.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segstudy.core.errors import UserError
from segstudy.data.datasets.annotation_files import (
    MAX_IMAGE_JSON_BYTES,
    files_below,
    folders_in,
    head_of,
    located,
    read_json,
    some_files,
    stem_in,
)
from segstudy.data.datasets.described import (
    class_names,
    numbered,
    refuse_without,
    unpaired_image,
    unpaired_mask,
    unusable,
)
from segstudy.data.datasets.folder_names import IMAGE_NAMES, MASK_NAMES, called
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.subsets import subset_named
from segstudy.data.image_formats import SUFFIXES
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.shapes import Drawing, Patch, Shape, ShapeError, circle, patch, polygon, rectangle

DESCRIPTION = "LabelMe's JSON files with polygons, NAME.json beside NAME.jpg or in a folder of their own"
FOLDERS = ("json", "jsons", "labelme", "json_annotations", "ann_json")
SHAPES = ("polygon", "rectangle", "circle", "mask", "oriented_rectangle")


@dataclass(frozen=True)
class _Labelled:
    """What one file describes."""

    file: Path
    image: Path
    size: tuple[int, int] | None
    shapes: list[dict[str, Any]]


def detect(root: Path) -> bool:
    """Whether there are JSON files with shapes, here or up to two levels down."""
    return any(map(_holds_labels, _folders(root)))


def _folders(root: Path) -> list[Path]:
    """Where JSON files are looked for: at the top, and in folders of usual names, also inside parts."""
    folders = folders_in(root)
    parts = [folder for folder in folders if subset_named(folder.name)]
    within = [*folders, *(each for part in parts for each in folders_in(part))]
    return [root, *parts, *called(within, (*IMAGE_NAMES, *MASK_NAMES, *FOLDERS))]


def _holds_labels(folder: Path) -> bool:
    file = next(some_files(folder, ".json"), None)
    return file is not None and '"shapes"' in (head := head_of(file)) and '"annotations"' not in head


def read(root: Path) -> Dataset:
    """One sample per JSON file.

    Raises:
        UserError: no file has a shape.
    """
    found: list[_Labelled] = []
    problems: list[Problem] = []
    for file in sorted(file for folder in _folders(root) for file in files_below(folder, ".json", 1)):
        try:
            labelled = _read_file(root, file)
        except (UserError, ValueError) as error:
            problems.append(unusable(root, file, str(error).removeprefix(f"{file}: ")))
            continue
        if isinstance(labelled, Problem):
            problems.append(labelled)
        elif labelled:
            found.append(labelled)
    if not any(each.shapes for each in found):
        reason = (
            "no LabelMe JSON file holds a shape; draw them, or write the masks as images into masks/"
            if found
            else "no LabelMe JSON file can be used; export them again"
        )
        raise refuse_without(root, problems, reason)
    numbers = numbered(str(shape.get("label", "")) for each in found for shape in each.shapes)
    samples = []
    for each in found:
        try:
            samples.append(_sample(root, each, numbers))
        except ShapeError as error:
            problems.append(unusable(root, each.file, error))
    used, images = {each.image for each in found}, _images(found)
    problems += [unpaired_image(root, image, "no JSON file") for image in images if image not in used]
    problems += _without_shapes(root, found)
    return dataset_of(root, "labelme", samples, problems, images, class_names(numbers))


def _images(found: Iterable[_Labelled]) -> list[Path]:
    """All images in the folders from which some are used."""
    return [
        image for folder in sorted({each.image.parent for each in found}) for image in image_files(folder)
    ]


def _without_shapes(root: Path, found: Iterable[_Labelled]) -> list[Problem]:
    names = [each.file.relative_to(root).as_posix() for each in found if not each.shapes]
    return [Problem("note", "no shapes", name, "an image without object") for name in names]


def _read_file(root: Path, file: Path) -> _Labelled | Problem | None:
    """What a file describes, or that its image is missing; None of a JSON file that is not LabelMe's.

    Raises:
        UserError, ValueError: a file that cannot be used.
    """
    content = read_json(file, MAX_IMAGE_JSON_BYTES)
    shapes = content.get("shapes")
    if shapes is None:
        return None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise ShapeError("its shapes are no list; export it again")
    image = _image_of(root, file, content)
    if image is None and content.get("imageData"):
        raise ShapeError(
            "its image is only in the JSON file (imageData); write it out with labelme_export_json"
        )
    if image is None:
        return unpaired_mask(root, file, content.get("imagePath") or f"{file.stem}.*")
    height, width = content.get("imageHeight"), content.get("imageWidth")
    has_size = isinstance(height, int) and isinstance(width, int)
    return _Labelled(file, image, (height, width) if has_size else None, shapes)  # type: ignore[arg-type]


def _image_of(root: Path, file: Path, content: Mapping[str, Any]) -> Path | None:
    """The image of a file: where it says, else under the file's own name."""
    beside = [
        file.parent,
        file.parent.parent,
        *(file.parent.parent / name for name in ("images", "imgs", "img")),
    ]
    folders = [folder for folder in beside if folder == root or root in folder.parents]
    if content.get("imagePath") and (named := located(root, folders, content["imagePath"])):
        return named
    return next(
        (image for folder in folders if folder.is_dir() for image in _of_stem(folder, file.stem)), None
    )


def _of_stem(folder: Path, stem: str) -> list[Path]:
    paths = [folder / f"{stem}{suffix}" for end in sorted(SUFFIXES) for suffix in (end, end.upper())]
    return [path for path in paths if path.is_file()]


def _sample(root: Path, labelled: _Labelled, numbers: Mapping[str, int]) -> Sample:
    shapes = tuple(_shape(shape, numbers[str(shape.get("label", ""))]) for shape in labelled.shapes)
    image = labelled.image
    sample_id = stem_in(root, image)
    parts = [part for name in image.relative_to(root).parts[:-1] if (part := subset_named(name))]
    if not parts or subset_named(sample_id.partition("/")[0]) is None:
        sample_id = image.stem if image.parent.name.lower() in ("images", "imgs", "img") else sample_id
    mask = Drawing(labelled.file, image.name, labelled.size, image, shapes)
    return Sample(sample_id, image, mask, group=sample_id, part=parts[0] if parts else None)


def _shape(shape: Mapping[str, Any], number: int) -> Shape:
    """One shape.

    Raises:
        ShapeError: of another type, or not what its type says.
    """
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    label = str(shape.get("label", ""))[:40]
    if kind not in SHAPES:
        raise ShapeError(
            f"a shape of type {str(kind)[:40]!r} (label {label!r}) has no area; draw it as a polygon"
        )
    if kind in ("polygon", "oriented_rectangle"):
        return polygon(number, [points])
    (x0, y0), (x1, y1) = _two(points, label)
    if kind == "rectangle":
        return rectangle(number, x0, y0, x1, y1)
    if kind == "circle":
        return circle(number, x0, y0, math.hypot(x1 - x0, y1 - y0))
    return _patch(number, shape.get("mask"), x0, y0)


def _two(points: Any, label: str) -> tuple[tuple[float, float], tuple[float, float]]:
    try:
        corners = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        corners = np.empty(0)
    if corners.shape != (2, 2) or not np.isfinite(corners).all() or np.abs(corners).max() > 1e8:
        raise ShapeError(f"a shape with label {label!r} must have two points of two numbers; draw it again")
    (x0, y0), (x1, y1) = corners.tolist()
    return (x0, y0), (x1, y1)


def _patch(number: int, text: Any, left: float, top: float) -> Patch:
    """A small mask, as base64 of a PNG file whose upper left pixel is the first point."""
    try:
        png = base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise ShapeError("a mask that is no base64; draw it again") from None
    return patch(number, png, round(top), round(left))
