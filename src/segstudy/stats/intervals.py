"""Intervals of means over replicates and images.

With folds, a configuration has a run for each seed and training set (a fold of a repeat). The runs of one
training set differ by their seeds alone, so the variance between seeds is estimated within each training set
and averaged: K folds, R repeats and Q seeds give K R (Q - 1) degrees of freedom, where seeds compared as a
whole give Q - 1. This takes runs of equal seed and different training sets as independent. They share initial
weights and the order of the batches' places, but not the images: whether that makes them alike is tested. If
they are alike (p < .1), the seeds of this configuration are compared as a whole. With this test (Bancroft
1964) and three or more seeds at most 9 % of equal configurations are called different, whatever share of the
variance runs of a seed have in common (two seeds: 11 %, and the page warns); without it up to half, see
``tests/stats/test_seeds_within_folds.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtr, stdtrit  # F and Student's t: 100 times as quick as scipy.stats

Scores = NDArray[np.float64]


LEVEL = 0.95
SEEDS_ALIKE = 0.1  # p value from which on runs of one seed count as independent between training sets


@dataclass(frozen=True, slots=True)
class ScoresByFold:
    """The scores of a configuration, each with the fold that trained the network.

    Attributes:
        scores: ``(seeds, repeats, images)``.
        folds: ``(repeats, images)``: the fold of the network that scored the image, from 0.
    """

    scores: NDArray[np.float64]
    folds: NDArray[np.int64]

    @property
    def num_folds(self) -> int:
        return int(self.folds.max()) + 1

    @property
    def num_repeats(self) -> int:
        return len(self.folds)

    @property
    def over_repeats(self) -> Scores:
        """Return the mean over the repeats: ``(seeds, images)``."""
        return np.asarray(self.scores.mean(1))

    def joined(self, groups: Sequence[str]) -> "ScoresByFold":
        """Return the same with the images of each group joined to one unit; no fold divides a group."""
        _, first = np.unique(np.asarray(groups), return_index=True)
        seeds, repeats, _ = self.scores.shape
        joined = by_group(self.scores.reshape(seeds * repeats, -1), groups)
        return ScoresByFold(joined.reshape(seeds, repeats, -1), self.folds[:, first])

    def run_means(self) -> Scores:
        """Return the mean of each run, weighted by the size of its fold: their mean is the seed's.

        Returns:
            ``(seeds, training sets)``.
        """
        num_seeds, _, num_units = self.scores.shape
        count = self.num_folds
        totals = [
            [np.bincount(f, row, count) for f, row in zip(self.folds, seed, strict=True)]
            for seed in self.scores
        ]
        return np.asarray(np.reshape(totals, (num_seeds, -1)) * count / num_units)


AnyScores = Scores | ScoresByFold


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
class Moments:
    """Means of a configuration's scores, and what its mean squares contribute to the variance of its mean.

    Attributes:
        mean: over images and replicates.
        images: the mean of each image over the replicates.
        seeds: the contribution of the runs, with the residual in it; 0 with one replicate.
        residual: that of the residual; 0 with one replicate.
        num_replicates: seeds.
        seed_df, residual_df: the degrees of freedom of both.
    """

    mean: float
    images: NDArray[np.float64]
    seeds: float
    residual: float
    num_replicates: int
    seed_df: float
    residual_df: int


def by_seed(scores: AnyScores) -> Scores:
    """Return one row per seed: ``(seeds, images)``."""
    return scores.over_repeats if isinstance(scores, ScoresByFold) else scores


def of_seeds(scores: AnyScores, rows: Sequence[int]) -> AnyScores:
    """Return the scores of some seeds, by their rows."""
    if isinstance(scores, ScoresByFold):
        return replace(scores, scores=scores.scores[rows])
    return np.asarray(scores[rows])


def joined(scores: AnyScores, groups: Sequence[str]) -> AnyScores:
    """Return scores with the images of a group joined to one unit, see ``by_group``."""
    return scores.joined(groups) if isinstance(scores, ScoresByFold) else by_group(scores, groups)


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


def mean_interval(found: AnyScores) -> Interval:
    """Return the mean and 95 % interval over images and runs; over images only if there is one run.

    Args:
        found: ``(replicates, units)``, see ``by_group``; or by fold.
    """
    moments, scores = moments_of(found), by_seed(found)
    if scores.shape[1] == 1:
        return Interval(moments.mean, None, None, len(scores), 1, _seed_sd(scores), len(scores) > 1)
    variance, df = variance_of([moments], moments.images)
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


def score_interval(scores: AnyScores, lowest: float = 0.0, highest: float = 1.0) -> Interval:
    """Return ``mean_interval`` with ends within the metric's range; every printed interval is this one.

    Args:
        scores: ``(replicates, units)`` of a metric; or by fold.
        lowest: value of the metric.
        highest: value of the metric.
    """
    found = mean_interval(scores)
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(lowest, found.low), high=min(highest, found.high))


def two_sided_p(mean: float, error: float, df: float) -> float:
    """Return the two-sided p value of Student's t; without an error, a mean of 0 has 1, any other 0."""
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(df, -abs(mean) / error))


