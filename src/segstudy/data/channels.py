"""Images with other numbers of channels than three: how many a file has, their values, and a picture of them.

One channel is what a grey image has, or a picture whose colours are all grey. Other numbers are those of a
TIFF's bands, or of a PNG that has an alpha channel, taken as they are stored.
"""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from segstudy.core.errors import one_line
from segstudy.core.intensity import COLOURS, MAX_CHANNELS, Scale
from segstudy.data.image_errors import ImageError
from segstudy.data.image_values import (
    SIXTEEN_BIT,
    Levels,
    finite,
    is_deep_colour,
    levels_of,
    raw_mode,
    tag,
    wide_values,
)
from segstudy.data.orientation import TURNED
from segstudy.data.tiff_bands import HEIGHT, MAX_BYTES, ORIENTATION, WIDTH, bands_of, number_in, tags_of
from segstudy.data.tiff_tags import BANDS, BITS

GREY = ("1", "L", "I", "F", *SIXTEEN_BIT)
PER_MODE = {**dict.fromkeys(GREY, 1), "LA": 2, "La": 2, "RGBA": 4, "RGBa": 4}
_BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError, SyntaxError, struct.error)


class BandsFile(ImageFile.ImageFile):
    """A TIFF of bands that Pillow has no mode for: its size and tags, without pixels that can be loaded."""

    format = "TIFF"
    format_description = "TIFF of bands"

    def _open(self) -> None:
        stream: Any = self.fp
        stream.seek(0)
        try:
            self.tag_v2 = tags_of(stream)
            width, height = number_in(self.tag_v2, WIDTH, 0), number_in(self.tag_v2, HEIGHT, 0)
            turned = number_in(self.tag_v2, ORIENTATION) >= TURNED
        except _BROKEN as error:
            raise SyntaxError(f"no TIFF ({error})") from None
        if min(width, height) < 1 or number_in(self.tag_v2, BANDS) < 2:
            raise SyntaxError("no TIFF of bands")
        self._size = (height, width) if turned else (width, height)  # as Pillow has it of other TIFFs
        self._mode = "L"


def has_own_channels(scale: Scale) -> bool:
    """Whether images are read with other channels than the colours, or the grey that is in them."""
    return scale.channels not in (1, COLOURS)


def num_channels(image: Image.Image) -> int:
    """How many channels an opened image has; a palette's and CMYK's are the three colours, alpha is one."""
    if is_deep_colour(image) and image.format == "PNG" and raw_mode(image).startswith("LA"):
        return PER_MODE["LA"]  # Pillow opens grey with alpha as RGBA, if it has 16 bits
    if image.format == "TIFF" and image.mode not in ("P", "PA", "CMYK", "YCbCr", "LAB", "1"):
        return max(int(number) for number in tag(image, BANDS) or (1,))
    return PER_MODE.get(image.mode, COLOURS)


def channel_values(image: Image.Image, path: Path, scale: Scale) -> NDArray[Any]:
    """All channels of an opened image as they are stored: ``(H, W, channels)``, of a TIFF upright.

    Raises:
        ImageError: it has another number of channels than the scale says; or it cannot be read.
    """
    found, wanted = num_channels(image), scale.channels
    if found != wanted:
        raise ImageError(path, "channels", other_number(found, scale))
    bytes_each = -(-max(int(bits) for bits in tag(image, BITS) or (8,)) // 8)
    if image.width * image.height * wanted * bytes_each > MAX_BYTES:
        detail = f"more than {MAX_BYTES // 10**6} million bytes of {wanted} channels; scale it down first"
        raise ImageError(path, "oversized", detail)
    if image.format == "TIFF":
        return finite(_bands(image, path), path)
    if is_deep_colour(image):
        values = wide_values(image, path, with_alpha=True)
        assert values is not None
        return values[..., [0, -1]] if found == PER_MODE["LA"] else values
    return np.asarray(image)


def levels_of_channels(values: NDArray[Any], image: Image.Image) -> Levels:
    """What there is to say of values ``(H, W, channels)``, together and of each channel."""
    low, high = values.min(axis=(0, 1)).tolist(), values.max(axis=(0, 1)).tolist()
    found = Levels() if values.dtype == np.uint8 else levels_of(values, image)
    return replace(found, num_bands=0, extents=tuple(zip(map(float, low), map(float, high), strict=True)))


def other_number(found: int, scale: Scale) -> str:
    """What is said of an image with so many channels where the scale has another number."""
    has = f"has {found} {'channel' if found == 1 else 'channels'}"
    if scale.is_of_model:
        return f"{has}, and the model takes images with {scale.channels}"
    remedy = f"choose --channels {found}" if found <= MAX_CHANNELS else "save fewer of them"
    return f"{has}, where --channels {scale.channels} asks for {scale.channels}; {remedy} if all have so many"


def _bands(image: Image.Image, path: Path) -> NDArray[Any]:
    stream: Any = image.fp  # type: ignore[attr-defined]
    stream.seek(0)
    try:
        return bands_of(stream.read())
    except _BROKEN as error:
        detail = (
            f"a TIFF whose bands cannot be read ({one_line(error)}); save it without compression or with LZW"
        )
        raise ImageError(path, "bands", detail) from None


def the_grey_of(pixels: NDArray[np.uint8], path: Path, scale: Scale) -> NDArray[np.uint8]:
    """The one channel ``(H, W, 1)`` of three that agree.

    Raises:
        ImageError: they differ: the image is in colour.
    """
    grey = pixels[..., :1]
    if (pixels != grey).any():
        raise ImageError(path, "channels", f"is in colour: {other_number(COLOURS, scale)}")
    return np.ascontiguousarray(grey)


def shown(channels: int) -> str:
    """What ``picture_of`` shows of so many channels, in words; nothing where it is all of them."""
    if channels in (1, COLOURS):
        return ""
    what = "both as red and green" if channels == 2 else "the first three as red, green and blue"
    return f" (pictures show {what})"


def picture_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What people see of an image ``(H, W, channels)``: RGB ``(H, W, 3)``.

    One channel is grey, two are red and green, of more than three the first three are red, green and blue.
    """
    number = pixels.shape[-1]
    if number == 1:
        return np.repeat(pixels, COLOURS, axis=-1)
    if number == 2:
        return np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=-1)
    return np.ascontiguousarray(pixels[..., :COLOURS])
