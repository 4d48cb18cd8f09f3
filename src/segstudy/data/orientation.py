"""Pixels upright, by what EXIF and TIFF say of how a camera was held."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TURNED = 5  # from this number on height and width change places


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An image ``(H, W, ...)`` upright, by EXIF's number 1 to 8 for what a camera did."""
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if orientation >= TURNED else pixels)
