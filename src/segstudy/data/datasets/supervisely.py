"""Supervisely's JSON: a file per image, with bitmaps, polygons and rectangles.

Layout::

    DATA/meta.json
    DATA/ds1/img/a.jpg
    DATA/ds1/ann/a.jpg.json

also without the folder of the data set, ``DATA/img`` and ``DATA/ann``. Shapes are rasterised as
``data.shapes`` says, in the order of the file. Class titles become numbers, from 1 in the order of the
alphabet. Lines and points have no area and are refused by name. A folder that is called train, val or test
is that part.
"""

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.input_files import MB
from segstudy.data.datasets.annotation_files import (
    MAX_IMAGE_JSON_BYTES,
    files_below,
    folders_in,
    head_of,
    read_json,
    some_files,
)
from segstudy.data.datasets.described import (
    class_names,
    numbered,
    refuse_without,
    unpaired_image,
    unpaired_mask,
    unusable,
)
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.subsets import subset_named
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.shapes import Drawing, Shape, ShapeError, patch, polygon, rectangle

DESCRIPTION = "Supervisely's img/ and ann/ with a JSON file per image, at the top or in folders"
MAX_PNG_BYTES = 64 * MB


def detect(root: Path) -> bool:
    """Whether ``img/`` lies beside ``ann/`` with JSON files of objects, here or in a folder."""
    return bool(_folders(root))


def read(root: Path) -> Dataset:
    """One sample per JSON file.

    Raises:
        UserError: no file has an object.
    """
    problems: list[Problem] = []
    found: list[tuple[Path, Path, str, Mapping[str, Any]]] = []
    left: list[Path] = []
    for folder in _folders(root):
        prefix = "" if folder == root else f"{folder.name}/"
        images = {file.name: file for file in image_files(folder / "img")}
        for file in files_below(folder / "ann", ".json", 1):
            image = images.pop(file.name[: -len(".json")], None)
            if image is None:
                problems.append(unpaired_mask(root, file, file.name[: -len(".json")]))
                continue
            content = _content(root, file)
            if isinstance(content, Problem):
                problems.append(content)
            else:
                found.append((file, image, prefix, content))
        left += images.values()
    problems += [unpaired_image(root, image, "no JSON file") for image in left]
    objects = [each for *_, content in found for each in content["objects"]]
    if not objects:
        raise refuse_without(root, problems, "no Supervisely JSON file holds an object; export it again")
    numbers = numbered(str(each.get("classTitle", "")) for each in objects)
    samples = []
    for file, image, prefix, content in found:
        try:
            samples.append(_sample(file, image, prefix, content, numbers))
        except ShapeError as error:
            problems.append(unusable(root, file, error))
    images_found = [*left, *(image for _, image, *_ in found)]
    return dataset_of(root, "supervisely", samples, problems, images_found, class_names(numbers))


def _folders(root: Path) -> list[Path]:
    """The folders that hold ``img/`` and ``ann/``."""
    found = [
        each for each in (root, *folders_in(root)) if (each / "img").is_dir() and (each / "ann").is_dir()
    ]
    return [each for each in found if _holds_objects(each / "ann")]


def _holds_objects(folder: Path) -> bool:
    return any(
        '"objects"' in head_of(file) for file, _ in zip(some_files(folder, ".json"), range(3), strict=False)
    )


def _content(root: Path, file: Path) -> Mapping[str, Any] | Problem:
    try:
        content = read_json(file, MAX_IMAGE_JSON_BYTES)
    except UserError as error:
        return unusable(root, file, str(error).removeprefix(f"{file}: "))
    objects = content.get("objects")
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        return unusable(root, file, "its objects are no list; export it again")
    return content


def _sample(
    file: Path, image: Path, prefix: str, content: Mapping[str, Any], numbers: Mapping[str, int]
) -> Sample:
    size = content.get("size")
    height, width = (size.get("height"), size.get("width")) if isinstance(size, dict) else (None, None)
    if not isinstance(height, int) or not isinstance(width, int):
        raise ShapeError("must have a size with height and width; export it again")
    shapes = tuple(_shape(each, numbers[str(each.get("classTitle", ""))]) for each in content["objects"])
    sample_id = prefix + image.stem
    mask = Drawing(file, image.name, (height, width), image, shapes)
    return Sample(sample_id, image, mask, group=sample_id, part=subset_named(prefix.rstrip("/")))


def _shape(each: Mapping[str, Any], number: int) -> Shape:
    """One object.

    Raises:
        ShapeError: of a kind without area, or not what its kind says.
    """
    kind = each.get("geometryType") or ("bitmap" if each.get("bitmap") else "polygon")
    if kind == "bitmap":
        return _bitmap(number, each.get("bitmap"))
    points = each.get("points")
    outer = points.get("exterior") if isinstance(points, dict) else None
    if not isinstance(points, dict) or not isinstance(outer, list):
        raise ShapeError(f"an object of type {str(kind)[:40]!r} without points; export it again")
    if kind == "rectangle" and len(outer) == 2:
        polygon(number, [[*outer, outer[0]]])  # raises where they are no points
        (x0, y0), (x1, y1) = outer
        return rectangle(number, x0, y0, x1, y1)
    if kind == "polygon":
        return polygon(number, [outer, *(points.get("interior") or [])])
    raise ShapeError(f"an object of type {str(kind)[:40]!r} has no area; draw it as a polygon or bitmap")


def _bitmap(number: int, bitmap: Any) -> Shape:
    """A PNG file, packed by zlib and written in base64, at its place."""
    try:
        packed = base64.b64decode(bitmap["data"], validate=True)
        unpacking = zlib.decompressobj()
        png = unpacking.decompress(packed, MAX_PNG_BYTES)
        left, top = (int(side) for side in bitmap["origin"])
    except (TypeError, KeyError, ValueError, OverflowError, zlib.error):
        raise ShapeError("a bitmap that is no packed PNG file with an origin; export it again") from None
    if unpacking.unconsumed_tail:
        raise ShapeError(f"a bitmap of more than {MAX_PNG_BYTES / MB:g} MB, unpacked; draw it again")
    return patch(number, png, top, left)
