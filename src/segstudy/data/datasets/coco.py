"""COCO's JSON: polygons and run lengths of all images in one file, as most tools export them.

Layouts::

    DATA/annotations/instances_train2017.json    DATA/train2017/000000000009.jpg      (COCO itself)
    DATA/annotations/instances_default.json      DATA/images/a.jpg                    (CVAT)
    DATA/result.json                             DATA/images/a.jpg                    (Label Studio)
    DATA/train/_annotations.coco.json            DATA/train/a_jpg.rf.0c1d.jpg         (Roboflow)

Polygons and run lengths are rasterised as ``data.shapes`` says, in the order of the file, so that the later
covers the earlier. Categories that occur keep their number; if one occurs only, it is 1; if 0 occurs, all
are one higher. Crowd regions (``iscrowd``) count as objects, which a note says. An image that is listed
without annotations has no object. A part's word in the name of the file or its folder (train2017, valid) is
the official part.

Quirks: annotations that are boxes only are refused: a box is no outline. Names of images may not leave the
data set's folder; of absolute ones the last part counts.

Cite: T.-Y. Lin et al. Microsoft COCO: common objects in context. ECCV 2014, arXiv:1405.0312.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.data.datasets.annotation_files import (
    folders_in,
    head_of,
    located,
    named,
    read_json,
    some_files,
)
from segstudy.data.datasets.described import refuse_without, unpaired_image, unpaired_mask, unusable
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.subsets import subset_named
from segstudy.data.samples import Dataset, Part, Problem, Sample
from segstudy.data.shapes import (
    MAX_CLASSES,
    Drawing,
    Shape,
    ShapeError,
    polygon,
    runs_of_counts,
    unpacked_counts,
)
from segstudy.data.sources import first_file

DESCRIPTION = (
    "COCO's JSON with polygons or run lengths, such as annotations/instances_default.json and images/"
)

NAMES = re.compile(r"instances\w*\.json|.*[._]coco\.json", re.IGNORECASE)
FOLDERS = ("annotations", "annotation", "labels", "coco", "jsons", "json", "images")


@dataclass(frozen=True)
class _File:
    """One JSON file.

    Attributes:
        path: where it is.
        folders: where its images may be.
        prefix: what their ids begin with.
        part: the official part that it describes.
        content: what it holds.
    """

    path: Path
    folders: tuple[Path, ...]
    prefix: str
    part: Part | None
    content: Mapping[str, Any]

    def rows(self, key: str) -> list[dict[str, Any]]:
        """One of its lists of objects.

        Raises:
            UserError: there is no such list.
        """
        rows = self.content.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{self.path}: COCO's JSON must have a list {key!r} of objects; export it again")
        return rows


def detect(root: Path) -> bool:
    """Whether there is a JSON file that begins as COCO's, here or in a folder."""
    return bool(_paths(root))


def read(root: Path) -> Dataset:
    """One sample per image that is listed.

    Raises:
        UserError: no JSON of COCO's kind, categories that contradict each other, or nothing to draw.
    """
    paths = _paths(root)
    files = [_file(root, path, len(paths) > 1) for path in paths]
    numbers, names = _categories(root, files)
    samples: list[Sample] = []
    problems: list[Problem] = []
    for file in files:
        found, issues = _read_file(root, file, numbers)
        samples += found
        problems += issues
    images = _images(samples)
    listed = f"{named([file.path.name for file in files], 2)} does not list it"
    used = {sample.image for sample in samples}
    problems += [unpaired_image(root, image, listed) for image in images if image not in used]
    return dataset_of(root, "coco", samples, problems, images, names)


def _paths(root: Path) -> list[Path]:
    """The JSON files; of COCO's own those of instances, not captions or key points."""
    found = [
        file
        for folder in (root, *filter(_may_hold_annotations, folders_in(root)))
        for file in some_files(folder, ".json")
        if NAMES.fullmatch(file.name) or _is_coco(head_of(file))
    ]
    instances = [file for file in found if file.name.startswith("instances")]
    return instances or found


def _may_hold_annotations(folder: Path) -> bool:
    return subset_named(folder.name) is not None or folder.name.lower() in FOLDERS


def _is_coco(head: str) -> bool:
    has_images = '"images"' in head and any(
        f'"{key}"' in head for key in ("file_name", "annotations", "categories")
    )
    return has_images or (
        '"annotations"' in head and any(k in head for k in ('"segmentation"', '"image_id"'))
    )


def _file(root: Path, path: Path, is_one_of_several: bool) -> _File:
    own = path.stem.removeprefix("instances_")
    candidates = [path.parent, *(root / name for name in (own, f"images/{own}", "images", "."))]
    folders = tuple(folder for folder in dict.fromkeys(map(Path, candidates)) if folder.is_dir())
    part = _subset(own) or (subset_named(path.parent.name) if path.parent != root else None)
    beginning = path.parent.name if _subset(own) is None else own
    prefix = f"{beginning}/" if is_one_of_several and part else ""
    return _File(path, folders, prefix, part if is_one_of_several else None, read_json(path))


def _subset(name: str) -> Part | None:
    """The subset in a file's name: train for train2017."""
    return subset_named(name.rstrip("0123456789"))


