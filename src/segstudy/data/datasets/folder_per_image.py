"""A folder per image, with a mask file for each object: the Data Science Bowl 2018 and its like.

Layout::

    DATA/00ae65/images/00ae65.png
    DATA/00ae65/masks/07a9bf.png, 0e548d.png, ...

or ``DATA/00ae65/image.png`` and ``DATA/00ae65/mask.png``; also inside ``stage1_train/``. A sample's mask is
all of its files together, see ``sources.Merged``; its id is the folder's name. Files have to be black and
white, or grey with 0 for background.

Quirks: folders of images without masks, as in ``stage1_test/``, are counted. The Bowl's images are RGBA.
"""

import re
from pathlib import Path

from segstudy.core.quantities import counted
from segstudy.data.datasets.annotation_files import folders_in, named
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.subsets import subset_named
from segstudy.data.image_formats import stem_of
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.sources import MaskSource, Merged

DESCRIPTION = (
    "a folder per image with images/ and masks/, a mask file per object, as in the Data Science Bowl 2018"
)
WITHIN = ("stage1_train", "train", "training")
IMAGE = ("image", "img", "photo", "original", "input")
MASK = re.compile(r"(mask|label|seg|segmentation|gt)([ _-]?[0-9]+)?", re.IGNORECASE)
LOOKED_AT = 20


def detect(root: Path) -> bool:
    """Whether there are folders that each hold one image and its masks."""
    return _top(root) is not None


def read(root: Path) -> Dataset:
    """One sample a folder."""
    top = _top(root)
    assert top is not None, "read() comes after detect()"
    samples: list[Sample] = []
    problems: list[Problem] = []
    left: list[Path] = []
    for folder in folders_in(top):
        if any(_files(folder)):
            found = _sample(root, folder)
            if isinstance(found, Sample):
                samples.append(found)
            else:
                problems.append(found)
                left += _files(folder)[0]
    others = [folder.name for folder in folders_in(root) if folder != top] if top != root else []
    if others:
        detail = f"{counted(len(others), 'folder')} beside {top.name} not used: {named(others)}"
        problems.append(Problem("warning", "folder not used", root.resolve().name, detail))
    num_files = sum(len(s.mask.files) for s in samples if isinstance(s.mask, Merged))
    if num_files:
        detail = f"{counted(num_files, 'mask file')}, one per object; those of an image count as one mask"
        problems.append(Problem("note", "masks merged", root.resolve().name, detail))
    return dataset_of(root, "folder_per_image", samples, problems, left)


def _top(root: Path) -> Path | None:
    """The folder that holds a folder per image."""
    for folder in (root, *(root / name for name in WITHIN)):
        if not folder.is_dir():
            continue
        inside = [each for each in folders_in(folder)[:LOOKED_AT] if not subset_named(each.name)]
        if any(len(images) == 1 and masks for images, masks in map(_files, inside)):
            return folder
    return None


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images and masks of a folder for one image: in folders, or under names that say which they are."""
    inner = {each.name: each for each in folders_in(folder)}
    if "images" in inner or "masks" in inner:
        images, masks = (image_files(inner[name]) if name in inner else [] for name in ("images", "masks"))
        return images, masks
    files = image_files(folder)
    images = [each for each in files if stem_of(each.name).lower() in IMAGE]
    return images, [each for each in files if MASK.fullmatch(stem_of(each.name))]


def _sample(root: Path, folder: Path) -> Sample | Problem:
    images, masks = _files(folder)
    where = folder.relative_to(root).as_posix()
    if len(images) > 1:
        detail = f"{len(images)} images in one folder with masks: whose are they? Leave one there"
        return Problem("error", "several images in a folder", where, detail)
    if not images or not masks:
        kind = "unpaired image" if images else "unpaired mask"
        return Problem("warning", kind, where, f"no {'mask' if images else 'image'} in this folder; left out")
    source: MaskSource = masks[0] if len(masks) == 1 else Merged(tuple(masks))
    return Sample(folder.name, images[0], source, group=folder.name)
