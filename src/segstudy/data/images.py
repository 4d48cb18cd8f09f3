"""Files to arrays: the only place where images and masks are decoded.

Whatever the file's colour mode, an image becomes 8-bit RGB and a mask boolean, both turned upright by
their EXIF orientation. Of a file with several frames the first counts.
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from segstudy.core.errors import UserError, printable
from segstudy.core.input_files import open_regular
from segstudy.data.decoding_limits import ExcessError, check_file, check_opened

MAX_PIXELS = 100_000_000
MIN_SIDE_PX = 8
STRIP_PIXELS = 2**20  # converted at a time
# What a file may hold, whatever it is called. Pillow knows more, and starts Ghostscript for some of it.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")
THRESHOLD = 128  # of masks with more than two values
GREY = range(32, 224)  # neither background nor foreground, even after JPEG
MAX_GREY_FRAC = 0.05
JPEG_COLOUR_NOISE = 16  # channels that differ by no more show the same grey

# Pillow's own limit becomes ours. What it only warns of is refused below, so its warning says nothing new.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of broken tags: none of a user's

_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)  # all seen from Pillow
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")


class ImageError(UserError):
    """A file that cannot be used as an image or mask.

    Attributes:
        path: the file.
        kind: one word for the sort of error: ``unreadable``, ``oversized``, ``tiny``, ``grey``, ...
        detail: what is wrong and what to do.
    """

    def __init__(self, path: Path, kind: str, detail: str) -> None:
        super().__init__(path, kind, detail)  # as arguments, so that it can be pickled
        self.path, self.kind, self.detail = path, kind, detail

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.detail}")


@dataclass(frozen=True)
class Decoded:
    """A decoded file, and what of its storage is worth reporting.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 of an image, ``(H, W)`` grey or class values of a mask; upright.
        mode: the colour mode in the file, as Pillow names it.
        turned: the EXIF orientation turned or mirrored the pixels.
    """

    pixels: NDArray[Any]
    mode: str
    turned: bool


def read_image(path: Path, at_least: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Decode an image to RGB ``(H, W, 3)``, 0 to 255.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparent areas become black,
    palettes, CMYK and other colour spaces are converted as Pillow does.

    Args:
        path: the file.
        at_least: height and width that are enough: a JPEG may come at a half, a quarter or an eighth of its
            size then, but no smaller; its decoder makes that several times as quick as the whole.

    Raises:
        ImageError: missing, not an image, damaged, 32-bit, above ``MAX_PIXELS`` or under ``MIN_SIDE_PX``.
    """
    return decode_image(path, at_least).pixels


