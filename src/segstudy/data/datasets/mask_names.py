"""Which image a mask's file name belongs to: by the same name, an ending, a number, or a folder of its own.

An image may have several masks, one per object. They are told apart by numbers (``x_mask``, ``x_mask_1``,
``x_mask (2)``; ``x``, ``x_1``, ``x (2)``) or lie in a folder with the image's name. Where a name may mean
something else, it is refused.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segstudy.data.image_formats import stem_of

# What is written behind an image's name to say that this is its mask, or that this is the image.
_MASK = (
    r"[ _.-](?:masks?|segmentation|seg|segmask|labels?|gt|ground_?truth|annotation|anno|labell?ed|manual1?)"
)
MASK_ENDING = re.compile(rf"{_MASK}$", re.IGNORECASE)
IMAGE_ENDING = re.compile(r"[ _.-](?:image|img|im|orig|original|sat|photo|training|test)$", re.IGNORECASE)
MASK_BEGINNING = re.compile(r"(?:masks?|segmentation|seg|labels?|gt)(?=[ _.-]|\d)[ _.-]?", re.IGNORECASE)
IMAGE_BEGINNING = re.compile(r"(?:image|img|im|photo)(?=[ _.-]|\d)[ _.-]?", re.IGNORECASE)
_NUMBER = r"(?:[ _-]?\((?P<a>\d+)\)|[ _-](?P<b>\d+))$"
_NUMBERED_MASK = re.compile(rf"{_MASK}(?:(?P<c>\d+)$|{_NUMBER})", re.IGNORECASE)
_NUMBERED = re.compile(_NUMBER)
_SEPARATORS = re.compile(r"[ ._()-]")

How = Literal["name", "number", "folder"]


@dataclass(frozen=True, slots=True)
class NamedMask:
    """A mask file that belongs to an image.

    Attributes:
        file: the mask.
        how: its name is the image's, with or without an ending; or it has a number too; or it lies in a
            folder with the image's name.
        number: that its name ends in, or its own name in such a folder.
    """

    file: Path
    how: How
    number: str = ""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A mask file whose name may belong to either of two images.

    Attributes:
        file: the mask.
        image: the image that is there.
        other: the image that is missing, if it was meant.
    """

    file: Path
    image: str
    other: str


@dataclass(frozen=True)
class MaskNames:
    """Masks by the id of their image.

    Attributes:
        of_image: by id; ids that are no image's are of masks without an image.
        unclear: those that may belong to either of two images.
    """

    of_image: Mapping[str, Sequence[NamedMask]]
    unclear: Sequence[Unclear]


def masks_by_image(masks: Mapping[str, Sequence[Path]], images: Mapping[str, Sequence[Path]]) -> MaskNames:
    """Say for each mask which image it belongs to.

    Args:
        masks: files by id, which is the path in the folder of masks without suffix.
        images: the same of images.
    """
    file_names = {_file_id(image_id, file): image_id for image_id, files in images.items() for file in files}
    file_names = _bare_names(images) | file_names
    found: dict[str, list[NamedMask]] = defaultdict(list)
    numbered: dict[str, list[tuple[str, str, Path]]] = defaultdict(list)
    series = {image_id[: match.start()] for image_id in images if (match := _NUMBERED.search(image_id))}
    unclear: list[Unclear] = []
    for mask_id, files in masks.items():
        for file in files:
            bare = MASK_ENDING.sub("", mask_id)
            known = mask_id if mask_id in images else file_names.get(mask_id)
            if known is None and bare not in images:
                known = file_names.get(bare) or file_names.get(_without_beginning(MASK_BEGINNING, mask_id))
            named = _named(mask_id, file, known, images)
            if named:
                image_id, mask, may_be = named
                if may_be:
                    unclear.append(Unclear(file, image_id, may_be))
                else:
                    found[image_id].append(mask)
            elif (number := _bare_number(mask_id, images)) and number[0] not in series:
                numbered[number[0]].append((mask_id, number[1], file))
            else:
                found[bare].append(NamedMask(file, "name"))
    for image_id, several in numbered.items():
        _add_numbered(image_id, several, found)
    return MaskNames(found, unclear)