def _seed_sd(scores: Scores) -> float | None:
    return float(scores.mean(1).std(ddof=1)) if len(scores) > 1 else None


def moments_of(found: AnyScores) -> Moments:
    """Return the moments of ``(replicates, units)``, or of scores by fold."""
    if isinstance(found, ScoresByFold):
        return _moments_by_fold(found)
    replicates, units = found.shape
    images, seeds, mean = found.mean(0), found.mean(1), float(found.mean())
    dfs = replicates - 1, (replicates - 1) * (units - 1)
    seed_part = float(seeds.var(ddof=1)) / replicates if replicates > 1 else 0.0
    if replicates == 1 or units == 1:
        return Moments(mean, images, seed_part, 0.0, replicates, *dfs)
    left = found - seeds[:, None] - images + mean
    mean_square = float((left**2).sum()) / dfs[1]
    return Moments(mean, images, seed_part, mean_square / (replicates * units), replicates, *dfs)


def _moments_by_fold(found: ScoresByFold) -> Moments:
    """Return the moments; the variance between seeds is from within training sets, see the module."""
    whole = moments_of(found.over_repeats)
    runs = found.run_means()
    if len(runs) == 1 or seeds_are_alike(runs):
        return whole
    seeds, seed_df = seed_variance(runs)
    residual, residual_df = residual_within(found)
    return replace(whole, seeds=seeds, residual=residual, seed_df=seed_df, residual_df=residual_df)


def run_means(scores: AnyScores) -> Scores:
    """Return the mean of each run: ``(seeds, training sets)``; without folds that is one training set."""
    return scores.run_means() if isinstance(scores, ScoresByFold) else scores.mean(axis=1, keepdims=True)


def seed_df(scores: AnyScores) -> float:
    """Return the degrees of freedom of the noise of training."""
    return moments_of(scores).seed_df


def seed_variance(runs: Scores) -> tuple[float, float]:
    """Return the variance of a configuration's mean that its runs cause, and its degrees of freedom.

    Args:
        runs: ``(seeds, training sets)`` of several seeds, see ``run_means``.
    """
    num_seeds, num_sets = runs.shape
    if seeds_are_alike(runs):
        return float(runs.mean(1).var(ddof=1)) / num_seeds, num_seeds - 1
    parts = runs.var(axis=0, ddof=1) / (num_sets**2 * num_seeds)
    return float(parts.sum()), _df_of_sets(parts, num_seeds - 1)


def seeds_are_alike(runs: Scores) -> bool:
    """Whether runs of a seed are alike in all training sets, by more than chance; with one set they are.

    Args:
        runs: ``(seeds, training sets)`` of several seeds, see ``run_means``.
    """
    num_seeds, num_sets = runs.shape
    if num_sets == 1:
        return True
    apart = runs - runs.mean(0)
    common = float(num_sets * apart.mean(1).var(ddof=1))
    df = (num_seeds - 1) * (num_sets - 1)
    own = float(((apart - apart.mean(1, keepdims=True)) ** 2).sum()) / df
    if own == 0:
        return common > 0
    return float(fdtrc(num_seeds - 1, df, common / own)) < SEEDS_ALIKE


def residual_within(found: ScoresByFold) -> tuple[float, int]:
    """Return the residual's contribution to the variance of the mean, and its degrees of freedom."""
    seeds, repeats, units = found.scores.shape
    apart = found.scores - found.scores.mean(0)
    count = found.num_folds
    total = 0.0
    for repeat, folds in enumerate(found.folds):
        sizes = np.bincount(folds, minlength=count)
        for row in apart[:, repeat]:
            total += float(((row - (np.bincount(folds, row, count) / sizes)[folds]) ** 2).sum())
    df = (seeds - 1) * repeats * (units - count)
    return (total / df / (seeds * repeats * units), df) if df else (0.0, 1)


def _df_of_sets(parts: NDArray[np.float64], df: int) -> float:
    """Return the degrees of freedom of a sum of variances with equal degrees of freedom each.

    Satterthwaite's formula with the estimates' own variance allowed for (Welch 1947): on average all of
    them, if the variances are equal, and hardly more than one has, if one run of one training set is far off.
    """
    spread = float((parts**2).sum()) / (df + 2)
    found = float(parts.sum()) ** 2 / spread - 2 if spread > 0 else float(df)
    return min(float(df * parts.size), max(float(df), found))


def variance_of(moments: Sequence[Moments], images: NDArray[np.float64]) -> tuple[float, float]:
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
    return whole, satterthwaite_df(whole, [*terms, (cases, case_df)])


def satterthwaite_df(variance: float, terms: Sequence[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of mean squares; never fewer than the smallest term has."""
    fewest = min(df for _, df in terms)
    spread = sum(value**2 / df for value, df in terms)
    return float(max(fewest, variance**2 / spread)) if spread > 0 else float(fewest)
