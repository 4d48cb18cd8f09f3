"""DICOM images with segmentations as DICOM-SEG, in any folders.

Layout::

    DATA/.../any.dcm     images, one per file
    DATA/.../any.dcm     segmentations, each of many images

Files may lack a suffix. A segmentation says by UID on which image each of its frames was made, so names and
folders do not count. The numbers of its segments are the classes. An image that a segmentation refers to
without a frame has an empty mask; one that no segmentation refers to is left out, with a warning.

Ids are the paths of the images without suffix. There are no terms and no citation.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.quantities import and_more, counted
from segstudy.data.datasets.annotation_files import stem_in
from segstudy.data.datasets.folder_files import account, files_in, passed_over_problems
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.dicom_files import SEGMENTATIONS, meta_of
from segstudy.data.image_formats import FORMATS, without_package
from segstudy.data.images import ImageError, num_frames
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.sources import Frame, first_file

DESCRIPTION = "DICOM images with DICOM-SEG files that name them, in any folders"
LOOKED_AT = 5_000  # DICOM files, to find a segmentation
ENTRIES = 20_000  # of folders, in which they are looked for
FEW = 100  # files, of which nothing is said yet
DEPTH = 8
NAMED = 5


@dataclass
class _Found:
    """The DICOM files of a folder, and what their segmentations say.

    Attributes:
        root: of the data set.
        images: by UID.
        segmentations: in the order of their names.
        samples: by id.
        names: of segments, by number.
        problems: in the order in which they are met.
    """

    root: Path
    images: dict[str, Path] = field(default_factory=dict)
    segmentations: list[Path] = field(default_factory=list)
    samples: dict[str, Sample] = field(default_factory=dict)
    names: dict[int | str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, kind: str, file: Path, detail: str, *, is_error: bool = True) -> None:
        """Note what is wrong with a file."""
        where = file.relative_to(self.root).as_posix()
        self.problems.append(Problem("error" if is_error else "warning", kind, where, detail))


def detect(root: Path) -> bool:
    """Whether there is a segmentation among the DICOM files, by the class that their headers name."""
    for file in islice(_dicom_names(root), LOOKED_AT):
        meta = meta_of(file)
        if meta is not None and meta.sop_class in SEGMENTATIONS:
            return True
    return False


def read(root: Path) -> Dataset:
    """Find the image of each frame of the segmentations.

    Raises:
        UserError: pydicom is missing.
    """
    if missing := without_package(FORMATS["DICOM"]):
        raise UserError(f"{root}: holds DICOM-SEG, each file {missing}")
    there, found = files_in(root), _Found(root)
    for file in there.images:
        _add_file(file, found)
    for file in found.segmentations:
        _add_samples(file, found)
    found.problems += passed_over_problems(root, [there])
    _add_without_mask(found)
    images = found.images.values()
    names = tuple(found.names.items())
    dataset = dataset_of(root, "dicom_seg", found.samples.values(), found.problems, images, names)
    used = {*found.segmentations, *(first_file(sample.image) for sample in dataset.samples)}
    return replace(dataset, account=account("the data set's folder", [there], used))


def _dicom_names(root: Path) -> Iterator[Path]:
    """Files that may be DICOM by their names, where at least half of a folder's files are."""
    num_files = num_dicom = 0
    for above, folders, files in os.walk(root):
        level = len(Path(above).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if name[0] != ".") if level < DEPTH else []
        named = [name for name in sorted(files) if _is_dicom_name(name)]
        num_files, num_dicom = num_files + len(files), num_dicom + len(named)
        if num_files > ENTRIES or (num_files > FEW and 2 * num_dicom < num_files):
            return
        yield from (Path(above, name) for name in named)


def _is_dicom_name(name: str) -> bool:
    suffix = Path(name).suffix.lower()
    return suffix in (*FORMATS["DICOM"].suffixes, ".ima", "") or suffix[1:].isdecimal()


def _add_file(file: Path, found: _Found) -> None:
    meta = meta_of(file)
    if meta is None:
        return
    if meta.sop_class in SEGMENTATIONS:
        found.segmentations.append(file)
    elif (other := found.images.setdefault(meta.instance, file)) != file:
        first = other.relative_to(found.root).as_posix()
        detail = f"the same image (SOPInstanceUID) as {first}; remove one of the two"
        found.add_problem("two files of one image", file, detail)


def _add_samples(file: Path, found: _Found) -> None:
    """Add the images that a segmentation refers to, and what is wrong with it."""
    from segstudy.data.dicom_segmentation import by_image, read_segmentation  # imports pydicom

    try:
        segmentation = read_segmentation(file)
    except ImageError as error:
        found.add_problem("unusable segmentation", file, error.detail)
        return
    for number, name in segmentation.names:
        if found.names.setdefault(number, name) != name:
            other = found.names[number]
            detail = f"segment {number} is {name} here and {other} in another file; number them alike"
            found.add_problem("segments differ", file, detail)
    if missing := len(segmentation.images - found.images.keys()):
        detail = f"{counted(missing, 'image')} that it refers to are not in the folder; left out"
        found.add_problem("unpaired segmentation", file, detail, is_error=False)
    frames = by_image(segmentation)
    for uid in sorted(segmentation.images & found.images.keys()):
        for sample in _samples_of(file, found, uid, (segmentation, frames)):
            if found.samples.setdefault(sample.id, sample) != sample:
                first = first_file(found.samples[sample.id].mask).relative_to(found.root).as_posix()
                detail = (
                    f"a second segmentation of {sample.id} beside {first}; which is meant? Remove the other"
                )
                found.add_problem("two masks for one image", file, detail)


def _samples_of(file: Path, found: _Found, uid: str, said: tuple[Any, Any]) -> Iterator[Sample]:
    """The samples of one image: one for each of its frames."""
    from segstudy.data.dicom_segmentation import SegmentedImage, misplaced  # imports pydicom

    segmentation, frames = said
    image = found.images[uid]
    try:
        number = num_frames(image)
    except ImageError:  # `check` says what is wrong with it
        number = 1
    name = stem_in(found.root, image)
    for i in range(number):
        own = frames.get((uid, i + 1), ())
        if detail := misplaced(own, image):
            where = image.relative_to(found.root).as_posix()
            detail = (
                f"{detail} ({where}): one would lie mirrored or shifted; export it on the original images"
            )
            found.add_problem("misplaced segmentation", file, detail)
            return
        mask = SegmentedImage(file, segmentation.size, own, segmentation.largest, segmentation.label_map)
        sample_id = name if number == 1 else f"{name}/frame-{i + 1:03d}"
        yield Sample(sample_id, image if number == 1 else Frame(image, i), mask, group=name)


def _add_without_mask(found: _Found) -> None:
    """A warning of images that no segmentation refers to."""
    used = {first_file(sample.image) for sample in found.samples.values()}
    without = [file for file in found.images.values() if file not in used]
    if without:
        names = ", ".join(file.relative_to(found.root).as_posix() for file in without[:NAMED])
        detail = (
            f"{counted(len(without), 'image')} ({names}{and_more(len(without) - NAMED)}) that no segmentation"
        )
        found.problems.append(
            Problem(
                "warning", "images without masks", found.root.resolve().name, f"{detail} refers to; left out"
            )
        )
