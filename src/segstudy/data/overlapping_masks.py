"""Masks of one image that show the same object, such as those of two experts: merging them would be wrong."""

from itertools import combinations
from pathlib import Path

import numpy as np

from segstudy.core.quantities import counted
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.samples import Problem
from segstudy.data.sources import MaskSource, Merged

SAME_IOU = 0.5  # from which on two masks are of one object; objects of an image hardly overlap
MOST = 20  # masks of an image that are compared with one another


def overlap_problems(where: str, source: Merged) -> list[Problem]:
    """Compare the masks of an image two by two; a warning where two of them show the same object.

    Args:
        where: the first mask, for the message.
        source: masks that could be decoded; whatever is not 0 is foreground.

    Raises:
        ImageError: a mask that cannot be read.
    """
    masks = [(file, decode_mask(file).values != 0) for file in source.files[:MOST]]
    for (file, one), (other_file, other) in combinations(masks, 2):
        either = np.count_nonzero(one | other)
        if either and np.count_nonzero(one & other) / either >= SAME_IOU:
            return [Problem("warning", "overlapping masks", where, _detail(file, other_file))]
    return []


def class_overlap_problems(where: str, source: MaskSource) -> list[Problem]:
    """A warning where masks of several objects give a pixel to several classes; the largest counts.

    Args:
        where: the mask, for the message.
        source: that could be decoded; only several merged masks can overlap.

    Raises:
        ImageError: a mask that cannot be read.
    """
    if not isinstance(source, Merged):
        return []
    first, *others = (decode_mask(file).values for file in source.files)
    merged, num_px = first, 0
    for other in others:
        num_px += int(np.count_nonzero((merged != other) & (merged != 0) & (other != 0)))
        merged = np.maximum(merged, other)
    if not num_px:
        return []
    detail = f"{counted(num_px, 'pixel')} of its masks are of several classes; the larger value counts there"
    return [Problem("warning", "overlapping classes", where, detail)]


def _detail(file: Path, other: Path) -> str:
    return (
        f"{file.name} and {other.name} show nearly the same, as masks of two experts do, but are merged as "
        "if they were two objects; leave one of them out if they are not"
    )
