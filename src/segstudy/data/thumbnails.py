"""Small images of prepared samples, for galleries and for comparing data sets."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.encoded_images import image_bytes
from segstudy.core.outputs import IGNORED, IGNORED_BITS, Mask, Outputs
from segstudy.data import preprocess
from segstudy.data.channels import picture_of
from segstudy.data.prepared import Prepared

THUMBNAIL_PX = 192


def small_image(prepared: Prepared, position: int) -> bytes:
    """A prepared image without its padding, in its own proportions and small, as a JPEG."""
    picture = picture_of(prepared.images[position])
    return image_bytes(_small(prepared, position, picture), "JPEG", quality=85)


def small_mask(prepared: Prepared, position: int) -> bytes:
    """The mask of the same, as PNG: black and white; of several classes their numbers, or bits, in grey."""
    mask = prepared.masks[position]
    return image_bytes(_small(prepared, position, mask, Image.Resampling.NEAREST), "PNG")


def _small(
    prepared: Prepared, position: int, pixels: NDArray[Any], how: Image.Resampling | None = None
) -> Image.Image:
    height, width = prepared.native_sizes[position]
    scale = THUMBNAIL_PX / max(height, width)
    top, left, h, w = preprocess.placement((height, width), prepared.masks.shape[1:], prepared.resize)
    inner = Image.fromarray(pixels[top : top + h, left : left + w])
    return inner.resize((max(1, round(width * scale)), max(1, round(height * scale))), how)


def read_small_mask(png: bytes, outputs: Outputs, size: tuple[int, int] | None = None) -> Mask:
    """The mask of ``small_mask``, of the type that masks of these classes have.

    Args:
        png: the file.
        outputs: the classes of the data set.
        size: width and height to which it is resized, class by class; None for its own.
    """
    image = Image.open(io.BytesIO(png), formats=("PNG",))
    if outputs.mask_dtype is np.bool_:
        grey = image.convert("L")
        return np.asarray(grey if size is None else grey.resize(size, Image.Resampling.BILINEAR)) >= 128
    mask: NDArray[Any] = np.asarray(image).astype(outputs.mask_dtype)
    return mask if size is None else _resized(mask, outputs, size)


def _resized(mask: NDArray[Any], outputs: Outputs, size: tuple[int, int]) -> Mask:
    """A mask of several classes at another size; a pixel that is ignored in part counts as ignored."""
    planes = np.stack([_shares(outputs.plane(mask, k), size) for k in range(len(outputs.names))])
    out: NDArray[Any] = np.array(outputs.decide(planes if outputs.task != "binary" else planes[1]))
    if (valid := outputs.valid(mask)) is not None:
        ignored = _shares(~valid, size) > 0
        out[ignored] = IGNORED_BITS if outputs.task == "multilabel" else IGNORED
    return out


def _shares(plane: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
