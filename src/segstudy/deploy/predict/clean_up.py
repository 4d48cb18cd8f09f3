"""The clean-up of masks: holes filled, small parts left out. Needs no PyTorch.

Pixels that touch by a corner belong together. Of several classes each is cleaned up by itself; what then has
none is background. Classes that exclude each other and have no background cannot be cleaned up.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudy.core.outputs import BINARY, Outputs

Plane = NDArray[np.bool_]


def can_clean_up(outputs: Outputs) -> bool:
    """Whether masks of these classes have a background."""
    return outputs.task != "multiclass" or 0 not in outputs.scored


def largest_component(mask: NDArray[Any], outputs: Outputs = BINARY) -> NDArray[Any]:
    """Return a mask ``(H, W)`` with only the largest connected part of each class.

    Of equal ones it is the first from the top.
    """
    match outputs.task:
        case "binary":
            return _largest(mask)
        case "multilabel":
            return _plane_by_plane(mask, outputs, _largest)
    kept = np.zeros_like(mask)
    for number in outputs.scored:
        kept[_largest(outputs.plane(mask, number))] = number
    return kept


def fill_holes(mask: NDArray[Any], outputs: Outputs = BINARY) -> NDArray[Any]:
    """Return a mask ``(H, W)`` with every hole filled: background that foreground encloses.

    Of exclusive classes the background within a class gets this class, of several the innermost; other
    classes within stay. Of overlapping ones the holes of each are filled, whatever else is there.
    """
    match outputs.task:
        case "binary":
            return _filled(mask)
        case "multilabel":
            return _plane_by_plane(mask, outputs, _filled)
    filled, smallest = mask.copy(), np.full(mask.shape, mask.size, np.int64)
    for number in outputs.scored:
        size = _hole_sizes(outputs.plane(mask, number))
        inner = (mask == 0) & (size < smallest)
        filled[inner], smallest[inner] = number, size[inner]
    return filled


def _plane_by_plane(
    mask: NDArray[np.uint16], outputs: Outputs, clean: Callable[[Plane], Plane]
) -> NDArray[np.uint16]:
    cleaned = np.zeros_like(mask)
    for number in range(len(outputs.names)):
        cleaned |= np.where(clean(outputs.plane(mask, number)), np.uint16(1 << number), np.uint16(0))
    return cleaned


def _largest(plane: Plane) -> Plane:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(plane.view(np.uint8), connectivity=8)
    if count <= 2:
        return plane
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(parts == largest)


def _filled(plane: Plane) -> Plane:
    contours, _ = cv2.findContours(plane.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(plane.shape, np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled.view(np.bool_)


def _hole_sizes(plane: Plane) -> NDArray[np.int64]:
    """Return of each pixel in a hole of the plane the size of that hole; of others more than any."""
    outside = (~plane).view(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    is_hole = (left > 0) & (top > 0) & (right < plane.shape[1]) & (bottom < plane.shape[0])
    is_hole[0] = False  # the plane itself
    sizes: NDArray[np.int64] = np.where(is_hole, stats[:, cv2.CC_STAT_AREA], plane.size).astype(np.int64)
    return np.asarray(sizes[parts])
