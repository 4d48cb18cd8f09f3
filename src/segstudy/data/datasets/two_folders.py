"""Images and masks in two folders of other names than the ``folder`` reader's.

Layouts, each at the top or inside the folders of official subsets::

    DATA/images/a.jpg      DATA/imgs/a.jpg         DATA/img_dir/train/a.jpg    DATA/train/a.jpg
    DATA/labels/a.png      DATA/masks/a_mask.gif   DATA/ann_dir/train/a.png    DATA/train_masks/a_mask.gif

These are what Pytorch-UNet, mmsegmentation, Carvana, CamVid and many others use. Names count in any case, see
``folder_names``; there has to be just one folder of images and one of masks. In all else it is as ``folder``:
subfolders, endings, several masks of an image, ``metadata.csv``, ids.

Quirks: every file in these folders is used, or counted with the reason. There are no terms and no citation.
"""

from collections.abc import Sequence
from pathlib import Path

from segstudy.data.datasets.annotation_files import folders_in
from segstudy.data.datasets.folder_files import files_in
from segstudy.data.datasets.folder_names import IMAGE_NAMES, MASK_NAMES, called, holds_images
from segstudy.data.datasets.paired_reading import Place, read_places
from segstudy.data.datasets.subsets import is_subset_word, subset_named, subsets_of
from segstudy.data.samples import Dataset

DESCRIPTION = (
    "two folders of other names, such as images/ and labels/, imgs/ and masks/, img_dir/ and ann_dir/, "
    "train/ and train_masks/"
)
BESIDE = ("_masks", "_mask", "_labels", "_label", "annot", "_annot", "_annotations", "_gt", "_groundtruth")

Pair = tuple[Path, Path, str]


def detect(root: Path) -> bool:
    """Whether some folder of images has one of masks beside it, under names that are not the usual two."""
    return bool(_pairs(root))


def read(root: Path) -> Dataset:
    """Pair images with masks by their paths in the two folders, without suffix."""
    pairs = _pairs(root)
    subsets = subsets_of({name for *_, name in pairs if name}, str(root))
    places = [
        Place(files_in(images), files_in(masks), name, subsets.get(name)) for images, masks, name in pairs
    ]
    return read_places(root, "two_folders", places)


def _pairs(root: Path) -> list[Pair]:
    """Folders of images and of masks, with the beginning of their ids."""
    folders = folders_in(root)
    if pair := _pair_of_names(folders):
        return [(*pair, "")]
    inside = [(_pair_of_names(folders_in(each)), each) for each in folders if is_subset_word(each.name)]
    found = [(*pair, folder.name) for pair, folder in inside if pair]
    return found or _beside(folders)


def _pair_of_names(folders: Sequence[Path]) -> tuple[Path, Path] | None:
    """The folder of images and that of masks; None where there are several, or the usual ones."""
    images, masks = called(folders, IMAGE_NAMES), called(folders, MASK_NAMES)
    if len(images) != 1 or len(masks) != 1:
        return None
    is_usual = (images[0].name.lower(), masks[0].name.lower()) == ("images", "masks")
    if is_usual or not holds_images(images[0]) or not holds_images(masks[0]):
        return None
    return images[0], masks[0]


def _beside(folders: Sequence[Path]) -> list[Pair]:
    """``train/`` and ``train_masks/``, and the like."""
    by_name = {folder.name.lower(): folder for folder in folders}
    pairs = [
        (folder, by_name[name + ending])
        for name, folder in sorted(by_name.items())
        for ending in BESIDE
        if name + ending in by_name
    ]
    pairs = [pair for pair in pairs if all(map(holds_images, pair))]
    is_alone = len(pairs) == 1 and not subset_named(pairs[0][0].name)
    return [(images, masks, "" if is_alone else images.name) for images, masks in pairs]
