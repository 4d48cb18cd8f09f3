"""Masks of one image that show the same object, such as those of two experts: merging them would be wrong."""

from itertools import combinations
from pathlib import Path

import numpy as np

from segstudy.data.mask_pixels import decode_mask
from segstudy.data.samples import Problem
from segstudy.data.sources import Merged

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


def _detail(file: Path, other: Path) -> str:
    return (
        f"{file.name} and {other.name} show nearly the same, as masks of two experts do, but are merged as "
        "if they were two objects; leave one of them out if they are not"
    )
