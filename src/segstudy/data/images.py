"""Image files to arrays: the only place where images are decoded; for masks see ``mask_pixels``.

Whatever the file's colour mode, an image becomes 8-bit RGB, turned upright by its EXIF orientation. A file
with several pages or frames is refused.
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from segstudy.core.errors import UserError, one_line, printable
from segstudy.core.input_files import open_regular
from segstudy.data.decoding_limits import ExcessError, check_file, check_opened
from segstudy.data.image_formats import NO_CONTENT, SNIFFED_BYTES, prepare_for, unread
from segstudy.data.pages import SEVERAL, pages_of

MAX_PIXELS = 100_000_000
MIN_SIDE_PX = 8
STRIP_PIXELS = 2**20  # converted at a time

# Pillow's own limit becomes ours. What it only warns of is refused below, so its warning says nothing new.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of broken tags: none of a user's

_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)  # all seen from Pillow
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")


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
class DecodedImage:
    """A decoded image, and what of its storage is worth reporting.

    Attributes:
        pixels: ``(H, W, 3)`` uint8, RGB, upright.
        mode: the colour mode in the file, as Pillow names it.
        turned: the EXIF orientation turned or mirrored the pixels.
    """

    pixels: NDArray[np.uint8]
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


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as it stands upright, from the file's header alone.

    Raises:
        ImageError: missing, not an image, too large or too small.
    """
    with opened(path, header_only=True) as image:
        return _upright_size(image)


def decode_image(path: Path, at_least: tuple[int, int] | None = None) -> DecodedImage:
    """As ``read_image``, with what is worth reporting about the file."""
    with opened(path) as image:
        if at_least is not None:
            height, width = at_least[::-1] if orientation_of(image) >= 5 else at_least
            image.draft(None, (width, height))
        mode, orientation = image.mode, orientation_of(image)
        pixels = _rgb(image, path)
        turned_already = image.format == "TIFF"
    del image  # and its memory
    return DecodedImage(pixels if turned_already else _turned(pixels, orientation), mode, orientation > 1)


def size_in(content: bytes, max_pixels: float = MAX_PIXELS) -> tuple[int, int]:
    """Height and width of an image that came over a wire, as ``image_size``.

    Raises:
        ImageError: as ``image_size``, and more pixels than that; errors speak of ``image``.
    """
    path = Path("image")
    with opened(path, io.BytesIO(content), header_only=True) as image:
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
    with opened(path, io.BytesIO(content)) as image:
        orientation, native = orientation_of(image), _upright_size(image)
        if (wanted := at_least(native)) is not None:
            height, width = wanted[::-1] if orientation >= 5 else wanted
            image.draft(None, (width, height))
        pixels = _rgb(image, path)
        turned_already = image.format == "TIFF"
    del image  # and its memory
    return native, pixels if turned_already else _turned(pixels, orientation)


@contextmanager
def opened(path: Path, stream: io.BytesIO | None = None, header_only: bool = False) -> Iterator[Image.Image]:
    """Open an image, from its file or a stream; a failure inside the block becomes a line for the user."""
    head = b""
    try:
        with stream or open_regular(path) as file:
            num_bytes = file.seek(0, io.SEEK_END)
            check_file(file, whole=not header_only)
            head = file.read(SNIFFED_BYTES)
            file.seek(0)
            with Image.open(file, formats=prepare_for(head)) as image:
                _check_extent(image, path)
                check_opened(image, num_bytes)
                _check_pages(pages_of(image, file, num_bytes), path)
                yield image
    except ImageError:
        raise
    except _TOO_LARGE:
        raise _too_large(path) from None
    except ExcessError as error:
        detail = f"asks for more work than any picture needs ({error}); save it again, or leave it out"
        raise ImageError(path, "excessive", detail) from None
    except FileNotFoundError:
        detail = NO_CONTENT if path.is_symlink() else "no such file; check the path"
        raise ImageError(path, "unreadable", detail) from None
    except UnidentifiedImageError:
        raise ImageError(path, "unreadable", unread(head)) from None
    except _BROKEN as error:
        reason = one_line(getattr(error, "strerror", None) or error)
        detail = f"cannot be read ({reason}); copy or export the file again"
        raise ImageError(path, "unreadable", detail) from None


def _check_extent(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)
    if min(image.size) < MIN_SIDE_PX:
        detail = f"only {image.width} x {image.height} pixels; each side needs at least {MIN_SIDE_PX}"
        raise ImageError(path, "tiny", detail)


def _check_pages(pages: int, path: Path) -> None:
    if pages != 1:
        number = "several" if pages == SEVERAL else f"{pages:,}"
        detail = f"holds {number} pages or frames, which one is meant? Save each as a file of its own"
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
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = orientation_of(image) >= 5 and image.format != "TIFF"  # whose size Pillow has turned already
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
    transparent = image.has_transparency_data and image.mode not in SIXTEEN_BIT
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows := max(1, STRIP_PIXELS // width)):
        bottom = min(height, top + rows)
        strip = image.crop((0, top, width, bottom))
        if strip.mode in SIXTEEN_BIT:
            strip = Image.fromarray((np.asarray(strip) // 257).astype(np.uint8))
        if transparent:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "black"), strip.convert("RGBA"))
        pixels[top:bottom] = np.asarray(strip.convert("RGB"))
    return pixels
