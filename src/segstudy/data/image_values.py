"""The values of an opened image as they are stored, where they are more than 8 bits, and how they become 8.

Pillow keeps 16 bits of grey images only; images in colour with 16 bits are decoded by OpenCV.
"""

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.intensity import COLOURS, Scale
from segstudy.core.quantities import percent
from segstudy.data.image_errors import ImageError
from segstudy.data.tiff_bands import planes_of
from segstudy.data.tiff_tags import BANDS, BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT

SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
STRIP_VALUES = 2**21  # scaled at a time
QUANTILE_VALUES = 10_000  # of an image: enough for where nearly all of its values lie
SIGNED = 2

cv2.utils.logging.setLogLevel(
    cv2.utils.logging.LOG_LEVEL_SILENT
)  # its warnings of odd tags are none of a user's


@dataclass(frozen=True, slots=True)
class Levels:
    """What the values of an image are, as it is stored.

    Attributes:
        is_wide: they are not 8 bits without sign.
        low, high: the smallest and the largest, black before white.
        most: 99.9 % of them are at most that.
        inner: the smallest and the largest without those two.
        is_whole: there are no fractions.
        is_plain: 8 or 16 bits without sign, and zero is black: what ``full`` is for.
        is_inverted: zero is white in the file.
        num_bands: of a TIFF with more than colours, how many bands it has; else 0.
        partly_frac: of a TIFF whose last band is called alpha, the share of pixels neither opaque nor clear.
        darkened_frac: share of pixels that transparency made darker than they are stored.
        is_grey: it has one channel, or three that are equal.
        extents: the smallest and the largest of each channel, where there are two, or four or more.
    """

    is_wide: bool = False
    low: float = 0
    high: float = 255
    most: float = 255
    inner: tuple[float, float] = (0, 255)
    is_whole: bool = True
    is_plain: bool = True
    is_inverted: bool = False
    num_bands: int = 0
    partly_frac: float = 0.0
    darkened_frac: float = 0.0
    is_grey: bool = False
    extents: tuple[tuple[float, float], ...] = ()

    @property
    def is_constant(self) -> bool:
        return self.low == self.high

    def joined(self, other: "Levels") -> "Levels":
        """The levels of both, as of two slices of a volume."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        ends = {each for both in (self, other) for each in (both.low, both.high, *both.inner)}
        inner = sorted(ends - {low, high}) or [low, high]
        return replace(
            self,
            is_wide=self.is_wide or other.is_wide,
            low=low,
            high=high,
            most=max(self.most, other.most),
            inner=(inner[0], inner[-1]),
            is_whole=self.is_whole and other.is_whole,
            is_plain=self.is_plain and other.is_plain,
            is_inverted=self.is_inverted and other.is_inverted,
            is_grey=self.is_grey and other.is_grey,
        )


def tag(image: Image.Image, number: int) -> tuple[int, ...]:
    """The values of a TIFF's tag; none of another format, or where it is missing."""
    found = getattr(image, "tag_v2", {}).get(number, ())
    return found if isinstance(found, tuple) else (found,)


