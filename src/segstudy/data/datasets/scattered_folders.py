"""Messages for data sets whose masks, or whose images, lie in several folders."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from segstudy.data.datasets.annotation_files import folders_in
from segstudy.data.datasets.folder_names import MASK_WORD, OTHER_WORD
from segstudy.data.image_formats import image_suffix, stem_of

MOST_FILES = 20_000  # that are looked at
MOST_NAMED = 4
COMMON_FRAC = 0.5  # of the images of the smaller of two folders of masks, those that the other has too
SEPARATOR = re.compile(r"[\s._-]")


def scattered(path: Path) -> str | None:
    """Return which masks or images lie in several folders, and what to do; None if none do.

    A mask belongs to an image if it has the image's name, or a name that begins with it and a separator.
    """
    folders = folders_in(path)
    masks = [each for each in folders if MASK_WORD.search(each.name)]
    others = [each for each in folders if each not in masks and not OTHER_WORD.search(each.name)]
    image_folders = _by_folder(others)
    folder_of = {stem: folder for folder, stems in image_folders.items() for stem in stems}
    covered: dict[Path, set[str]] = {}
    for folder, stems in _by_folder(masks).items():
        if found := {image for stem in stems if (image := _image_of(stem, folder_of))}:
            covered[folder] = found
    if several := _of_equal_images(covered):
        return (
            f"the masks of an image lie in several folders ({_named(path, several)}), and one mask of each "
            "is needed: keep the folder of one kind or person, or write the union of an image's masks as one "
            "file; then put it into masks/, and the images into images/"
        )
    used = {folder_of[stem] for stems in covered.values() for stem in stems}
    if len({folder.relative_to(path).parts[0] for folder in used}) > 1 and len(covered) == 1:
        return (
            f"the images of one folder of masks ({_named(path, covered)}) lie in several "
            f"({_named(path, used)}); put the images into images/, and the masks into masks/"
        )
    return None


def _by_folder(tops: Iterable[Path]) -> dict[Path, set[str]]:
    """The names of image files without suffix, by the folder they lie in."""
    found: dict[Path, set[str]] = defaultdict(set)
    for file in islice(_files(tops), MOST_FILES):
        found[file.parent].add(stem_of(file.name))
    return found


def _files(tops: Iterable[Path]) -> Iterator[Path]:
    for top in tops:
        yield from (file for file in sorted(top.rglob("*")) if image_suffix(file.name))


def _image_of(stem: str, images: Mapping[str, Path]) -> str:
    """The image that a mask of this name belongs to: the longest one."""
    if stem in images:
        return stem
    ends = [match.start() for match in SEPARATOR.finditer(stem)]
    return next((stem[:end] for end in reversed(ends) if stem[:end] in images), "")


def _of_equal_images(covered: Mapping[Path, set[str]]) -> list[Path]:
    """Folders with masks of the images that another one has masks of too."""
    return [
        one
        for one, images in covered.items()
        if any(
            len(images & others) >= COMMON_FRAC * min(len(images), len(others))
            for other, others in covered.items()
            if other != one
        )
    ]


def _named(root: Path, folders: Iterable[Path]) -> str:
    names = [f"{folder.relative_to(root).as_posix()}/" for folder in sorted(folders)]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
