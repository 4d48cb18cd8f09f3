"""Image files to arrays: the only place where images are decoded; for masks see ``mask_pixels``.

Whatever the file's colour mode, an image becomes 8-bit RGB, turned upright by its EXIF orientation; or it
has as many channels as the scale says, see ``channels``. A file with several pages or frames is refused.
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from segstudy.core.errors import one_line
from segstudy.core.input_files import open_regular
from segstudy.core.intensity import COLOURS, FULL, MAX_CHANNELS, Scale
from segstudy.data.channels import (
    GREY,
    BandsFile,
    channel_values,
    has_own_channels,
    levels_of_channels,
    the_grey_of,
)
from segstudy.data.decoding_limits import ExcessError, check_file, check_opened
from segstudy.data.image_errors import FormatError, ImageError, no_range
from segstudy.data.image_formats import NO_CONTENT, SNIFFED_BYTES, format_in, prepare_for, unread
from segstudy.data.image_values import (
    SIXTEEN_BIT,
    Levels,
    has_deep_planes,
    levels_of,
    levels_of_bytes,
    scaled,
    scaled_bytes,
    tag,
    undivided,
    wide_values,
)
from segstudy.data.orientation import upright
from segstudy.data.pages import SEVERAL, pages_of
from segstudy.data.scale_fit import doubt
from segstudy.data.sources import Frame, ImageSource, first_file
from segstudy.data.tiff_bands import COMPRESSION, ORIENTATION, number_in
from segstudy.data.tiff_tags import BANDS, MAX_BANDS, describe, too_many

MAX_PIXELS = 100_000_000
MIN_SIDE_PX = 8
STRIP_PIXELS = 2**20  # converted at a time
ANY_BANDS = Scale(channels=MAX_CHANNELS)

# Pillow's own limit becomes ours. What it only warns of is refused below, so its warning says nothing new.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of broken tags: none of a user's

_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)  # all seen from Pillow

__all__ = [
    "MAX_PIXELS", "MIN_SIDE_PX", "SIXTEEN_BIT", "STRIP_PIXELS", "DecodedImage", "ImageError", "decode_bytes",
    "decode_image", "image_size", "num_frames", "opened", "orientation_of", "read_image", "size_in",
]  # fmt: skip


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, and what of its storage is worth reporting.

    Attributes:
        pixels: ``(H, W, 3)`` uint8, RGB, upright; or as many channels as the scale has.
        mode: the colour mode in the file, as Pillow names it.
        turned: the EXIF orientation turned or mirrored the pixels.
        levels: what its values are in the file.
    """

    pixels: NDArray[np.uint8]
    mode: str
    turned: bool
    levels: Levels


def read_image(
    source: ImageSource, at_least: tuple[int, int] | None = None, scale: Scale = FULL
) -> NDArray[np.uint8]:
    """Decode an image to RGB ``(H, W, 3)``, 0 to 255; of a scale with other channels to ``(H, W, channels)``.

    Grey becomes three equal channels, more than 8 bits become 8 by the scale, transparent areas become black
    (of a scale ``LO..HI`` they keep their colours), palettes, CMYK and other colour spaces are converted as
    Pillow does.

    Args:
        source: the file, or one image of a file.
        at_least: height and width that are enough: a JPEG may come at a half, a quarter or an eighth of its
            size then, but no smaller; its decoder makes that several times as quick as the whole.
        scale: of the values, from that of the data set or the model.

    Raises:
        ImageError: missing, not an image, damaged, 32-bit without a range as scale, above ``MAX_PIXELS`` or
            under ``MIN_SIDE_PX``.
    """
    with opened(source, scale=scale) as image:
        return _decoded(image, first_file(source), at_least, scale)


def image_size(source: ImageSource) -> tuple[int, int]:
    """Height and width of an image as it stands upright, from the file's header alone.

    Raises:
        ImageError: missing, not an image, too large or too small.
    """
    with opened(source, header_only=True, scale=ANY_BANDS) as image:
        return _upright_size(image)


def num_frames(file: Path) -> int:
    """The number of images in a file of a format whose files may hold several samples.

    Raises:
        ImageError: as ``image_size``.
    """
    with opened(Frame(file, 0), header_only=True) as image:
        return int(getattr(image, "n_frames", 1))


def decode_image(source: ImageSource, scale: Scale = FULL) -> DecodedImage:
    """As ``read_image``, with what is worth reporting about the file.

    Of the scale ``auto`` the pixels are a first look, where they are not those of ``full``.
    """
    path = first_file(source)
    with opened(source, scale=scale) as image:
        mode, orientation = image.mode, orientation_of(image)
        if has_own_channels(scale):
            stored = channel_values(image, path, scale)
            pixels = _upright(_to_bytes(stored, path, scale, to_look_at=True), image, orientation)
            return DecodedImage(pixels, mode, orientation > 1, levels_of_channels(stored, image))
        values = wide_values(image, path)
        levels = levels_of(values, image) if values is not None else levels_of_bytes(image)
        if scale.kind == "auto" and values is not None and not levels.is_plain:
            pixels = _upright(scaled(values, scale), image, orientation)
        else:
            pixels = _decoded(image, path, None, scale)
        darkened_frac, partly_frac = _transparency(image)
    is_grey = mode in GREY or bool((pixels == pixels[..., :1]).all())
    levels = replace(levels, darkened_frac=darkened_frac, partly_frac=partly_frac, is_grey=is_grey)
    return DecodedImage(pixels, mode, orientation > 1, levels)


