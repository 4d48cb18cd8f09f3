"""Images and masks in two folders of other names than the ``folder`` reader's.

Layouts, each at the top or inside the folders of official subsets::

    DATA/images/a.jpg      DATA/imgs/a.jpg         DATA/img_dir/train/a.jpg    DATA/train/a.jpg
    DATA/labels/a.png      DATA/masks/a_mask.gif   DATA/ann_dir/train/a.png    DATA/train_masks/a_mask.gif

also ``train_images/`` and ``train_masks/``, ``images_train/`` and ``masks_train/``, ``trainannot/``.

These are what Pytorch-UNet, mmsegmentation, Carvana, CamVid and many others use. Names count in any case, see
``folder_names``; there has to be just one folder of images and one of masks. In all else it is as ``folder``:
subfolders, endings, several masks of an image, ``metadata.csv``, ids.

Quirks: every file in these folders is used, or counted with the reason. There are no terms and no citation.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from segstudy.data.datasets.annotation_files import folders_in
from segstudy.data.datasets.folder_files import files_in
from segstudy.data.datasets.folder_names import (
    FIRST_MASK_NAMES,
    IMAGE_NAMES,
    MASK_NAMES,
    MASK_WORD,
    OTHER_WORD,
    called,
    holds_images,
)
from segstudy.data.datasets.paired_reading import Place, read_places
from segstudy.data.datasets.subsets import is_subset_word, subsets_of
from segstudy.data.samples import Dataset

DESCRIPTION = (
    "two folders of other names, such as images/ and labels/, imgs/ and masks/, img_dir/ and ann_dir/, "
    "train/ and train_masks/"
)
IMAGE_WORDS = ("images", "image", "imgs", "img", "frames", "x", "volume", "photos", "input", "inputs")
DEPTH = 3
MASK_WORDS = (
    *("lab", "labs", "y"),
    *("masks", "mask", "labels", "label", "annot", "annotations", "annotation", "gt", "groundtruth"),
    *("segmentation", "segmentations", "seg", "target", "targets"),
)
GLUED = re.compile("(.+[a-z])annot")

Triple = tuple[Path, Path, str]


def detect(root: Path) -> bool:
    """Whether some folder of images has one of masks beside it, under names that are not the usual two."""
    return bool(_pairs(root))


def read(root: Path) -> Dataset:
    """Pair images with masks by their paths in the two folders, without suffix."""
    pairs = _pairs(root)
    subsets = subsets_of({word for *_, word in pairs}, str(root))
    is_alone = len(pairs) == 1 and not subsets
    places = [
        Place(files_in(images), files_in(masks), "" if is_alone else _name(root, images), subsets.get(word))
        for images, masks, word in pairs
    ]
    return read_places(root, "two_folders", places)


def _name(root: Path, images: Path) -> str:
    """What ids begin with: the outermost folder of the images."""
    return images.relative_to(root).parts[0]


def by_word(root: Path) -> bool:
    """Whether only a word in the name of a folder says that it holds masks."""
    return _found(root)[1]


def _pairs(root: Path) -> list[Triple]:
    """Folders of images and of masks, with the word that may say their subset."""
    return _found(root)[0]


def _found(root: Path) -> tuple[list[Triple], bool]:
    """The pairs, and whether they were found by words alone."""
    folders = folders_in(root)
    if pair := _pair_of_names(folders):
        return [(*pair, "")], False
    for pair_in in (_pair_of_names, _pair_of_words):
        inside = [(pair_in(folders_in(each)), each) for each in folders if is_subset_word(each.name)]
        if found := [(*pair, folder.name) for pair, folder in inside if pair]:
            return found, pair_in is _pair_of_words
    if found := _beside(folders):
        return found, False
    pair = _pair_of_words(folders)
    return ([(*pair, "")] if pair else []), pair is not None


def _pair_of_names(folders: Sequence[Path]) -> tuple[Path, Path] | None:
    """The folder of images and that of masks; None where there are several, or the usual ones."""
    images = called(folders, IMAGE_NAMES)
    masks = called(folders, FIRST_MASK_NAMES) or called(folders, MASK_NAMES)
    if len(images) != 1 or len(masks) != 1:
        return None
    if (
        _is_usual(images[0], masks[0])
        or not holds_images(images[0], DEPTH)
        or not holds_images(masks[0], DEPTH)
    ):
        return None
    return images[0], masks[0]


def _pair_of_words(folders: Sequence[Path]) -> tuple[Path, Path] | None:
    """The one folder of images whose name says that it holds masks, and the only other one."""
    filled = [each for each in folders if not OTHER_WORD.search(each.name) and holds_images(each, DEPTH)]
    masks = [each for each in filled if MASK_WORD.search(each.name)]
    if len(masks) != 1 or len(filled) != 2 or any(is_subset_word(each.name) for each in filled):
        return None
    images = next(each for each in filled if each != masks[0])
    return None if _is_usual(images, masks[0]) else (images, masks[0])


def _is_usual(images: Path, masks: Path) -> bool:
    return (images.name.lower(), masks.name.lower()) == ("images", "masks")


def _beside(folders: Sequence[Path]) -> list[Triple]:
    """``train/`` and ``train_masks/``, ``train_images/`` and ``train_masks/``, and the like."""
    kinds: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for folder in folders:
        rest, kind = _rest(folder.name.lower())
        kinds[rest][kind].append(folder)
    pairs = []
    for rest, found in sorted(kinds.items()):
        images, masks = found["images"] or found[""], found["masks"]
        if len(images) == len(masks) == 1 and holds_images(images[0]) and holds_images(masks[0]):
            pairs.append((images[0], masks[0], rest))
    return pairs


def _rest(name: str) -> tuple[str, str]:
    """``train_masks`` and ``masks_train`` as train and masks; ``train`` as train and nothing."""
    if match := GLUED.fullmatch(name):
        return match[1], "masks"
    words = re.split(r"[\s_-]+", name)
    for at, rest in ((-1, words[:-1]), (0, words[1:])):
        for kind, known in (("images", IMAGE_WORDS), ("masks", MASK_WORDS)):
            if len(words) > 1 and words[at] in known:
                return "_".join(rest), kind
    return "_".join(words), ""
