"""Pascal VOC's folders, which CVAT and others export too.

Layout::

    DATA/JPEGImages/2007_000032.jpg
    DATA/SegmentationClass/2007_000032.png      or SegmentationClassPNG/, as labelme writes it
    DATA/ImageSets/Segmentation/train.txt       (optional) the names in each part; also val.txt and test.txt
    DATA/labelmap.txt                           (optional, of CVAT) the colour of each class: name:r,g,b::
    DATA/class_names.txt                        (optional, of labelme) the names of the numbers, from 0

Masks are palettes of class numbers, or colours that ``labelmap.txt`` names. In VOC's own masks 255 is a
border between objects that belongs to no class; it is named where a mask is refused for its several
classes.

Quirks: VOC has masks for some of its images only, so those without one are a note. ``SegmentationObject``
holds numbers of objects and is not used.

Cite: M. Everingham et al. The Pascal Visual Object Classes (VOC) challenge. IJCV 88, 303-338, 2010.
"""

import re
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.data.datasets.annotation_files import lines_in, named, stem_in
from segstudy.data.datasets.folder_files import files_in
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.subsets import subset_named
from segstudy.data.samples import Dataset, Part, Problem, Sample

DESCRIPTION = (
    "Pascal VOC's or CVAT's JPEGImages/ and SegmentationClass/, with ImageSets/Segmentation/ and labelmap.txt"
)
MASKS = ("SegmentationClass", "SegmentationClassPNG")
LISTS = Path("ImageSets", "Segmentation")
BORDER = (255, "the border between objects, of no class")

ClassNames = tuple[tuple[int | str, str], ...]


def detect(root: Path) -> bool:
    """Whether the folders of images and masks are there under VOC's names."""
    return (root / "JPEGImages").is_dir() and _masks(root) is not None


def read(root: Path) -> Dataset:
    """Pair by stem; the lists give the parts.

    Raises:
        UserError: a list or a table of colours that cannot be read.
    """
    folder = _masks(root)
    assert folder is not None, "read() comes after detect()"
    images, masks = (_by_stem(each) for each in (root / "JPEGImages", folder))
    parts, problems = _parts(root)
    samples = [
        Sample(stem, images[stem], masks[stem], group=stem, part=parts.get(stem.rpartition("/")[2]))
        for stem in images.keys() & masks.keys()
    ]
    for stem in sorted(masks.keys() - images.keys()):
        where = masks[stem].relative_to(root).as_posix()
        problems.append(Problem("warning", "unpaired mask", where, "no image of that name; left out"))
    problems += _without_mask(root, sorted(images.keys() - masks.keys()), set(parts))
    return dataset_of(root, "voc", samples, problems, images.values(), _class_names(root))


def _by_stem(folder: Path) -> dict[str, Path]:
    """Files by path in a folder without suffix: CVAT keeps the folders of the images."""
    return {stem_in(folder, file): file for file in files_in(folder).images}


def _masks(root: Path) -> Path | None:
    return next((root / name for name in MASKS if (root / name).is_dir()), None)


def _without_mask(root: Path, stems: list[str], listed: set[str]) -> list[Problem]:
    """A warning for each image that a list names, a note on all others together."""
    problems = [
        Problem("warning", "unpaired image", f"JPEGImages/{stem}", "no mask of that name; left out")
        for stem in stems
        if stem in listed or not listed
    ]
    if others := [stem for stem in stems if listed and stem not in listed]:
        detail = f"{counted(len(others), 'image')} without a mask, which no list names: {named(others, 3)}"
        problems.append(Problem("note", "images without masks", root.resolve().name, detail))
    return problems


def _parts(root: Path) -> tuple[dict[str, Part], list[Problem]]:
    """The part of each name that a list holds."""
    parts: dict[str, Part] = {}
    problems: list[Problem] = []
    for file in sorted((root / LISTS).glob("*.txt")):
        part = subset_named(file.stem)
        if part is None:
            continue
        for line in map(str.strip, lines_in(file)):
            stem = re.sub(r"\.(jpe?g|png)$", "", line.split()[0].rpartition("/")[2], flags=re.IGNORECASE)
            if parts.setdefault(stem, part) != part:
                detail = f"in the lists of {parts[stem]} and of {part}; remove it from one"
                problems.append(Problem("error", "image in two parts", stem, detail))
    return parts, problems


def _class_names(root: Path) -> ClassNames:
    if (file := root / "labelmap.txt").is_file():
        return tuple(_colours(file))
    if (file := root / "class_names.txt").is_file():
        names = [line for line in map(str.strip, lines_in(file)) if line != "__ignore__"]
        return tuple((number, name) for number, name in enumerate(names) if number)
    return (BORDER,)


def _colours(file: Path) -> list[tuple[int | str, str]]:
    found: list[tuple[int | str, str]] = []
    for line in map(str.strip, lines_in(file)):
        if line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        numbers = rest.partition(":")[0].split(",")
        if len(numbers) != 3 or not all(each.strip().isdecimal() and int(each) < 256 for each in numbers):
            raise UserError(f"{file}: must have lines such as lesion:250,50,83::, got {line[:60]!r}")
        found.append(("#" + bytes(int(each) for each in numbers).hex(), name))
    return found