def read_mask(path: Path, foreground: tuple[int, ...] | None = None) -> NDArray[np.bool_]:
    """Decode a mask to booleans ``(H, W)``; ``binarise`` has the rules.

    Raises:
        ImageError: as ``read_image``, and a mask whose foreground cannot be told.
    """
    return binarise(decode_mask(path).pixels, path, foreground)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as it stands upright, from the file's header alone.

    Raises:
        ImageError: missing, not an image, too large or too small.
    """
    with _opened(path, header_only=True) as image:
        return _upright_size(image)


def decode_image(path: Path, at_least: tuple[int, int] | None = None) -> Decoded:
    """As ``read_image``, with what is worth reporting about the file."""
    with _opened(path) as image:
        if at_least is not None:
            height, width = at_least[::-1] if _orientation(image) >= 5 else at_least
            image.draft(None, (width, height))
        mode, orientation = image.mode, _orientation(image)
        pixels = _rgb(image, path)
        turned_already = image.format == "TIFF"
    del image  # and its memory
    return Decoded(pixels if turned_already else _turned(pixels, orientation), mode, orientation > 1)


def size_in(content: bytes, max_pixels: float = MAX_PIXELS) -> tuple[int, int]:
    """Height and width of an image that came over a wire, as ``image_size``.

    Raises:
        ImageError: as ``image_size``, and more pixels than that; errors speak of ``image``.
    """
    path = Path("image")
    with _opened(path, io.BytesIO(content), header_only=True) as image:
        if image.width * image.height > max_pixels:
            raise _too_large(path, max_pixels)
        return _upright_size(image)


def decode_bytes(
    content: bytes, at_least: Callable[[tuple[int, int]], tuple[int, int] | None]
) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """An image that came over a wire: its own height and width, and its RGB pixels ``(H, W, 3)``.

    Args:
        content: of the file.
        at_least: from height and width to those that are enough, as in ``read_image``; None for all.

    Raises:
        ImageError: as ``read_image``; errors speak of ``image``.
    """
    path = Path("image")
    with _opened(path, io.BytesIO(content)) as image:
        orientation, native = _orientation(image), _upright_size(image)
        if (wanted := at_least(native)) is not None:
            height, width = wanted[::-1] if orientation >= 5 else wanted
            image.draft(None, (width, height))
        pixels = _rgb(image, path)
        turned_already = image.format == "TIFF"
    del image  # and its memory
    return native, pixels if turned_already else _turned(pixels, orientation)


def decode_mask(path: Path) -> Decoded:
    """The grey or class values of a mask ``(H, W)``, before they are made boolean.

    A palette of greys counts as grey values, one of colours as class numbers. Three channels that agree
    are one; two colours count by their brightness.

    Raises:
        ImageError: as ``read_image``; more than two colours; partly transparent.
    """
    with _opened(path) as image:
        mode, turned = image.mode, _orientation(image) > 1
        upright = ImageOps.exif_transpose(image) if turned else image
        return Decoded(_values(upright, path), mode, turned)


def binarise(
    values: NDArray[Any], path: Path, foreground: tuple[int, ...] | None = None
) -> NDArray[np.bool_]:
    """Tell the foreground of a mask.

    Of two values the larger is foreground. A constant 0 is an empty mask, a constant 1 or 128 and above
    a full one. Of more values those from 128 up are foreground, as JPEG blurs what was black and white.

    Args:
        values: ``(H, W)`` as ``decode_mask`` gives them.
        path: named in errors.
        foreground: class values that are foreground; then nothing else is, and no rule applies.

    Raises:
        ImageError: more than 5 % of the pixels in 32..223, or values that look like classes.
    """
    if foreground is not None:
        return np.isin(values, foreground)
    found = distinct(values)
    if len(found) == 1:
        return _constant(values, int(found[0]), path)
    if len(found) == 2:
        return np.asarray(values == found[1])
    grey = as_bytes(values)
    if looks_like_classes(found) or (grey_frac(grey) > MAX_GREY_FRAC and len(found) <= 16):
        detail = (
            f"a mask of several classes, with the values {_listed(found)}; name those that are foreground"
        )
        raise ImageError(path, "multi-class", f"{detail}, {_naming(int(found[1]))}")
    if grey_frac(grey) > MAX_GREY_FRAC:
        detail = f"{grey_frac(grey):.0%} of the pixels are grey, neither background nor foreground"
        raise ImageError(path, "grey", f"{detail}; save it in black and white")
    return grey >= THRESHOLD


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The values that occur, ascending."""
    if values.dtype != np.uint8:
        return np.unique(values)
    counts = Image.fromarray(values).histogram()  # 30 times faster than sorting
    return np.flatnonzero(counts)


def as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values on the scale 0 to 255; those of 16 bits are scaled down."""
    if values.dtype == np.uint8:
        return values
    return (values // 257).astype(np.uint8)


def grey_frac(grey: NDArray[np.uint8]) -> float:
    """The fraction of pixels that are neither near black nor near white (32..223)."""
    counts = Image.fromarray(grey).histogram()
    return sum(counts[GREY.start : GREY.stop]) / grey.size


def looks_like_classes(found: NDArray[Any]) -> bool:
    """Three or more values that are small numbers, with or without 255 for "ignore"."""
    numbers = found[found != 255]
    return len(found) > 2 and int(numbers.max()) < (GREY.start if len(numbers) < len(found) else THRESHOLD)


def _naming(value: int) -> str:
    """How the foreground is named; not every command has both options."""
    return f"as foreground={value} (run: --set foreground={value}; check, evaluate: --foreground {value})"


def _constant(values: NDArray[Any], value: int, path: Path) -> NDArray[np.bool_]:
    if 1 < value < THRESHOLD:
        detail = (
            f"every pixel is {value}, neither background (0) nor foreground (255); save it in black and white"
        )
        raise ImageError(path, "grey", f"{detail}, or name the foreground, {_naming(value)}")
    return np.full(values.shape, value > 0)


def _listed(found: NDArray[Any], most: int = 8) -> str:
    shown = ", ".join(str(value) for value in found[:most])
    return shown + (f" and {len(found) - most} more" if len(found) > most else "")


@contextmanager
def _opened(path: Path, stream: io.BytesIO | None = None, header_only: bool = False) -> Iterator[Image.Image]:
    """Open an image, from its file or a stream; a failure inside the block becomes a line for the user."""
    num_bytes = 0
    try:
        with stream or open_regular(path) as file:
            num_bytes = file.seek(0, io.SEEK_END)
            check_file(file, whole=not header_only)
            with Image.open(file, formats=FORMATS) as image:
                _check_extent(image, path)
                check_opened(image, num_bytes)
                yield image
    except ImageError:
        raise
    except _TOO_LARGE:
        raise _too_large(path) from None
    except ExcessError as error:
        detail = f"asks for more work than any picture needs ({error}); save it again, or leave it out"
        raise ImageError(path, "excessive", detail) from None
    except FileNotFoundError:
        raise ImageError(path, "unreadable", "no such file; check the path") from None
    except UnidentifiedImageError:
        what = (
            "an empty file (0 bytes)"
            if not num_bytes
            else "not an image, or in a format that is not understood"
        )
        raise ImageError(path, "unreadable", f"{what}; replace it by a PNG, JPEG, BMP or TIFF") from None
    except _BROKEN as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        detail = f"cannot be read ({reason}); copy or export the file again"
        raise ImageError(path, "unreadable", detail) from None


def _check_extent(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)
    if min(image.size) < MIN_SIDE_PX:
        detail = f"only {image.width} x {image.height} pixels; each side needs at least {MIN_SIDE_PX}"
        raise ImageError(path, "tiny", detail)


def _too_large(path: Path, max_pixels: float = MAX_PIXELS) -> ImageError:
    detail = f"more than {max_pixels / 10**6:g} million pixels; scale it down first"
    return ImageError(path, "oversized", detail)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; from 5 on height and width change places.

    Of a PNG it counts when it stands before the pixels: looking behind them would decode the image.
    """
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = _orientation(image) >= 5 and image.format != "TIFF"  # whose size Pillow has turned already
    return (image.width, image.height) if turned else (image.height, image.width)


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Upright, by EXIF's number for what a camera did."""
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if orientation >= 5 else pixels)