def _categories(
    root: Path, files: Sequence[_File]
) -> tuple[dict[int, int], tuple[tuple[int | str, str], ...]]:
    """The class number of every category that occurs, and the names by number."""
    names: dict[int, str] = {}
    for file in files:
        for row in file.rows("categories"):
            number, name = row.get("id"), str(row.get("name", ""))
            if isinstance(number, int) and names.setdefault(number, name) != name:
                raise UserError(
                    f"{file.path}: category {number} is {name} here and {names[number]} in another "
                    "file; export "
                    "all parts together"
                )
    annotations = [row for file in files for row in file.rows("annotations")]
    if not annotations:
        raise UserError(
            f"{root}: COCO's JSON ({named([file.path.name for file in files])}) holds no annotations; "
            "export it "
            "again with polygons or run lengths, or write the masks as images into masks/"
        )
    used = sorted({number for row in annotations if isinstance(number := row.get("category_id"), int)})
    if used and not 0 <= used[0] <= used[-1] < MAX_CLASSES:
        raise UserError(
            f"{root}: COCO's categories must be numbers from 0 to {MAX_CLASSES - 1}, got {used[-1]}"
        )
    if len(used) == 1:
        return {used[0]: 1}, ()
    shift = 1 if used and used[0] == 0 else 0
    return (
        {number: number + shift for number in used},
        tuple((number + shift, names.get(number, "")) for number in used),
    )


def _read_file(root: Path, file: _File, numbers: Mapping[int, int]) -> tuple[list[Sample], list[Problem]]:
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in file.rows("annotations"):
        by_image[_key(row.get("image_id"))].append(row)
    images = file.rows("images")
    samples, problems = [], []
    for image in images:
        rows = by_image.pop(_key(image.get("id")), [])
        found = _sample(root, file, image, rows, numbers)
        if isinstance(found, Sample):
            samples.append(found)
        else:
            problems.append(found)
    if strays := sum(map(len, by_image.values())):
        detail = f"{counted(strays, 'annotation')} of images that the file does not list; export it again"
        problems.append(Problem("error", "annotations without image", file.path.name, detail))
    if num_crowds := sum(bool(row.get("iscrowd")) for row in file.rows("annotations")):
        detail = f"{counted(num_crowds, 'crowd region')} (iscrowd) counted as objects"
        problems.append(Problem("note", "crowd regions", file.path.name, detail))
    if images and not samples:
        raise refuse_without(
            root, problems, f"no image of COCO's {file.path.name} can be used; export it again"
        )
    return samples, problems


def _key(value: object) -> object:
    return value if isinstance(value, int | str) else repr(value)


def _sample(
    root: Path,
    file: _File,
    image: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    numbers: Mapping[int, int],
) -> Sample | Problem:
    name = image.get("file_name")
    try:
        path = located(root, file.folders, name)
        if path is None:
            return unpaired_mask(root, file.path, name)
        size = image.get("height"), image.get("width")
        if not all(isinstance(side, int) and side > 0 for side in size):
            raise ValueError("must have a height and a width; export it again")
        shapes = tuple(shape for row in rows for shape in _shapes(row, size, numbers))  # type: ignore[arg-type]
    except (ShapeError, ValueError) as error:
        return unusable(root, file.path, error, str(name)[:80])
    sample_id = f"{file.prefix}{_stem(file, path)}"
    mask = Drawing(file.path, path.name, size, path, shapes)  # type: ignore[arg-type]
    return Sample(sample_id, path, mask, group=sample_id, part=file.part)


def _stem(file: _File, image: Path) -> str:
    """The image's path within the innermost of the file's folders, without its suffix."""
    folder = max((each for each in file.folders if each in image.parents), key=lambda each: len(each.parts))
    return image.relative_to(folder).with_suffix("").as_posix()


def _shapes(row: Mapping[str, Any], size: tuple[int, int], numbers: Mapping[int, int]) -> list[Shape]:
    """What an annotation draws.

    Raises:
        ShapeError: nothing, or nothing that can be rasterised.
    """
    category, outline = row.get("category_id"), row.get("segmentation")
    called = f"annotation {str(row.get('id'))[:20]}"
    if not isinstance(category, int) or category not in numbers:
        raise ShapeError(f"{called} has no category; export it again")
    number = numbers[category]
    try:
        if isinstance(outline, dict):
            return [runs_of_counts(number, _counts(outline), _size_of_runs(outline, size))]
        if isinstance(outline, list) and outline:
            return [polygon(number, [ring]) for ring in outline]
    except ShapeError as error:
        raise ShapeError(f"{called}: {error}") from None
    raise ShapeError(f"{called} is a box without an outline; draw one, or export polygons or run lengths")


def _counts(outline: Mapping[str, Any]) -> Sequence[int]:
    counts = outline.get("counts")
    if isinstance(counts, str):
        return unpacked_counts(counts)
    if isinstance(counts, list):
        return counts
    raise ShapeError("run lengths without counts; export them again")


def _size_of_runs(outline: Mapping[str, Any], size: tuple[int, int]) -> tuple[int, int]:
    own = outline.get("size")
    if not isinstance(own, list) or tuple(own) != size:
        raise ShapeError(
            f"run lengths of size {str(own)[:40]} in an image of {list(size)} (height, width); export "
            "it again"
        )
    return size


def _images(samples: Sequence[Sample]) -> list[Path]:
    """All images in the folders of those that are used."""
    return [
        image
        for folder in sorted({first_file(each.image).parent for each in samples})
        for image in image_files(folder)
    ]
