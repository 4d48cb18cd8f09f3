"""Folders in a data set that hold images or masks and are not read: each is named."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from segstudy.core.quantities import counted
from segstudy.data.datasets.folder_files import FolderFiles, files_in
from segstudy.data.datasets.paired_folders import PairedFolders, folders_with_images, paired_folders
from segstudy.data.datasets.subsets import is_subset_word
from segstudy.data.samples import Problem
from segstudy.data.written_out import TABLE

NOT_USED = "in a folder that is not used"


@dataclass
class UnusedFolders:
    """What is not read of a data set's folders.

    Attributes:
        problems: one per folder.
        without_mask: images of folders that have no masks beside them.
        files: all files of these folders.
        reasons: why their images and masks are in no sample.
    """

    problems: list[Problem] = field(default_factory=list)
    without_mask: list[Path] = field(default_factory=list)
    files: list[FolderFiles] = field(default_factory=list)
    reasons: dict[Path, str] = field(default_factory=dict)


def unused_folders(root: Path, used: Collection[Path]) -> UnusedFolders:
    """Find the folders with images or masks that are not read.

    Args:
        root: of the data set.
        used: folders whose ``images/`` and ``masks/`` are read.
    """
    found = UnusedFolders()
    for folder in [root, *folders_with_images(root)]:
        if folder in used or (folder / TABLE).is_file():  # or written by `check --write`
            continue
        pairs = paired_folders(folder)
        files = [files_in(each) for each in (pairs.images, pairs.masks) if each]
        if pairs.images and pairs.masks:
            found.problems.append(_pairs(root, folder, pairs, files[0]))
            found.reasons |= dict.fromkeys((file for each in files for file in each.images), NOT_USED)
        elif pairs.images:
            found.problems.append(_images(root, pairs.images, files[0]))
            found.without_mask += files[0].images
        elif pairs.masks and (is_subset_word(folder.name) or folder == root):
            where = f"{pairs.masks.relative_to(root).as_posix()}/"
            detail = "no folder of images beside it; left out"
            found.problems.append(Problem("warning", "unpaired folder", where, detail))
        else:  # masks alone, such as results of `predict`
            continue
        found.files += files
    return found


def _pairs(root: Path, folder: Path, pairs: PairedFolders, images: FolderFiles) -> Problem:
    assert pairs.images is not None
    assert pairs.masks is not None
    detail = (
        f"holds {pairs.images.name}/ and {pairs.masks.name}/ with {counted(len(images.images), 'image')}, "
        "but is not used; rename the folder to train, val or test, or move it out of the data set"
    )
    return Problem("error", "folder not used", f"{folder.relative_to(root).as_posix()}/", detail)


def _images(root: Path, folder: Path, images: FolderFiles) -> Problem:
    number = counted(len(images.images), "image")
    detail = f"no folder of masks beside it: its {number} have no mask and are left out"
    return Problem("warning", "unpaired folder", f"{folder.relative_to(root).as_posix()}/", detail)
