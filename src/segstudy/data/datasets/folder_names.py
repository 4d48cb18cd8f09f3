"""What people call their folder of images and their folder of masks."""

import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from segstudy.data.image_formats import image_suffix

# In small letters, with underscores for blanks and hyphens.
IMAGE_NAMES = (
    *("images", "image", "imgs", "img", "photos", "pictures", "pics", "inputs", "input", "jpegimages"),
    *(
        "img_dir",
        "image_dir",
        "original",
        "originals",
        "original_images",
        "raw",
        "sat",
        "x",
        "rgb",
        "frames",
        "photographs",
    ),
)
MASK_NAMES = (
    *("masks", "mask", "labels", "label", "segmentations", "segmentation", "annotations", "annotation"),
    *("groundtruth", "ground_truth", "gt", "gts", "targets", "target", "labelstr", "segmentationclass"),
    *("ann_dir", "ann", "anns", "anno", "label_dir", "mask_dir", "manual", "seg", "segs", "mask_images"),
    *("label_images", "groundtruths", "ground_truths", "segmentationclasspng", "y", "map", "maps"),
)
# Where a folder of these names lies beside mask/, that one holds the fields of view (DRIVE, HRF).
FIRST_MASK_NAMES = ("1st_manual", "manual1", "first_manual", "manual_1")
# Words in the name of a folder of masks, and in those of folders that hold neither images nor masks.
MASK_WORD = re.compile(r"mask|label|seg|annot|truth|manual|(?<![a-z])(gts?|lab)(?![a-z])", re.IGNORECASE)
OTHER_WORD = re.compile(
    r"overlay|vis|preview|pred|result|heat|thumb|edge|depth|instance|panoptic|colou?r|box|2nd|second",
    re.IGNORECASE,
)
LOOKED_AT = 200  # entries of a folder, when all that is asked is whether it holds images


def called(folders: Iterable[Path], names: Iterable[str]) -> list[Path]:
    """The folders that have one of these names, whatever their capitals."""
    wanted = set(names)
    return [folder for folder in folders if re.sub(r"[\s-]+", "_", folder.name.lower()) in wanted]


def holds_images(folder: Path, depth: int = 2) -> bool:
    """Whether there are images among the first files of a folder, or of the folders in it."""
    below = []
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, LOOKED_AT):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    below.append(Path(entry.path))
                elif image_suffix(entry.name):
                    return True
    except OSError:
        return False
    return depth > 1 and any(holds_images(each, depth - 1) for each in sorted(below))
