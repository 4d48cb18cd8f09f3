"""Distances between the boundaries of two masks.

They follow the empty-mask rule of ``overlap``: two empty masks are 0 px apart, and one empty mask, a missed
lesion, has the whole diagonal of the image as its distance. (Libraries give NaN or infinity there, and the
image is left out of the mean.)
"""

from dataclasses import dataclass

import numpy as np
import scipy  # scipy.spatial is imported at its first use
from numpy.typing import NDArray

from segstudy.core.metric_names import NSD_TOLERANCE
from segstudy.metrics.counts import Mask


@dataclass(frozen=True, slots=True)
class Distances:
    """The distances between the boundaries of two masks, in pixels.

    Attributes:
        hd95_px: Hausdorff distance at the 95th percentile, the larger of the two directions.
        asd_px: average surface distance, the mean over the pixels of both boundaries.
        nsd: normalised surface distance, the share of both boundaries no farther than the tolerance from the
            other (arXiv:1809.04430).
        diagonal_px: of the image.
    """

    hd95_px: float
    asd_px: float
    nsd: float
    diagonal_px: float


def distances(prediction: Mask, target: Mask, nsd_tolerance: float = NSD_TOLERANCE) -> Distances:
    """Return the distances between the boundaries of two masks ``(H, W)``.

    A boundary is the foreground pixels with a neighbour (of four) outside the mask or the image: the frame
    counts as boundary. Distances run from pixel centre to pixel centre. The tolerance of the normalised
    surface distance is a share of the diagonal.
    """
    assert prediction.shape == target.shape
    diagonal = float(np.hypot(*target.shape))
    ours, theirs = _boundary(prediction), _boundary(target)
    if len(ours) and len(theirs):
        there, back = _nearest(ours, theirs), _nearest(theirs, ours)
        hd95 = max(float(np.percentile(there, 95)), float(np.percentile(back, 95)))
        both = np.concatenate([there, back])
        asd, nsd = float(np.mean(both)), float(np.mean(both <= nsd_tolerance * diagonal))
        return Distances(hd95, asd, nsd, diagonal)
    if len(ours) or len(theirs):
        return Distances(diagonal, diagonal, 0.0, diagonal)
    return Distances(0.0, 0.0, 1.0, diagonal)


def hd95_px(d: Distances) -> float:
    """Return the Hausdorff distance at the 95th percentile, in pixels."""
    return d.hd95_px


def hd95_frac(d: Distances) -> float:
    """Return the same as a fraction of the image's diagonal."""
    return d.hd95_px / d.diagonal_px


def asd_px(d: Distances) -> float:
    """Return the average surface distance, in pixels."""
    return d.asd_px


def asd_frac(d: Distances) -> float:
    """Return the same as a fraction of the image's diagonal."""
    return d.asd_px / d.diagonal_px


def nsd(d: Distances) -> float:
    """Return the normalised surface distance."""
    return d.nsd


def _nearest(pixels: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the distance of each pixel to the nearest of the others."""
    # A tree that is not balanced is made in half the time; distances do not depend on its form.
    tree = scipy.spatial.KDTree(others, leafsize=32, balanced_tree=False)
    distance: NDArray[np.float64] = tree.query(pixels)[0]
    return distance


def _boundary(mask: Mask) -> NDArray[np.intp]:
    """Return row and column of every boundary pixel, ``(n, 2)``."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.empty((0, 2), np.intp)
    top, left = rows[0], columns[0]
    padded = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    found = padded[1:-1, 1:-1] & ~surrounded
    # Through the places in memory, as ``np.argwhere`` takes ten times as long.
    row, column = np.divmod(np.flatnonzero(found), found.shape[1])
    return np.stack([row + top, column + left], axis=1)