def is_white_zero(image: Image.Image) -> bool:
    """Whether a TIFF says that zero is white."""
    return image.format == "TIFF" and tag(image, PHOTOMETRIC) == (0,)


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an image has 16 bits in several channels, of which Pillow keeps the upper 8."""
    if image.format == "TIFF":
        bits = tag(image, BITS)
        return len(bits) > 1 and max(bits) > 8
    return image.format == "PNG" and raw_mode(image).endswith(";16B") and image.mode != "I;16"


def raw_mode(image: Image.Image) -> str:
    """How the pixels of an image that is not loaded yet lie in its file, as Pillow names it; else nothing."""
    tile = getattr(image, "tile", None)
    return str(tile[0][3]) if tile else ""


def has_deep_planes(image: Image.Image) -> bool:
    """Whether a TIFF has 16 bits and its bands one after the other, which Pillow takes for bands of 8."""
    return is_deep_colour(image) and tag(image, PLANES) == (2,)


def undivided(image: Image.Image) -> None:
    """Have an image that is not loaded yet keep its colours, which Pillow divides by an associated alpha."""
    tiles = getattr(image, "tile", [])
    if tiles and isinstance(tiles[0][3], tuple) and tiles[0][3][0] == "RGBa":
        image.tile = [tile._replace(args=("RGBA", *tile.args[1:])) for tile in tiles]  # type: ignore[attr-defined]


def wide_values(image: Image.Image, path: Path, with_alpha: bool = False) -> NDArray[Any] | None:
    """Values ``(H, W)`` or ``(H, W, 3)`` of an image with more than 8 bits or a sign; None of others.

    With alpha a PNG that has one gives ``(H, W, 4)``. Zero is black. TIFFs are upright, as Pillow turns them
    itself.

    Raises:
        ImageError: values without meaning: NaN; or more than can be decoded.
    """
    if is_deep_colour(image):
        return _deep_colour(image, path, with_alpha)
    if image.mode in SIXTEEN_BIT:
        values = np.asarray(image)
        return np.asarray(np.uint16(65535) - values) if is_white_zero(image) else values
    if image.mode == "I":
        values = np.asarray(image)
        return values.view(np.uint32) if tag(image, BITS) == (32,) and _is_unsigned(image) else values
    if image.mode == "F":
        return finite(np.asarray(image), path, is_white_zero(image))
    if image.mode == "L" and tag(image, SAMPLE_FORMAT) == (SIGNED,):
        return np.asarray(image).view(np.int8).astype(np.int16)
    return None


def _is_unsigned(image: Image.Image) -> bool:
    return tag(image, SAMPLE_FORMAT) in ((), (1,))


def finite(values: NDArray[Any], path: Path, is_inverted: bool = False) -> NDArray[Any]:
    """Return values as they are.

    Raises:
        ImageError: some are no numbers; or zero is white, of which nobody says where black is.
    """
    if not np.isfinite(values).all():
        frac = 1 - float(np.isfinite(values).mean())
        detail = (
            f"{percent(frac, 2)} of its values are NaN or infinite, pixels without data; write a number there"
        )
        raise ImageError(path, "no-data", detail)
    if is_inverted:
        detail = "32-bit values of which zero is white (TIFF photometric); save it with zero as black"
        raise ImageError(path, "white-is-zero", detail)
    return values


def _deep_colour(image: Image.Image, path: Path, with_alpha: bool) -> NDArray[Any]:
    stream: Any = image.fp  # type: ignore[attr-defined]
    place = stream.tell()
    stream.seek(0)
    content = stream.read()
    stream.seek(place)  # where Pillow continues
    if has_deep_planes(image):
        return _planes(image, content, path)
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim != 3:
        detail = "16 bits in several channels that cannot be read, damaged perhaps; save it again as a PNG"
        raise ImageError(path, "unreadable", detail)
    colours = found[..., 2::-1]
    return np.concatenate([colours, found[..., 3:]], axis=2) if with_alpha else np.ascontiguousarray(colours)


def _planes(image: Image.Image, content: bytes, path: Path) -> NDArray[Any]:
    try:
        return planes_of(image, content)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        detail = "a TIFF of 16 bits whose bands lie one after the other, damaged or built in an unusual way"
        raise ImageError(path, "bands", f"{detail}; save it with its bands pixel by pixel") from None


def levels_of(values: NDArray[Any], image: Image.Image) -> Levels:
    """What there is to say of wide values."""
    step = max(1, values.size // QUANTILE_VALUES)
    low, high = values.min(), values.max()
    inner = values[(values > low) & (values < high)]
    return Levels(
        is_wide=True,
        low=float(low),
        high=float(high),
        inner=(float(inner.min()), float(inner.max())) if inner.size else (float(low), float(high)),
        most=float(np.quantile(values.ravel()[::step], 0.999)),
        is_whole=values.dtype.kind != "f" or not (values % 1).any(),
        is_plain=values.dtype == np.uint16 and not is_white_zero(image),
        is_inverted=is_white_zero(image),
        num_bands=num_bands if (num_bands := max(tag(image, BANDS) or (1,))) > COLOURS else 0,
    )


def levels_of_bytes(image: Image.Image) -> Levels:
    """What there is to say of an 8-bit image without looking at its values."""
    num_bands = max(tag(image, BANDS) or (1,))
    has_more = num_bands > len(image.getbands()) or (
        num_bands in (2, 4) and image.mode in ("LA", "La", "RGBA", "RGBa")
    )
    return Levels(num_bands=num_bands if has_more else 0, is_inverted=is_white_zero(image))


def scaled_bytes(pixels: NDArray[np.uint8], scale: Scale) -> NDArray[np.uint8]:
    """8-bit pixels by a scale that is for them."""
    return _table(scale.low, scale.high)[pixels]


def scaled(values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    """Values to 8 bits ``(H, W, channels)``, of grey ``(H, W, 3)``.

    Those at the ends of the scale become 0 and 255, rounded between.
    Without a scale an image's own extent counts: to look at it, before the scale of all is known.
    """
    low, high = (float(values.min()), float(values.max())) if scale.kind == "auto" else scale.extent
    out = np.empty((*values.shape[:2], COLOURS if values.ndim == 2 else values.shape[2]), np.uint8)
    for top in range(0, len(values), rows := max(1, STRIP_VALUES // max(1, values[0].size))):
        strip = values[top : top + rows]
        if strip.dtype in (np.uint8, np.uint16):
            grey = _table(low, high)[strip]
        else:
            grey = _to_bytes(strip.astype(np.float64), low, high)
        out[top : top + rows] = grey if grey.ndim == 3 else grey[..., None]
    return out


@lru_cache(maxsize=4)
def _table(low: float, high: float) -> NDArray[np.uint8]:
    return _to_bytes(np.arange(65536, dtype=np.float64), low, high)


def _to_bytes(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    return np.rint(np.clip((values - low) * (255 / max(high - low, 1e-300)), 0, 255)).astype(np.uint8)
