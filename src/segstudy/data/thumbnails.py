"""Small images of prepared samples, for galleries and for comparing data sets."""

from typing import Any

from numpy.typing import NDArray
from PIL import Image

from segstudy.core.encoded_images import image_bytes
from segstudy.data import preprocess
from segstudy.data.prepared import Prepared

THUMBNAIL_PX = 192


def small_image(prepared: Prepared, position: int) -> bytes:
    """A prepared image without its padding, in its own proportions and small, as a JPEG."""
    return image_bytes(_small(prepared, position, prepared.images[position]), "JPEG", quality=85)


def small_mask(prepared: Prepared, position: int) -> bytes:
    """The mask of the same, as PNG."""
    return image_bytes(_small(prepared, position, prepared.masks[position]), "PNG")


def _small(prepared: Prepared, position: int, pixels: NDArray[Any]) -> Image.Image:
    height, width = prepared.native_sizes[position]
    scale = THUMBNAIL_PX / max(height, width)
    top, left, h, w = preprocess.placement((height, width), prepared.masks.shape[1:], prepared.resize)
    inner = Image.fromarray(pixels[top : top + h, left : left + w])
    return inner.resize((max(1, round(width * scale)), max(1, round(height * scale))))
