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
        there, back = scipy.spatial.KDTree(theirs).query(ours)[0], scipy.spatial.KDTree(ours).query(theirs)[0]
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


def _boundary(mask: Mask) -> NDArray[np.intp]:
    """Return row and column of every boundary pixel, ``(n, 2)``."""
    padded = np.pad(mask, 1)
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~surrounded)
