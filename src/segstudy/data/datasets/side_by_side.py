"""Images and their masks in one folder, told apart by an ending or by the suffix.

Layouts, each at the top or inside other folders, one level down::

    DATA/a.jpg         DATA/a_image.png     DATA/a.jpg    DATA/train/a_jpg.rf.0c1d.jpg
    DATA/a_mask.png    DATA/a_mask.png      DATA/a.png    DATA/train/a_jpg.rf.0c1d_mask.png
                                                          DATA/train/_classes.csv

The last is Roboflow's export of semantic masks; its ``_classes.csv`` names the numbers in the masks.
Endings of masks are ``_mask``, ``_seg``, ``_segmentation``, ``_label``, ``_gt`` and the like. Without any
ending, JPEG files are images and PNG files of the same names their masks.

In all else it is as ``folder``: several masks of an image, groups by folder, ``metadata.csv``, ids.

Quirks: every image in these folders is used, or counted with the reason. There are no terms and no citation.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from segstudy.data.datasets.annotation_files import folders_in
from segstudy.data.datasets.class_table import class_tables, names_in
from segstudy.data.datasets.folder_files import FolderFiles
from segstudy.data.datasets.folder_names import MASK_NAMES, called, holds_images
from segstudy.data.datasets.mask_names import is_named_mask, masks_by_image
from segstudy.data.datasets.paired_reading import Place, read_places
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.subsets import subsets_of
from segstudy.data.image_formats import image_suffix, stem_of
from segstudy.data.samples import Dataset

DESCRIPTION = "one folder with NAME.jpg and NAME_mask.png (or _seg, _gt, ...), or NAME.jpg and NAME.png"
LOOKED_AT = 2_000  # entries of a folder
BOTH_FRAC = 0.9  # of the names, those with both suffixes where nothing else tells masks from images


def detect(root: Path) -> bool:
    """Whether images and masks lie together, here or in the folders within."""
    return bool(_places(root))


def read(root: Path) -> Dataset:
    """Pair each image with the mask beside it."""
    folders = _places(root)
    subsets = subsets_of({folder.name for folder in folders if folder != root}, str(root))
    places = []
    for folder in folders:
        images, masks = _told_apart(image_files(folder))
        name = folder.name if folder != root else ""
        place = Place(FolderFiles(folder, images), FolderFiles(folder, masks), name, subsets.get(name))
        places.append(place)
    dataset = read_places(root, "side_by_side", places)
    classes = class_tables(folders)
    return replace(dataset, class_names=names_in(classes), tables=(*dataset.tables, *classes))


def _places(root: Path) -> list[Path]:
    if _has_both(root):
        return [root]
    folders = [folder for folder in folders_in(root) if holds_images(folder, depth=1)]
    inside = [folder for folder in folders if _has_both(folder)]
    if called(folders, MASK_NAMES) or len(inside) <= len(folders) / 2:
        return []
    return inside


def _told_apart(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The images and the masks among files of one folder.

    Masks are those with an ending; without any, the PNG files where there is a JPEG file of the same name.
    """
    masks = [file for file in files if is_named_mask(stem_of(file.name))]
    if not masks:
        photographs = {file.stem for file in files if file.suffix.lower() in (".jpg", ".jpeg")}
        masks = [file for file in files if file.suffix.lower() == ".png" and file.stem in photographs]
    among = set(masks)
    return [file for file in files if file not in among], masks


def _has_both(folder: Path) -> bool:
    """Whether some image has a mask beside it, among the first files of a folder."""
    try:
        with os.scandir(folder) as entries:
            names = [Path(entry.name) for entry in islice(entries, LOOKED_AT)]
    except OSError:
        return False
    files = [name for name in names if image_suffix(name.name) and name.name[0] != "."]
    stems = {stem_of(file.name) for file in files}
    masks = [stem for stem in stems if is_named_mask(stem)]
    if masks:
        others = {stem: [Path(stem)] for stem in stems - set(masks)}
        named = masks_by_image({stem: [Path(stem)] for stem in masks}, others)
        return bool(named.of_image.keys() & others.keys())
    by_suffix = [
        {file.stem for file in files if file.suffix.lower() in s} for s in ((".jpg", ".jpeg"), (".png",))
    ]
    both = by_suffix[0] & by_suffix[1]
    return len(both) > 1 and len(both) >= BOTH_FRAC * len(stems)
