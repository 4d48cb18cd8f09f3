"""Measurements and polygons of a mask. Needs no PyTorch.

Pixels that touch by a corner belong together. Positions are in pixels from the top left corner, x to the
right, y down, and name pixel centres.
"""

from dataclasses import dataclass
from math import prod

import cv2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict  # pydantic describes the standard library's from Python 3.12 on only

Mask = NDArray[np.bool_]
Points = list[list[int]]


class Polygon(TypedDict):
    """A connected component of a mask: the pixels of its outline, as ``[x, y]``, and of its holes."""

    outer: Points
    holes: list[Points]


@dataclass(frozen=True, slots=True)
class Measures:
    """Measurements of a mask; for an empty mask, position and shape are None.

    Attributes:
        area_px: number of foreground pixels.
        area_frac: share of the image's pixels.
        left_px: left edge of the bounding box.
        top_px: top edge of the bounding box.
        width_px: width of the bounding box.
        height_px: height of the bounding box.
        centroid_x_px: mean position of the foreground.
        centroid_y_px: mean position of the foreground.
        perimeter_px: length of all outlines with those of holes, from pixel centre to pixel centre.
        num_parts: number of connected components.
        touches_border: whether foreground touches the image's border, so some of it may be cut off.
        confidence: mean probability of the foreground; for an empty mask, one minus the highest one.

    With several classes, a class is the foreground of its own mask.
    """

    area_px: int
    area_frac: float
    left_px: int | None
    top_px: int | None
    width_px: int | None
    height_px: int | None
    centroid_x_px: float | None
    centroid_y_px: float | None
    perimeter_px: float
    num_parts: int
    touches_border: bool
    confidence: float


def measured(mask: Mask, prob: NDArray[np.float32]) -> Measures:
    """Measure a mask ``(H, W)``, with the probabilities of its class that it was made from."""
    if not np.count_nonzero(mask):
        sure = round(1 - float(prob.max()), 4)
        return Measures(0, 0.0, None, None, None, None, None, None, 0.0, 0, False, sure)
    left, top, width, height = map(int, cv2.boundingRect(mask.view(np.uint8)))
    box = slice(top, top + height), slice(left, left + width)  # nothing is outside
    return _measured_in(mask[box], prob[box], (left, top), mask.shape)


def measured_objects(mask: Mask, prob: NDArray[np.float32]) -> list[Measures]:
    """Measure every connected component of a mask ``(H, W)``, from the top; see ``measured``."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        left, top, width, height, _ = map(int, stats[number])
        box = slice(top, top + height), slice(left, left + width)
        found.append(_measured_in(parts[box] == number, prob[box], (left, top), mask.shape))
    return found


def _measured_in(
    inner: Mask, prob: NDArray[np.float32], corner: tuple[int, int], shape: tuple[int, ...]
) -> Measures:
    """Measure what lies in a box that begins at ``corner``, x and y, of an image of this shape."""
    (left, top), (height, width) = corner, inner.shape
    area = int(np.count_nonzero(inner))
    pixels = np.ascontiguousarray(inner).view(np.uint8)
    contours, tree = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    moments = cv2.moments(pixels, binaryImage=True)
    return Measures(
        area_px=area,
        area_frac=round(area / prod(shape), 6),
        left_px=left,
        top_px=top,
        width_px=width,
        height_px=height,
        # Of whole numbers, so that they are those of the whole image in every bit.
        centroid_x_px=round((moments["m10"] + left * area) / area, 2),
        centroid_y_px=round((moments["m01"] + top * area) / area, 2),
        perimeter_px=round(sum(cv2.arcLength(each, closed=True) for each in contours), 1),
        num_parts=sum(int(parent) < 0 for parent in tree[0][:, 3]),
        touches_border=top == 0 or left == 0 or top + height == shape[0] or left + width == shape[1],
        confidence=round(float(prob[inner].mean()), 4),
    )


def polygons(mask: Mask) -> list[Polygon]:
    """Return the outlines of every connected part of a mask ``(H, W)``; straight lines by their ends."""
    contours, tree = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    found: dict[int, Polygon] = {}
    inner: list[tuple[int, Points]] = []
    for i, contour in enumerate(contours):
        points: Points = contour[:, 0, :].tolist()
        parent = int(tree[0][i][3])
        if parent < 0:
            found[i] = {"outer": points, "holes": []}
        else:
            inner.append((parent, points))
    for parent, points in inner:
        found[parent]["holes"].append(points)
    return list(found.values())