def _rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    """RGB pixels as they lie in the file; strip by strip, so that no second image of their size is made."""
    if image.mode in ("I", "F"):
        detail = "holds 32-bit values, whose range is not known; save it with 8 or 16 bits"
        raise ImageError(path, "unreadable", detail)
    image.load()
    transparent = image.has_transparency_data and image.mode not in _SIXTEEN_BIT
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows := max(1, STRIP_PIXELS // width)):
        bottom = min(height, top + rows)
        strip = image.crop((0, top, width, bottom))
        if strip.mode in _SIXTEEN_BIT:
            strip = Image.fromarray(as_bytes(np.asarray(strip)))
        if transparent:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "black"), strip.convert("RGBA"))
        pixels[top:bottom] = np.asarray(strip.convert("RGB"))
    return pixels


def _values(image: Image.Image, path: Path) -> NDArray[Any]:
    if image.mode == "P":
        return _palette_values(image)
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode == "L" or image.mode in _SIXTEEN_BIT:
        return np.asarray(image)
    if image.mode in ("I", "F"):
        return _small_numbers(np.asarray(image), path)
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise ImageError(path, "transparent", "partly transparent; save it in black and white without alpha")
    return _agreeing(np.asarray(image.convert("RGB")), path)


def _small_numbers(values: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """Values kept in 32 bits that fit into 8, or two values of any size."""
    found = np.unique(values)
    if len(found) == 2:
        return np.array(values == found[1], np.uint8)
    numbers: NDArray[np.uint8] = values.astype(np.uint8)
    if not (numbers == values).all():
        raise ImageError(path, "multi-class", "32-bit values beyond 0 to 255; save it with 8 bits")
    return numbers


def _palette_values(image: Image.Image) -> NDArray[np.uint8]:
    indices: NDArray[np.uint8] = np.asarray(image)
    palette: NDArray[np.uint8] = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = palette[distinct(indices)]
    if (used == used[:, :1]).all():
        indices = palette[indices, 0]
    return indices


def _agreeing(rgb: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """One grey channel for three that agree, or the brightness where there are two colours."""
    spread = rgb.max(axis=2) - rgb.min(axis=2)
    if int(spread.max()) <= JPEG_COLOUR_NOISE:
        return np.ascontiguousarray(rgb[..., 1])
    colours = np.unique(rgb.reshape(-1, 3), axis=0)
    brightness = colours.sum(axis=1, dtype=np.int64)
    if len(colours) == 2 and brightness[0] != brightness[1]:
        return np.where((rgb == colours[brightness.argmax()]).all(axis=2), np.uint8(255), np.uint8(0))
    shown = ", ".join(str(tuple(map(int, colour))) for colour in colours[:4])
    detail = (
        f"{len(colours)} colours, {shown}{', ...' if len(colours) > 4 else ''}; save it in black and white"
    )
    raise ImageError(
        path,
        "coloured",
        f"{detail}, or as one channel of class numbers, and name the foreground, {_naming(1)}",
    )
