"""Whether probabilities mean what they say, over images. Arrays in, frozen results out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from segstudy.stats.intervals import LEVEL

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The pixels whose foreground probability lies in one bin.

    Attributes:
        predicted: their mean probability.
        observed: their share of true foreground, each image with the same weight.
        low, high: its 95 % interval over groups of images.
        share: of all pixels.
        num_groups: groups of images that have such pixels.
    """

    predicted: float
    observed: float
    low: float
    high: float
    share: float
    num_groups: int


def reliability(
    pixels: Shares, true: Shares, prob: Shares, groups: Sequence[str], fewest: int
) -> list[ReliabilityBin]:
    """Return the bins of a reliability diagram.

    The share of true foreground is a ratio of two sums over groups; its interval is from the residuals of
    the groups (Cochran 1977, ratio estimator), so pixels of an image or patient do not count as independent.

    Args:
        pixels: ``(images, bins)``: pixels of each bin, as a share of the image's.
        true: those of the true mask, in the same unit.
        prob: the sums of their probabilities, in the same unit.
        groups: of each image.
        fewest: bins with pixels in fewer groups are left out.
    """
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    by_group = [_group_sums(each, place) for each in (pixels, true)]
    found = []
    for b in range(pixels.shape[1]):
        size, hit = by_group[0][:, b], by_group[1][:, b]
        there = size > 0
        num_groups = int(there.sum())
        if num_groups < max(fewest, 2):
            continue
        observed = float(hit.sum() / size.sum())
        left = (hit - observed * size)[there]
        error = np.sqrt(float((left**2).sum()) * num_groups / (num_groups - 1)) / float(size.sum())
        half = float(stdtrit(num_groups - 1, (1 + LEVEL) / 2)) * error
        found.append(
            ReliabilityBin(
                predicted=float(prob[:, b].sum() / pixels[:, b].sum()),
                observed=observed,
                low=max(0.0, observed - half),
                high=min(1.0, observed + half),
                share=float(pixels[:, b].mean()),
                num_groups=num_groups,
            )
        )
    return found


def _group_sums(shares: Shares, place: NDArray[np.int64]) -> Shares:
    return np.stack([np.bincount(place, column) for column in shares.T], axis=1)


def overconfidence(pixels: Shares, true: Shares, prob: Shares, first_positive: int) -> Shares:
    """Return how much surer of its pixels a network is than it is right, for each run and image.

    A pixel's confidence is the probability of the class it is given; on average that should be the share of
    pixels that are right.

    Args:
        pixels: ``(runs, images, bins)``, see ``reliability``.
        true: the same of the true mask.
        prob: the same of the probabilities.
        first_positive: the first bin that counts as foreground.

    Returns:
        ``(runs, images)``: mean confidence minus the share of right pixels.
    """
    at = first_positive
    sure = prob[..., at:].sum(-1) + (pixels - prob)[..., :at].sum(-1)
    right = true[..., at:].sum(-1) + (pixels - true)[..., :at].sum(-1)
    return np.asarray(sure - right)
