"""Means over the images that have something, if which images have it differs from run to run.

Such a mean is a ratio: the sum of the scores over the number of images that have it. Its linearisation
(Woodruff 1971; Cochran 1977, chapter 6) is a score of every image whose mean is the ratio and whose spread is
the ratio's, so that intervals, differences and tests of means hold for it too.
"""

import numpy as np

from segstudy.stats.intervals import Scores


def linearised(sums: Scores, weights: Scores) -> Scores:
    """Return scores of all images whose mean is, run by run, the ratio of both means.

    Args:
        sums: ``(replicates, images)``: the score of an image that has it, else 0.
        weights: ``(replicates, images)``: 1 for an image that has it, else 0; means over repeats lie between.

    Returns:
        ``(replicates, images)``. Where all weights are 1 they are the scores themselves. They may lie outside
        of the score's range.

    Raises:
        ValueError: a replicate has no image with it.

    >>> linearised(np.array([[0.9, 0.0, 0.7]]), np.array([[1.0, 0.0, 1.0]])).mean().round(3)
    np.float64(0.8)
    """
    share = weights.mean(axis=1, keepdims=True)
    if not share.all():
        raise ValueError("each replicate needs an image that counts")
    ratio = sums.mean(axis=1, keepdims=True) / share
    return np.asarray(ratio + (sums - ratio * weights) / share)
