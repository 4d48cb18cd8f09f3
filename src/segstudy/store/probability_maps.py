"""The column ``prob`` of predictions.parquet: the probabilities of an image as a PNG of 256 steps.

Those of several classes lie one below the other, the first class on top: K times as many rows.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.encoded_images import image_bytes
from segstudy.core.outputs import Outputs


def probability_png(prob: NDArray[np.float32]) -> bytes:
    """Return probabilities of ``outputs.prob_shape`` as the bytes of a PNG."""
    steps = np.round(prob * 255).astype(np.uint8)
    return image_bytes(Image.fromarray(steps.reshape(-1, prob.shape[-1])), "PNG")


def probability_map(png: bytes, outputs: Outputs) -> NDArray[np.float32]:
    """Return the probabilities of such a PNG, in the shape of ``outputs.prob_shape``.

    Raises:
        ValueError: its rows are not those of so many classes.
    """
    pixels = np.asarray(Image.open(io.BytesIO(png), formats=("PNG",)), np.float32) / np.float32(255)
    rows, width = pixels.shape
    if outputs.task == "binary":
        return pixels
    return pixels.reshape(len(outputs.names), rows // len(outputs.names), width)
