"""Distances between the outlines of two masks."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from segstudy.metrics.overlap import Mask

NSD_TOLERANCE = 0.02  # of the diagonal: the width of boundary IoU (arXiv:2103.16562)


def surface_scores(prediction: Mask, target: Mask) -> dict[str, float]:
    """How far the boundaries of two masks ``(H, W)`` lie apart.

    A boundary is the foreground pixels with a neighbour (of four) outside the mask or the image: the frame
    counts as boundary. Distances run from pixel centre to pixel centre.

    Returns:
        ``hd95_px``: Hausdorff distance at the 95th percentile, the larger of the two directions;
        ``asd_px``: average surface distance, the mean over the pixels of both boundaries;
        ``hd95_frac``, ``asd_frac``: the same over the image's diagonal;
        ``nsd``: normalised surface distance, the share of both boundaries no farther than 2 % of the
        diagonal from the other (arXiv:1809.04430).
    """
    assert prediction.shape == target.shape
    diagonal = float(np.hypot(*target.shape))
    ours, theirs = _boundary(prediction), _boundary(target)
    if len(ours) and len(theirs):
        there, back = KDTree(theirs).query(ours)[0], KDTree(ours).query(theirs)[0]
        hd95 = max(float(np.percentile(there, 95)), float(np.percentile(back, 95)))
        both = np.concatenate([there, back])
        asd, nsd = float(np.mean(both)), float(np.mean(both <= NSD_TOLERANCE * diagonal))
    elif len(ours) or len(theirs):
        hd95, asd, nsd = diagonal, diagonal, 0.0
    else:
        hd95, asd, nsd = 0.0, 0.0, 1.0
    return {
        "hd95_px": hd95,
        "asd_px": asd,
        "hd95_frac": hd95 / diagonal,
        "asd_frac": asd / diagonal,
        "nsd": nsd,
    }


def _boundary(mask: Mask) -> NDArray[np.intp]:
    """Row and column of every boundary pixel, ``(n, 2)``."""
    padded = np.pad(mask, 1)
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~surrounded)
