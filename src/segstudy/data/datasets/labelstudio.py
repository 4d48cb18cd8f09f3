"""Label Studio's export of brush masks as PNG.

Layout::

    DATA/images/c0.jpg
    DATA/masks/task-7-annotation-12-by-1-tag-lesion-0.png      one per task, annotation, tag and region
    DATA/project.json                                          the export as JSON, of the same project

The names of the masks say the number of the task, not the image; the JSON export says which image a task is.
Without it the data are refused. The masks of one image are merged. Several tags become numbers, from 1 in
the order of the alphabet; which of them are foreground has to be named. Annotations by several people are
refused: they would have to be told apart.

Quirks: Label Studio puts eight hexadecimal digits before the name of a file that is uploaded.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.input_files import MB, read_bytes
from segstudy.data.datasets.annotation_files import folders_in, head_of, named, read_json_value, some_files
from segstudy.data.datasets.described import class_names, numbered, unusable
from segstudy.data.datasets.folder_files import OTHER_NAME, account, files_in
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.images import ImageError, image_size
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.shapes import Drawing, ShapeError, patch
from segstudy.data.sources import MaskSource, Merged

DESCRIPTION = "Label Studio's brush masks, task-*-annotation-*-tag-*.png, with its JSON export and images/"
MASK = re.compile(r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-(?P<by>.+?)-tag-(?P<tag>.+)-(\d+)")
MAX_PNG_BYTES = 64 * MB
UPLOADED = re.compile(r"^[0-9a-f]{8}-")


def detect(root: Path) -> bool:
    """Whether masks have Label Studio's names, here or in a folder."""
    return _masks_folder(root) is not None


def read(root: Path) -> Dataset:
    """Find the image of every task.

    Raises:
        UserError: no JSON export beside the masks, or several annotations of one task.
    """
    folder = _masks_folder(root)
    assert folder is not None, "read() comes after detect()"
    masks = [(found, file) for file in image_files(folder) if (found := MASK.fullmatch(file.stem))]
    _refuse_several(root, [found for found, _ in masks])
    files: dict[str, list[Path]] = defaultdict(list)
    for found, file in masks:
        files[found["task"]].append(file)
    tags = {file: found["tag"] for found, file in masks}
    numbers = numbered(tags.values())
    names = _image_names(root)
    images = {file.name: file for each in [root, *folders_in(root)] for file in image_files(each)}
    samples, problems = [], []
    in_use: list[Path] = []
    for task, own in files.items():
        image = _image_of(names.get(task, ""), images)
        if image is None:
            where = own[0].relative_to(root).as_posix()
            detail = f"no image {names.get(task, 'of task ' + task)}; left out"
            problems.append(Problem("warning", "unpaired mask", where, detail))
            continue
        try:
            source = _source(image, sorted(own), {file: numbers[tags[file]] for file in own}, len(numbers))
        except (OSError, ShapeError, ImageError) as error:
            reason = getattr(error, "detail", None) or getattr(error, "strerror", None) or error
            problems.append(unusable(root, own[0], reason))
            continue
        samples.append(Sample(image.stem, image, source, group=image.stem))
        in_use += [image, *own]
    used = {sample.image for sample in samples} | {file for own in files.values() for file in own}
    left = sorted(set(images.values()) - used)
    for image in left:
        where = image.relative_to(root).as_posix()
        problems.append(Problem("warning", "unpaired image", where, "no mask of that task; left out"))
    dataset = dataset_of(root, "labelstudio", samples, problems, left, class_names(numbers))
    others = dict.fromkeys(left, OTHER_NAME)
    return replace(dataset, account=account("the data set's folder", [files_in(root)], in_use, others))


def _source(image: Path, files: Sequence[Path], numbers: Mapping[Path, int], num_tags: int) -> MaskSource:
    """The masks of an image as one; of several tags with a number for each, the later over the earlier.

    Raises:
        OSError: a file that cannot be read.
        ShapeError: a file that is no mask, or not of the image's size.
        ImageError: the image cannot be read.
    """
    if num_tags == 1:
        return files[0] if len(files) == 1 else Merged(tuple(files))
    shapes = tuple(patch(numbers[file], read_bytes(file, MAX_PNG_BYTES), 0, 0) for file in files)
    size = image_size(image)
    if other := next((shape.shape for shape in shapes if shape.shape != size), None):
        raise ShapeError(f"a mask of {other[1]} x {other[0]} for an image of {size[1]} x {size[0]} pixels")
    return Drawing(files[0], image.name, size, image, shapes)


def _masks_folder(root: Path) -> Path | None:
    usual = re.compile("mask|label|brush|annot|export", re.IGNORECASE)
    for folder in (root, *(each for each in folders_in(root) if usual.search(each.name))):
        if any(MASK.fullmatch(file.stem) for file in some_files(folder, ".png")):
            return folder
    return None


def _refuse_several(root: Path, masks: list[re.Match[str]]) -> None:
    """Several annotators: which masks are meant?"""
    by_task: dict[str, set[str]] = defaultdict(set)
    for found in masks:
        by_task[found["task"]].add(found["annotation"])
    if several := [task for task, annotations in by_task.items() if len(annotations) > 1]:
        raise UserError(
            f"{root}: Label Studio's tasks {named(several)} have masks of several annotations; move "
            "those of all "
            "but one annotation of each task away"
        )


def _image_names(root: Path) -> Mapping[str, str]:
    """The image's file name by the number of the task, from the JSON export.

    Raises:
        UserError: there is none.
    """
    for file in some_files(root, ".json"):
        if '"id"' in head_of(file):
            content = read_json_value(file)
            if isinstance(content, list):
                return {
                    str(task["id"]): _name_in(task)
                    for task in content
                    if isinstance(task, dict) and "id" in task
                }
    raise UserError(
        f"{root}: the masks have Label Studio's names, which say the number of the task and not "
        "the image; export the project as JSON too and put that file beside the folders, or rename "
        "each mask to its image's name"
    )


def _name_in(task: Mapping[str, Any]) -> str:
    """The file name of a task's image."""
    data = task.get("data")
    values = list(data.values()) if isinstance(data, dict) else [task.get("image")]
    texts = [value for value in [task.get("file_upload"), *values] if isinstance(value, str)]
    paths = [re.split(r"[?#]", text)[0].replace("\\", "/").rpartition("/")[2] for text in texts]
    return next((name for name in paths if re.search(r"\.\w{3,4}$", name)), "")


def _image_of(name: str, images: Mapping[str, Path]) -> Path | None:
    return images.get(name) or images.get(UPLOADED.sub("", name))
