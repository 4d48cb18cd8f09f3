"""Files with several images: each slice or frame is predicted; masks of a volume become a volume again."""

import gzip
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.errors import UserError
from segstudy.core.input_files import open_regular
from segstudy.data.image_formats import FORMATS, format_of
from segstudy.data.images import ImageError, num_frames
from segstudy.data.sources import Frame, ImageSource
from segstudy.deploy.predict.result_files import ResultFolder

Values = Literal["mask", "numbers", "probability"]  # of 0 and 255, of classes, and from 0 to 255
VOLUME_KINDS = ("masks", "probability")  # of results, which a volume can hold
SUFFIX = ".nii.gz"


@dataclass(frozen=True, slots=True)
class Item:
    """An image to be segmented.

    Attributes:
        file: that holds it.
        name: path of its results without suffix, relative to each folder of results.
        index: which of several images in the file, from 0; None where there is one.
        by_window: whether it is too large for memory, and segmented some rows at a time.
    """

    file: Path
    name: str
    index: int | None = None
    by_window: bool = False

    @property
    def source(self) -> ImageSource:
        return self.file if self.index is None else Frame(self.file, self.index)

    @property
    def image(self) -> Path:
        """What the table calls it: the file, with the slice or frame as if it lay within."""
        return self.file if self.index is None else self.file / PurePath(self.name).name


def divided(items: Iterable[Item]) -> list[Item]:
    """Return an item for each slice of a volume or frame of a DICOM file; all others as they are.

    Raises:
        UserError: two results would have one name.
    """
    found = [each for item in items for each in _images_in(item)]
    named: dict[str, Item] = {}
    for item in found:
        if (other := named.setdefault(item.name, item)) is not item:
            raise UserError(
                f"{item.image} and {other.image}: both results would have the name {item.name}; "
                "use another --out for each"
            )
    return found


def _images_in(item: Item) -> list[Item]:
    kind = format_of(item.file)
    if kind is None or not kind.frame:
        return [item]
    try:
        number = num_frames(item.file)
    except ImageError:  # the row of the file will have the reason
        return [item]
    if number == 1:
        return [item]
    return [Item(item.file, f"{item.name}/{name}", i) for i, name in enumerate(kind.frame_names(number))]


def volumes(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Return the slices of each NIfTI volume, by the name of its results."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.index is not None and format_of(item.file) is FORMATS["NIFTI"]:
            found[str(PurePath(item.name).parent)].append(item)
    return found


def values_in(folder: ResultFolder) -> Values:
    """Return what the files of a folder of ``VOLUME_KINDS`` hold."""
    if folder.kind == "probability":
        return "probability"
    return "numbers" if folder.number is None else "mask"


def volume_of(file: Path, slices: Sequence[Path], values: Values) -> bytes:
    """Return results of all slices as a ``.nii.gz``, with the geometry of the volume they are of.

    Masks are 0 and 1 or the numbers of classes (uint8), probabilities 0 to 1 in steps of 1/255 (float32).
    Equal slices give equal bytes.

    Args:
        file: the volume.
        slices: their results as PNG, in the order of the file.
        values: that they hold.
    """
    from segstudy.data.nifti_images import header_in, with_values  # with nibabel, an extra

    stack: NDArray[Any] = np.stack([_turned(each) for each in slices], axis=2)
    if values == "mask":
        stack = (stack >= 128).astype(np.uint8)
    elif values == "probability":
        stack = stack.astype(np.float32) / np.float32(255)
    with open_regular(file) as stream:
        content = with_values(header_in(stream), stack)
    return gzip.compress(content, 1, mtime=0)


def _turned(png: Path) -> NDArray[np.uint8]:
    """A slice as it lies in the volume: its rows are the second axis."""
    with Image.open(png, formats=["PNG"]) as image:
        return np.asarray(image, np.uint8).T
