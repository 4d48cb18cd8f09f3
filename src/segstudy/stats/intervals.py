"""Intervals of means over replicates and images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit  # Student's t, its distribution and quantiles: 100 times as quick

Scores = NDArray[np.float64]


LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: over images and replicates.
        low, high: ends of the interval; None if there is only one image.
        num_replicates, num_units: the numbers of both; a unit is an image, or a group of them.
        seed_sd: standard deviation of the replicates' means; None for one replicate.
        has_training_noise: whether training noise is in the interval, or images only.
    """

    mean: float
    low: float | None
    high: float | None
    num_replicates: int
    num_units: int
    seed_sd: float | None
    has_training_noise: bool


@dataclass(frozen=True, slots=True)
class _Moments:
    """Means of a ``Scores`` and the contributions of its mean squares to the variance of the grand mean."""

    mean: float
    images: NDArray[np.float64]
    seeds: float
    residual: float
    num_replicates: int

    @property
    def seed_df(self) -> int:
        return self.num_replicates - 1

    @property
    def residual_df(self) -> int:
        return self.seed_df * (len(self.images) - 1)


def by_group(scores: Scores, groups: Sequence[str]) -> Scores:
    """Return scores with the images of a patient or lesion, which are not independent, joined to one unit.

    The mean over units stays the mean over images, and its variance becomes the cluster-robust one. Where
    every image is a group of its own, the scores come back as they are, in the groups' order.

    Args:
        scores: ``(replicates, images)``.
        groups: of each image.

    Returns:
        ``(replicates, groups)``.
    """
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    num_groups = int(place.max()) + 1
    centre = scores.mean()
    totals = np.stack([np.bincount(place, row - centre, num_groups) for row in scores])
    return np.asarray(centre + totals * num_groups / scores.shape[1])


def mean_interval(scores: Scores) -> Interval:
    """Return the mean and 95 % interval over images and runs; over images only if there is one run.

    Args:
        scores: ``(replicates, units)``, see ``by_group``.
    """
    moments = _moments(scores)
    if scores.shape[1] == 1:
        return Interval(moments.mean, None, None, len(scores), 1, _seed_sd(scores), len(scores) > 1)
    variance, df = _variance([moments], moments.images)
    half = float(stdtrit(df, (1 + LEVEL) / 2) * np.sqrt(variance))
    return Interval(
        mean=moments.mean,
        low=moments.mean - half,
        high=moments.mean + half,
        num_replicates=len(scores),
        num_units=scores.shape[1],
        seed_sd=_seed_sd(scores),
        has_training_noise=len(scores) > 1,
    )


def score_interval(scores: Scores, lowest: float = 0.0, highest: float = 1.0) -> Interval:
    """Return ``mean_interval`` with ends within the metric's range; every printed interval is this one.

    Args:
        scores: ``(replicates, units)`` of a metric.
        lowest: value of the metric.
        highest: value of the metric.
    """
    found = mean_interval(scores)
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(lowest, found.low), high=min(highest, found.high))


def _two_sided(mean: float, error: float, df: float) -> float:
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(df, -abs(mean) / error))


def _seed_sd(scores: Scores) -> float | None:
    return float(scores.mean(1).std(ddof=1)) if len(scores) > 1 else None


def _moments(scores: Scores) -> _Moments:
    replicates, units = scores.shape
    images, seeds, mean = scores.mean(0), scores.mean(1), float(scores.mean())
    if replicates == 1 or units == 1:
        seed_part = float(seeds.var(ddof=1)) / replicates if replicates > 1 else 0.0
        return _Moments(mean, images, seed_part, 0.0, replicates)
    left = scores - seeds[:, None] - images + mean
    mean_square = float((left**2).sum()) / ((replicates - 1) * (units - 1))
    return _Moments(
        mean, images, float(seeds.var(ddof=1)) / replicates, mean_square / (replicates * units), replicates
    )


def _variance(moments: Sequence[_Moments], images: NDArray[np.float64]) -> tuple[float, float]:
    """Return the variance of a mean, or of a difference of two, and its degrees of freedom.

    Both seeds and images contain the residual, so it is subtracted once. The rest is never less than the
    images' share alone; if it equals that share, it has the degrees of freedom of the images.

    Args:
        moments: of each configuration involved.
        images: the contribution of each image: its mean, or its difference.
    """
    cases, case_df = float(images.var(ddof=1)) / len(images), len(images) - 1
    repeated = [m for m in moments if m.num_replicates > 1]
    whole = cases + sum(m.seeds - m.residual for m in repeated)
    if not repeated or whole < cases:
        return cases, case_df
    terms = [(m.seeds, m.seed_df) for m in repeated] + [(m.residual, m.residual_df) for m in repeated]
    return whole, _satterthwaite(whole, [*terms, (cases, case_df)])


def _satterthwaite(variance: float, terms: Sequence[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of mean squares; never fewer than the smallest term has."""
    fewest = min(df for _, df in terms)
    spread = sum(value**2 / df for value, df in terms)
    return float(max(fewest, variance**2 / spread)) if spread > 0 else float(fewest)
