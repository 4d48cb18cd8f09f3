"""Files to the values of a mask, before anything decides what they mean; see ``masks`` for that."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from segstudy.data.image_values import SIGNED, is_deep_colour, is_white_zero, tag, wide_values
from segstudy.data.images import SIXTEEN_BIT, ImageError, opened, orientation_of
from segstudy.data.sources import Described, Merged, OneMask, first_file
from segstudy.data.tiff_tags import SAMPLE_FORMAT

COLOUR_NOISE = 16  # channels of a lossy file that differ by no more show the same grey
MANY_COLOURS = 32  # a file that keeps colours exactly has so many only if it was made from a lossy one
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF")

Kind = Literal["grey", "palette", "colour"]


@dataclass(frozen=True)
class MaskPixels:
    """The values of a mask as they are stored, upright.

    Attributes:
        values: ``(H, W)``: grey levels or other numbers; of ``palette`` the numbers of its entries; of
            ``colour`` 0xRRGGBB.
        kind: what the values are.
        mode: the colour mode in the file, as Pillow names it.
        turned: the EXIF orientation turned or mirrored the pixels.
        lossy: the file's format keeps values only nearly.
        palette: 0xRRGGBB of every entry of a palette; None without one.
        is_white_zero: a TIFF says that zero is white; the values are those that are stored.
    """

    values: NDArray[Any]
    kind: Kind = "grey"
    mode: str = "L"
    turned: bool = False
    lossy: bool = False
    palette: NDArray[np.uint32] | None = None
    is_white_zero: bool = False


def decode_mask(source: OneMask) -> MaskPixels:
    """Read or draw a mask.

    Raises:
        ImageError: as ``images.read_image``; partly transparent, or without data in places (NaN).
    """
    match source:
        case Described():
            return MaskPixels(source.draw())
        case Merged():
            return _merged(source)
    path = first_file(source)
    with opened(source) as image:
        mode, turned = image.mode, orientation_of(image) > 1
        if image.info.get("white_is_zero"):  # of DICOM, where nothing says which values are meant
            detail = "a mask of which zero is white (MONOCHROME1); save it as MONOCHROME2 or as a PNG"
            raise ImageError(path, "white-is-zero", detail)
        lossy = image.format in LOSSY
        if is_deep_colour(image):
            return MaskPixels(*_of_deep_channels(image, path), mode, turned, lossy)
        is_white = is_white_zero(image)
        stored = _stored(image)
        upright = ImageOps.exif_transpose(stored) if turned else stored
        found = _pixels(upright, path, mode, turned, lossy)
        return replace(found, is_white_zero=is_white) if is_white else found


def packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Colours ``(..., 3)`` as 0xRRGGBB ``(...)``."""
    wide = rgb.astype(np.uint32)
    colours: NDArray[np.uint32] = wide[..., 0] * np.uint32(0x10000) + wide[..., 1] * np.uint32(0x100)
    return colours + wide[..., 2]


def _merged(source: Merged) -> MaskPixels:
    """The largest value of all files at each pixel: they have to be grey, with 0 for background."""
    first, *others = (decode_mask(file) for file in source.files)
    values = first.values
    for file, other in zip(source.files[1:], others, strict=True):
        if other.values.shape != values.shape:
            detail = f"differs in size from {source.files[0].name}, a mask of the same image"
            raise ImageError(file, "differing", f"{detail}; export both at the image's size")
        values = np.maximum(values, other.values)
    for file, mask in zip(source.files, (first, *others), strict=True):
        if mask.kind != "grey":
            detail = "is one of several masks of an image, and in colour; save it in black and white"
            raise ImageError(file, "coloured", detail)
    return MaskPixels(values, mode=first.mode, turned=first.turned, lossy=first.lossy)