def _decoded(
    image: Image.Image, path: Path, at_least: tuple[int, int] | None, scale: Scale
) -> NDArray[np.uint8]:
    """The upright pixels of an opened image."""
    orientation = orientation_of(image)
    if has_own_channels(scale):
        values = channel_values(image, path, scale)
        return _upright(_to_bytes(values, path, scale), image, orientation)
    if at_least is not None:
        height, width = at_least[::-1] if orientation >= 5 else at_least
        image.draft(None, (width, height))
    pixels = _upright(_rgb(image, path, scale), image, orientation)
    return pixels if scale.channels == COLOURS else the_grey_of(pixels, path, scale)


def _upright(pixels: NDArray[np.uint8], image: Image.Image, orientation: int) -> NDArray[np.uint8]:
    return pixels if image.format == "TIFF" else upright(pixels, orientation)  # a TIFF's are already


def _to_bytes(values: NDArray[Any], path: Path, scale: Scale, to_look_at: bool = False) -> NDArray[np.uint8]:
    """Values of other channels than colours, by the scale; to look at them, ``auto`` is their own extent."""
    if values.dtype == np.uint8:
        return scaled_bytes(values, scale) if scale.is_for_bytes() else values
    if scale.kind == "auto" and to_look_at:
        return scaled(values, scale)
    if scale.kind != "range" and values.dtype != np.uint16:
        raise no_range(path, "numbers with a sign, or of 32 bits", scale)
    doubt(values, path, scale)
    return scaled(values, replace(scale, kind="range" if scale.kind == "range" else "full"))


def size_in(content: bytes, max_pixels: float = MAX_PIXELS) -> tuple[int, int]:
    """Height and width of an image that came over a wire, as ``image_size``.

    Raises:
        ImageError: as ``image_size``, and more pixels than that; errors speak of ``image``.
    """
    path = Path("image")
    with opened(path, io.BytesIO(content), header_only=True, scale=ANY_BANDS) as image:
        if image.width * image.height > max_pixels:
            raise _too_large(path, max_pixels)
        return _upright_size(image)


def decode_bytes(
    content: bytes,
    at_least: Callable[[tuple[int, int]], tuple[int, int] | None],
    scale: Scale = FULL,
) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """An image that came over a wire: its own height and width, and its pixels as of ``read_image``.

    Args:
        content: of the file.
        at_least: from height and width to those that are enough, as in ``read_image``; None for all.
        scale: of the values.

    Raises:
        ImageError: as ``read_image``; errors speak of ``image``.
    """
    path = Path("image")
    with opened(path, io.BytesIO(content), scale=scale) as image:
        native = _upright_size(image)
        return native, _decoded(image, path, at_least(native), scale)


@contextmanager
def opened(
    source: ImageSource,
    stream: io.BytesIO | None = None,
    header_only: bool = False,
    scale: Scale = FULL,
) -> Iterator[Image.Image]:
    """Open an image, from its file or a stream; a failure inside the block becomes a line for the user.

    Of a scale with other channels than colours it may have any number of bands.
    """
    path = first_file(source)
    try:
        with stream or open_regular(path) as file:
            num_bytes = file.seek(0, io.SEEK_END)
            check_file(file, whole=not header_only)
            head = file.read(SNIFFED_BYTES)
            file.seek(0)
            any_bands = has_own_channels(scale)
            with _identified(path, file, head, scale) as image:
                if isinstance(source, Frame):
                    image.seek(source.index)
                _check_extent(image, path, scale)
                if not any_bands:
                    _check_order(image, path)
                check_opened(image, num_bytes)
                if not isinstance(source, Frame):
                    _check_pages(pages_of(image, file, num_bytes), path, any_bands)
                yield image
    except ImageError:
        raise
    except FormatError as error:
        raise ImageError(path, error.kind, error.detail) from None
    except _TOO_LARGE:
        raise _too_large(path) from None
    except ExcessError as error:
        detail = f"asks for more work than any picture needs ({error}); save it again, or leave it out"
        raise ImageError(path, "excessive", detail) from None
    except FileNotFoundError:
        detail = NO_CONTENT if path.is_symlink() else "no such file; check the path"
        raise ImageError(path, "unreadable", detail) from None
    except _BROKEN as error:
        reason = one_line(getattr(error, "strerror", None) or error)
        detail = f"cannot be read ({reason}); copy or export the file again"
        raise ImageError(path, "unreadable", detail) from None


