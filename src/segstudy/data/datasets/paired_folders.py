"""Folders of images and of masks that lie beside each other, in any case."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from segstudy.core.errors import UserError

IMAGES, MASKS = ("images",), ("masks",)
LEVELS = 2  # below a data set's folder, in which folders with images and masks of their own are looked for


@dataclass(frozen=True, slots=True)
class PairedFolders:
    """A folder of images beside a folder of masks.

    Attributes:
        images: the folder of images; None if there are masks only.
        masks: the folder of masks; None if there are images only.
    """

    images: Path | None
    masks: Path | None

    @property
    def is_whole(self) -> bool:
        return self.images is not None and self.masks is not None


def paired_folders(
    folder: Path, images: Collection[str] = IMAGES, masks: Collection[str] = MASKS
) -> PairedFolders:
    """The folders of images and masks in a folder.

    Args:
        folder: where to look.
        images: names of a folder of images, in small letters.
        masks: names of a folder of masks, in small letters.

    Raises:
        UserError: two folders whose names differ in case only.
    """
    return PairedFolders(_called(folder, images), _called(folder, masks))


def has_pairs(folder: Path) -> bool:
    """Whether ``images/`` lies beside ``masks/``, in any case."""
    names = {each.name.casefold() for each in subfolders(folder)}
    return bool(names & set(IMAGES)) and bool(names & set(MASKS))


def subfolders(folder: Path) -> list[Path]:
    """The visible folders in a folder, sorted; links to folders are followed."""
    with os.scandir(folder) as entries:
        return sorted(folder / each.name for each in entries if each.name[0] != "." and each.is_dir())


def folders_with_images(root: Path, levels: int = LEVELS) -> list[Path]:
    """Folders below a data set's folder that hold ``images/`` or ``masks/`` themselves, sorted."""
    found: list[Path] = []
    for each in subfolders(root):
        if each.name.casefold() in (*IMAGES, *MASKS):
            continue
        here = paired_folders(each)
        if here.images or here.masks:
            found.append(each)
        elif levels > 1:
            found += folders_with_images(each, levels - 1)
    return found


def _called(folder: Path, names: Collection[str]) -> Path | None:
    found = [each for each in subfolders(folder) if each.name.casefold() in names]
    if len(found) > 1:
        both = " and ".join(f"{each.name}/" for each in found)
        raise UserError(f"{folder}: holds {both}; merge them or remove one")
    return found[0] if found else None