def _bare_names(images: Collection[str]) -> dict[str, str]:
    """Images by their id without what says that they are images, where that leaves no two the same."""
    found: dict[str, list[str]] = defaultdict(list)
    for image_id in images:
        for bare in {IMAGE_ENDING.sub("", image_id), _without_beginning(IMAGE_BEGINNING, image_id)}:
            found[bare].append(image_id)
    return {bare: several[0] for bare, several in found.items() if len(several) == 1}


def _without_beginning(beginning: re.Pattern[str], name: str) -> str:
    folder, slash, stem = name.rpartition("/")
    match = beginning.match(stem)
    return f"{folder}{slash}{stem[match.end() :]}" if match and match.end() < len(stem) else name


def is_named_mask(stem: str) -> bool:
    """Whether a name by itself says that the file is a mask, as ``x_mask`` and ``x_mask_1`` do."""
    return bool(MASK_ENDING.search(stem) or _NUMBERED_MASK.search(stem) or MASK_BEGINNING.match(stem))


def _file_id(image_id: str, file: Path) -> str:
    return image_id + file.name[len(stem_of(file.name)) :]


def _named(
    mask_id: str, file: Path, known: str | None, images: Collection[str]
) -> tuple[str, NamedMask, str] | None:
    """The image of a mask whose name says it, the mask, and which other image it may belong to."""
    if known is not None:
        return known, NamedMask(file, "name"), ""
    if (stem := MASK_ENDING.sub("", mask_id)) in images:
        return stem, NamedMask(file, "name"), ""
    match = _NUMBERED_MASK.search(mask_id)
    if match and (stem := mask_id[: match.start()]) in images:
        number = match["a"] or match["b"] or match["c"]
        other = next((each for each in _with_number(stem, number) if each in images), "")
        return stem, NamedMask(file, "number", number), other
    folder, _, name = mask_id.rpartition("/")
    if folder in images:
        return folder, NamedMask(file, "folder", name), ""
    return None


def _with_number(stem: str, number: str) -> list[str]:
    return [f"{stem}{form}" for form in (f"_{number}", f"-{number}", f" {number}", f" ({number})", number)]


def _bare_number(mask_id: str, images: Collection[str]) -> tuple[str, str] | None:
    """The image ``x`` and the number of ``x_1``, ``x (2)`` or ``x_1_mask``; None without that image."""
    stem = MASK_ENDING.sub("", mask_id)
    match = _NUMBERED.search(stem)
    if match is None or (image_id := stem[: match.start()]) not in images:
        return None
    return image_id, match["a"] or match["b"]


def _add_numbered(
    image_id: str, several: Sequence[tuple[str, str, Path]], found: dict[str, list[NamedMask]]
) -> None:
    """Masks with a bare number are further masks of an image that has others; one alone is of no image."""
    are_several = len(several) + len(found.get(image_id, ())) > 1
    for mask_id, number, file in several:
        if are_several:
            found[image_id].append(NamedMask(file, "number", number))
        else:
            found[MASK_ENDING.sub("", mask_id)].append(NamedMask(file, "name"))


def can_be_merged(masks: Sequence[NamedMask]) -> bool:
    """Whether several masks of an image are its objects: each with a number, or in a folder of their own."""
    ways = {mask.how for mask in masks}
    numbers = {mask.number for mask in masks}
    return len(numbers) == len(masks) and (ways == {"folder"} or ("number" in ways and "folder" not in ways))


def image_that_begins(mask_id: str, images: Collection[str]) -> str:
    """The longest id of an image with which a mask's begins, before a separator; else nothing."""
    ends = [match.start() for match in _SEPARATORS.finditer(mask_id)]
    return next((mask_id[:end] for end in reversed(ends) if mask_id[:end] in images), "")
