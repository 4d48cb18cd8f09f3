"""Small pictures for pages: an image as WebP, and masks over it as PNG with few colours, all as data URIs."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.encoded_images import data_uri, few_colours, image_bytes
from segstudy.core.intensity import Scale
from segstudy.core.outputs import Mask, Outputs
from segstudy.core.palette import COLOURS, rgb_of
from segstudy.data.channels import picture_of
from segstudy.data.images import ImageError, read_image
from segstudy.data.mask_outline import outline
from segstudy.data.sources import ImageSource

Colour = tuple[int, int, int, int]  # red, green, blue, opacity
# Of the layer over an image: nothing, foreground, its outline, a dark line around that.
LAYER: tuple[Colour, ...] = ((0, 0, 0, 0), (0, 214, 232, 30), (0, 214, 232, 255), (0, 0, 0, 150))
FILL, LINE, HALO = 1, 2, 3
# Of several classes: the same, then each colour as foreground and as outline, then pixels to ignore.
CLASS_LAYER: tuple[Colour, ...] = (
    *LAYER,
    *((*rgb_of(number), opacity) for number in range(len(COLOURS)) for opacity in (70, 255)),
    (128, 128, 128, 150),
)
LINES_ACROSS = 170  # outlines are this part of a picture's longer side, at least a pixel


def small_picture(source: ImageSource, side: int, scale: Scale) -> tuple[str, tuple[int, int]] | None:
    """Return an image as a data URI and its width and height, the longer side at most ``side`` pixels.

    Returns:
        None where it cannot be read.
    """
    try:
        image = Image.fromarray(picture_of(read_image(source, (side, side), scale)))
    except ImageError:
        return None
    share = min(1, side / max(image.size))
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    content = image_bytes(image.resize(size, Image.Resampling.BOX), "WEBP", quality=78, method=2)
    return data_uri("WEBP", content), size


def layer_places(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.uint8]:
    """What lies over a small image: places in ``LAYER``, ``(height, width)``.

    The outline is found at the mask's own size, so that the smallest object keeps one.

    Args:
        mask: ``(H, W)``.
        size: width and height of the small image.
    """
    inside = _reduced(mask, size) >= 0.5
    width = max(1, round(max(size) / LINES_ACROSS))
    line = _thickened(_reduced(outline(mask), size) > 0, width)
    near = _thickened(line, 2 * ((width + 1) // 2) + 1)
    places = np.zeros(line.shape, np.uint8)
    places[inside] = FILL
    places[near & ~inside] = HALO
    places[line] = LINE
    return places


def class_places(mask: Mask, size: tuple[int, int], outputs: Outputs) -> NDArray[np.uint8]:
    """The same of several classes: places in ``CLASS_LAYER``, later classes over earlier ones.

    Args:
        mask: ``(H, W)``, of the type ``outputs.mask_dtype``.
        size: width and height of the small image.
        outputs: the classes; the background is left free.
    """
    found = np.zeros(size[::-1], np.uint8)
    for number in outputs.scored:
        places = layer_places(outputs.plane(mask, number), size)
        found[(places == HALO) & (found == 0)] = HALO
        for kind in (FILL, LINE):
            found[places == kind] = _class_place(number, kind)
    valid = outputs.valid(mask)
    if valid is not None:
        found[_reduced(~valid, size) >= 0.5] = len(CLASS_LAYER) - 1
    return found


def _class_place(number: int, kind: int) -> int:
    return len(LAYER) + 2 * (number % len(COLOURS)) + (kind == LINE)


def _thickened(line: NDArray[np.bool_], width_px: int) -> NDArray[np.bool_]:
    """A line one pixel wide as one of so many; even ones lie half a pixel to one side."""
    kernel = np.ones((width_px, width_px), np.uint8)
    return cv2.dilate(line.view(np.uint8), kernel).view(np.bool_)


def _reduced(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
    """The mean of a mask in each pixel of a smaller image."""
    return np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX))


def layer_uri(places: NDArray[np.uint8], colours: Sequence[Colour] = LAYER) -> str:
    """Return places in these colours, ``(height, width)``, as a data URI of a few kilobytes."""
    return data_uri("PNG", few_colours(places, colours))
