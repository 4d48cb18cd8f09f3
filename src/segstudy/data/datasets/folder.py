"""Plain folders: ``images/`` and ``masks/``, at the top or inside official subsets.

Layout, one of::

    DATA/images/a.jpg              DATA/train/images/a.jpg        DATA/images/train/a.jpg
    DATA/masks/a.png               DATA/train/masks/a.png         DATA/masks/train/a.png
    DATA/metadata.csv  (optional)  DATA/val/...   DATA/test/...   DATA/images/val/...

Names of these folders are understood in any case; subsets may have any of the usual words (``subsets``), such
as ``training``, ``valid``, ``dev``, ``holdout``. Subfolders of images and masks are read too.

An image and its mask have the same path in their folders, without suffix; the mask's name may end in
``_mask`` or ``_segmentation``. An image may have several masks, one per object (``mask_names``): they are
merged.

``metadata.csv`` has a column ``id`` and any of ``group`` (or ``patient``, ``patient_id``, ``subject``,
``subject_id``, ``lesion_id`` and others), ``category`` and ``part`` (or ``split``, ``subset``, ``set``,
``partition``), see ``metadata``. Each subset's folder may have its own. Further columns are not used, which
``check`` says. Without a column for groups, subfolders whose names say that they are patients are the groups.

``_classes.csv`` at the top may name the numbers in the masks (``class_table``).

Ids are those paths; in official subsets they begin with the subset's folder, as ``train/0001``, because data
sets often number each subset from 1. ``metadata.csv`` may leave that beginning out, and may name files.

Quirks: every file in these folders is used, or counted with the reason. There are no terms and no citation.
"""

from dataclasses import replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.data.datasets.class_table import class_tables, names_in
from segstudy.data.datasets.folder_files import files_in
from segstudy.data.datasets.paired_folders import has_pairs, paired_folders, subfolders
from segstudy.data.datasets.paired_reading import Place, read_places
from segstudy.data.datasets.subsets import is_subset_word, subsets_of
from segstudy.data.datasets.unused_folders import unused_folders
from segstudy.data.samples import PARTS, Dataset, Part

DESCRIPTION = "images/ and masks/ with equal file names, at the top or inside train/, val/, test/"


def detect(root: Path) -> bool:
    """Whether there is ``images/`` beside ``masks/``, here or in a subset's folder."""
    return has_pairs(root) or any(has_pairs(each) for each in subfolders(root) if is_subset_word(each.name))


def read(root: Path) -> Dataset:
    """Pair images with masks by their paths and apply ``metadata.csv``.

    Raises:
        UserError: both layouts at once, two folders for one subset, or a metadata.csv without ids.
    """
    subsets = _subset_folders(root)
    if subsets and has_pairs(root):
        first = next(iter(subsets))
        raise UserError(
            f"{root}: holds images/ as well as {first}/images/; leave one of the two layouts there"
        )
    places = [_place(root / name, name, part) for name, part in subsets.items()] or [_place(root)]
    unused = unused_folders(root, [root / name for name in subsets] or [root])
    dataset, classes = read_places(root, "folder", places, unused), class_tables([root])
    return replace(dataset, class_names=names_in(classes), tables=(*dataset.tables, *classes))


def _place(folder: Path, name: str = "", part: Part | None = None) -> Place:
    pairs = paired_folders(folder)
    assert pairs.images is not None
    assert pairs.masks is not None
    return Place(files_in(pairs.images), files_in(pairs.masks), name, part)


def _subset_folders(root: Path) -> dict[str, Part]:
    """The folders of official subsets, in the order train, validation, test."""
    names = [each.name for each in subfolders(root) if is_subset_word(each.name) and has_pairs(each)]
    found = subsets_of(names, str(root))
    return dict(sorted(found.items(), key=lambda item: PARTS.index(item[1])))
