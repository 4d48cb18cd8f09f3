"""The outline of a mask, as reports and predictions draw it."""

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def outline(mask: Mask, width_px: int = 1) -> Mask:
    """The foreground within ``width_px`` of the background; the image's border is no background."""
    side = 2 * width_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    inner = cv2.erode(mask.view(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE)
    return mask & ~inner.view(np.bool_)