def _stored(image: Image.Image) -> Image.Image:
    """An image with the numbers that are stored, where Pillow shows grey values as others."""
    if image.mode == "L" and tag(image, SAMPLE_FORMAT) == (SIGNED,):
        return Image.fromarray(np.asarray(image).view(np.int8).astype(np.int32))
    if image.mode == "L" and is_white_zero(image):  # turned positive; of 16 bits it is not
        return Image.fromarray(np.uint8(255) - np.asarray(image))
    return image


def _of_deep_channels(image: Image.Image, path: Path) -> tuple[NDArray[Any], Kind]:
    """Channels of 16 bits, of which Pillow would keep the upper 8: class numbers would be 0."""
    values = wide_values(image, path)
    assert values is not None
    if orientation_of(image) > 1 and image.format != "TIFF":
        detail = "16 bits in colour that an EXIF orientation turns; save it upright and in black and white"
        raise ImageError(path, "coloured", detail)
    if (values == values[..., :1]).all():
        return np.ascontiguousarray(values[..., 0]), "grey"
    if not (values % 257).any():
        values //= 257
    if values.max() > 255:
        raise ImageError(path, "coloured", "colours of 16 bits; save it in black and white, or with 8 bits")
    return packed(values.astype(np.uint8)), "colour"


def _pixels(image: Image.Image, path: Path, mode: str, turned: bool, lossy: bool) -> MaskPixels:
    values, kind, palette = _values(image, path, lossy)
    return MaskPixels(values, kind, mode, turned, lossy, palette)


def _values(
    image: Image.Image, path: Path, lossy: bool
) -> tuple[NDArray[Any], Kind, NDArray[np.uint32] | None]:
    if image.mode == "P":
        return _palette_values(image, path)
    if image.mode == "1":
        return np.asarray(image.convert("L")), "grey", None
    if image.mode == "L" or image.mode in SIXTEEN_BIT:
        return np.asarray(image), "grey", None
    if image.mode in ("I", "F"):
        return _wide_numbers(np.asarray(image), path), "grey", None
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise _transparent(path)
    return _of_channels(np.asarray(image.convert("RGB")), lossy)


def _transparent(path: Path) -> ImageError:
    detail = "partly transparent; save it in black and white without alpha"
    return ImageError(path, "transparent", detail)


def _wide_numbers(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Values kept in 32 bits, in 8 or 16 where they fit."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            detail = "holds NaN or infinity, which mark pixels without data; write 0 there, or exclude it"
            raise ImageError(path, "no-data", detail)
        whole = values.astype(np.int64)
        if (whole != values).any():
            return values
        values = whole
    low, high = int(values.min()), int(values.max())
    for kind in (np.uint8, np.uint16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values


def _palette_values(image: Image.Image, path: Path) -> tuple[NDArray[Any], Kind, NDArray[np.uint32]]:
    indices: NDArray[np.uint8] = np.asarray(image)
    rgb: NDArray[np.uint8] = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if (used := int(indices.max())) >= len(rgb):
        detail = f"its palette has {len(rgb)} colours, but a pixel asks for number {used}; save it again"
        raise ImageError(path, "unreadable", detail)
    if image.has_transparency_data:
        clear = np.asarray(image.convert("RGBA").getchannel("A")) < 255
        if clear.any() and rgb[indices[clear]].any():  # what is transparent and black is background anyway
            raise _transparent(path)
    return indices, "palette", packed(rgb)


def _of_channels(rgb: NDArray[np.uint8], lossy: bool) -> tuple[NDArray[Any], Kind, None]:
    """One grey channel for three that agree, else colours."""
    spread = int((rgb.max(axis=2) - rgb.min(axis=2)).max())
    if spread == 0:
        return np.ascontiguousarray(rgb[..., 1]), "grey", None
    colours = packed(rgb)
    if spread <= COLOUR_NOISE and (lossy or len(np.unique(colours)) > MANY_COLOURS):
        return np.ascontiguousarray(rgb[..., 1]), "grey", None
    return colours, "colour", None
