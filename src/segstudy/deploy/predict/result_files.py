"""The files that the prediction of an image is written as. Needs no PyTorch."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.atomic_files import file_name
from segstudy.core.classes import is_background
from segstudy.core.encoded_images import image_bytes
from segstudy.core.outputs import Outputs
from segstudy.core.palette import rgb_of
from segstudy.data.images import STRIP_PIXELS, ImageError
from segstudy.data.mask_outline import outline
from segstudy.data.native_probabilities import NativeProbabilities

KINDS = ("masks", "probability", "overlay", "outline", "objects")  # folders; the first is always made
PICTURES = ("overlay", "outline")  # those that show the image
BY_WINDOW = "tif"  # of masks and probabilities that are written row by row
SUFFIXES = {"masks": "png", "probability": "png", "overlay": "jpg", "outline": "jpg", "objects": "csv"}

COLOUR = (0, 214, 232)  # of overlays and outlines of one foreground, RGB: no skin and no organ has it
TINT = 0.35
MAX_JPEG_SIDE_PX = 65_500  # of the encoder; the format has 65,535
MAX_LIBPNG_SIDE_PX = 1_000_000  # the format has 2**31 - 1, and Pillow writes as many


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """A folder of results, with a file for each image.

    Attributes:
        kind: of ``KINDS``.
        path: relative to the folder of all results.
        number: of the class that the files are of; None if they are of all classes.
    """

    kind: str
    path: str
    number: int | None = None

    def place(self, name: str, by_window: bool = False) -> str:
        """Return the path of an image's file, relative to the folder of all results.

        Args:
            name: of the image.
            by_window: whether it is too large for memory.
        """
        return f"{self.path}/{name}.{BY_WINDOW if by_window else SUFFIXES[self.kind]}"


def result_folders(kinds: Collection[str], outputs: Outputs) -> tuple[ResultFolder, ...]:
    """Return the folders of masks and of other kinds, in their order.

    Of several classes each has a folder of its own for probabilities, and for masks if they overlap.
    """
    wanted = [kind for kind in KINDS if kind == "masks" or kind in kinds]
    return tuple(each for kind in wanted for each in _folders(kind, outputs))


def _folders(kind: str, outputs: Outputs) -> Iterable[ResultFolder]:
    by_class = {"probability": True, "masks": outputs.task != "multiclass"}.get(kind, False)
    if not by_class:
        return [ResultFolder(kind, kind)]
    if outputs.task == "binary":
        return [ResultFolder(kind, kind, 1)]
    return [ResultFolder(kind, f"{kind}/{name}", i) for i, name in enumerate(class_folders(outputs.names))]


def mask_folder(folders: Iterable[ResultFolder], number: int) -> ResultFolder:
    """Return the folder with the masks of the class of this number."""
    return next(each for each in folders if each.kind == "masks" and each.number in (None, number))


def class_folders(names: Iterable[str]) -> list[str]:
    """Return a folder's name for each class, its own if all systems allow it; they differ beyond their case.

    >>> class_folders(["optic disc", "a?", "A*"])
    ['optic disc', 'a-', 'A--2']
    """
    found: list[str] = []
    for name in names:
        plain = file_name(name)
        taken = {each.casefold() for each in found}
        candidates = (plain, *(f"{plain}-{i}" for i in range(2, len(found) + 3)))
        found.append(next(each for each in candidates if each.casefold() not in taken))
    return found


def encoded(
    folder: ResultFolder, pixels: NDArray[np.uint8], mask: NDArray[Any], probabilities: NativeProbabilities
) -> bytes:
    """Return a result as the bytes of a file: masks and probabilities as PNG, pictures as JPEG.

    Args:
        folder: of any kind but ``objects``.
        pixels: of the image, which only pictures show.
        mask: of the image.
        probabilities: of the image.
    """
    outputs = probabilities.outputs
    if folder.kind in PICTURES:
        return picture(folder.kind, pixels, mask, outputs, outputs.scored)
    values = values_of(folder, mask, probabilities.of, outputs)
    return palette_png(values, outputs) if folder.kind == "masks" and folder.number is None else png(values)


def values_of(
    folder: ResultFolder,
    mask: NDArray[Any],
    prob_of: Callable[[int], NDArray[np.float32]],
    outputs: Outputs,
) -> NDArray[np.uint8]:
    """Return what a file of a folder of masks or probabilities holds: 0 to 255, or numbers of classes."""
    if folder.number is None:
        return mask
    if folder.kind == "probability":
        return as_bytes(prob_of(folder.number))
    return outputs.plane(mask, folder.number).view(np.uint8) * np.uint8(255)


def as_bytes(prob: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return probabilities ``(H, W)`` as 0 to 255, without further ones of their size."""
    found = np.empty(prob.shape, np.uint8)
    rows = max(1, STRIP_PIXELS // prob.shape[1])
    for top in range(0, len(prob), rows):
        found[top : top + rows] = np.rint(prob[top : top + rows] * 255)
    return found


def palette_of(outputs: Outputs) -> list[tuple[int, int, int]]:
    """Return the colours of the classes in the palette of masks with their numbers."""
    return [class_rgb(outputs, i) for i in range(len(outputs.names))]


def picture(
    kind: str, pixels: NDArray[np.uint8], mask: NDArray[Any], outputs: Outputs, numbers: Collection[int]
) -> bytes:
    """Return an image with the outlines of these classes, in an overlay with their masks too, as JPEG."""
    if max(mask.shape) > MAX_JPEG_SIDE_PX:
        raise ImageError(
            Path("image"),
            "unwritable",
            f"an {kind} is a JPEG, which holds at most {MAX_JPEG_SIDE_PX} pixels a side, and the image has "
            f"{_extent(mask)}; masks and probabilities are available",
        )
    shown = pixels.copy()
    for number in numbers if kind == "overlay" else ():  # the mask of one class at a time
        tint = _tinted(class_rgb(outputs, number))
        cv2.copyTo(cv2.LUT(shown, tint), outputs.plane(mask, number).view(np.uint8), shown)
    for number in numbers:
        width_px = max(1, round(min(mask.shape) / 300))
        shown[outline(outputs.plane(mask, number), width_px)] = class_rgb(outputs, number)
    found, content = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not found:
        raise ImageError(Path("image"), "unwritable", f"no {kind} of {_extent(mask)} can be written")
    return content.tobytes()


def class_rgb(outputs: Outputs, number: int) -> tuple[int, int, int]:
    """Return the colour of a class in pictures."""
    background = is_background(outputs.names[number])
    return COLOUR if outputs.task == "binary" and not background else rgb_of(number, background)


def _tinted(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return of every value of each channel what the tint makes of it."""
    return np.rint((1 - TINT) * np.arange(256)[:, None] + TINT * np.array(colour)).astype(np.uint8)[None]


def palette_png(mask: NDArray[np.uint8], outputs: Outputs) -> bytes:
    """Return class numbers as a PNG whose palette has the colours of the classes."""
    image = Image.fromarray(mask, "P")
    image.putpalette([value for colour in palette_of(outputs) for value in colour])
    return image_bytes(image, "PNG", compress_level=1, bits=8)


def png(grey: NDArray[Any]) -> bytes:
    """Return grey values of 8 or 16 bits as PNG."""
    # Every row by its difference from the one above: a third of the default's time, and no larger.
    quick = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    if max(grey.shape) <= MAX_LIBPNG_SIDE_PX:
        found, content = cv2.imencode(".png", grey, quick)
        if found:
            return content.tobytes()
    return image_bytes(Image.fromarray(grey), "PNG", compress_level=1)


def _extent(mask: NDArray[Any]) -> str:
    return f"{mask.shape[1]} x {mask.shape[0]}"