def _identified(path: Path, file: BinaryIO, head: bytes, scale: Scale) -> Image.Image:
    try:
        return Image.open(file, formats=prepare_for(head))
    except UnidentifiedImageError:
        if has_own_channels(scale) and format_in(head) == "TIFF":
            with suppress(SyntaxError):
                return BandsFile(file)
        detail = describe(file, scale.fixed_channels) if format_in(head) == "TIFF" else unread(head)
        raise ImageError(path, "unreadable", detail) from None


def _check_extent(image: Image.Image, path: Path, scale: Scale) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)
    if min(image.size) < MIN_SIDE_PX:
        detail = f"only {image.width} x {image.height} pixels; each side needs at least {MIN_SIDE_PX}"
        raise ImageError(path, "tiny", detail)
    max_bands = MAX_CHANNELS if has_own_channels(scale) else MAX_BANDS
    if image.format == "TIFF" and (num_bands := max(tag(image, BANDS) or (1,))) > max_bands:
        raise ImageError(path, "bands", too_many(num_bands, scale.fixed_channels))


def _check_order(image: Image.Image, path: Path) -> None:
    """Refuse numbers that Pillow (13.0) gives with their bytes in the wrong order: it turns them twice."""
    if image.format != "TIFF" or image.mode not in ("I", "F") or tag(image, COMPRESSION) in ((), (1,)):
        return
    if image.tag_v2.prefix == b"MM":  # type: ignore[attr-defined]
        detail = "a compressed TIFF of signed or 32-bit numbers with the highest byte first"
        raise ImageError(
            path, "unreadable", f"{detail}; save it without compression, or the lowest byte first"
        )


def _check_pages(pages: int, path: Path, any_bands: bool) -> None:
    if pages != 1:
        number = "several" if pages == SEVERAL else f"{pages:,}"
        remedy = ", or channels as bands of one page" if any_bands else ""
        detail = f"holds {number} pages or frames, which one is meant? Save each as a file of its own{remedy}"
        raise ImageError(path, "stacked", detail)


def _too_large(path: Path, max_pixels: float = MAX_PIXELS) -> ImageError:
    detail = f"more than {max_pixels / 10**6:g} million pixels; scale it down first"
    return ImageError(path, "oversized", detail)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; from 5 on height and width change places.

    Of a PNG it counts when it stands before the pixels: looking behind them would decode the image.
    """
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    if isinstance(image, BandsFile):
        orientation = number_in(image.tag_v2, ORIENTATION)
    else:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = orientation_of(image) >= 5 and image.format != "TIFF"  # whose size Pillow has turned already
    return (image.width, image.height) if turned else (image.height, image.width)


def _rgb(image: Image.Image, path: Path, scale: Scale) -> NDArray[np.uint8]:
    """RGB pixels as they lie in the file; strip by strip, so that no second image of their size is made."""
    if scale.kind == "range":
        if (values := wide_values(image, path)) is not None:
            doubt(values, path, scale)
            return scaled(values, scale)
        pixels = _converted(image, opaque=True)
        return scaled_bytes(pixels, scale) if scale.is_for_bytes() else pixels
    if image.mode in ("I", "F"):
        raise no_range(path, "32-bit values", scale)
    if image.mode in SIXTEEN_BIT:
        doubt(np.asarray(image), path, scale)
    if has_deep_planes(image) and (values := wide_values(image, path)) is not None:
        return (values >> 8).astype(np.uint8)  # the upper 8 bits, as Pillow has them of other 16-bit colours
    return _converted(image)


def _converted(image: Image.Image, opaque: bool = False) -> NDArray[np.uint8]:
    """8-bit pixels; transparent areas become black unless all bands but the colours are left out."""
    if opaque:
        undivided(image)
    image.load()
    transparent = image.has_transparency_data and image.mode not in SIXTEEN_BIT and not opaque
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows := max(1, STRIP_PIXELS // width)):
        bottom = min(height, top + rows)
        strip = image if rows >= height else image.crop((0, top, width, bottom))  # a copy
        if strip.mode in SIXTEEN_BIT:
            strip = Image.fromarray((np.asarray(strip) // 257).astype(np.uint8))
        if transparent:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "black"), strip.convert("RGBA"))
        pixels[top:bottom] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return pixels


def _transparency(image: Image.Image) -> tuple[float, float]:
    """Two shares of pixels that ``Levels`` keeps, of an image with transparency."""
    if not image.has_transparency_data or image.mode in (*SIXTEEN_BIT, "I", "F"):
        return 0.0, 0.0
    image.load()
    darkened = partly = 0
    width, height = image.size
    for top in range(0, height, rows := max(1, STRIP_PIXELS // width)):
        strip = np.asarray(image.crop((0, top, width, min(height, top + rows))).convert("RGBA"))
        alpha = strip[..., 3]
        darkened += int(((alpha < 255) & strip[..., :3].any(axis=2)).sum())
        partly += int(((alpha > 0) & (alpha < 255)).sum())
    return darkened / (width * height), partly / (width * height) if image.format == "TIFF" else 0.0
