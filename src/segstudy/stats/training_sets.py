"""Differences for training sets like these, from folds: arrays in, frozen results out.

A study trains each fold of each set of folds (a repeat) on other images, so a score is

    mean + image + image x configuration + training set + training + residual,

with one effect of the training set for every fold and repeat. The other comparisons of segstudy hold for the
training sets that were used. Here the training set is random too:

- With one set of folds, images and training sets cannot be told apart. The difference is tested by a t test
  over the folds' means.
- With repeats every image is tested after several training sets. When the images' means are taken away, what
  is left of a fold shows the training set; the differences between seeds are subtracted.

Two training sets share images. If the effect of a training set is the mean of its images' effects, the mean
over all folds varies more than the folds say, by (folds - 2) / 2 times their variance: K folds train on
(K - 2) / K of the images, so that fraction of the variance is common to all folds. Nadeau & Bengio (2003)
correct a variance that has the test images in it by a smaller factor; it holds its level less well here
(``benchmarks/training_sets.py``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray
from scipy.special import stdtrit

from segstudy.stats.comparisons import MARGIN, Conclusion, conclusion_of
from segstudy.stats.intervals import LEVEL, ScoresByFold, run_means, seeds_are_alike, two_sided_p
from segstudy.stats.studentized_range import upper_tail

Cells = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AcrossTrainingSets:
    """Two configurations, `a` minus `b`, for training sets like these.

    Attributes:
        mean: difference of the means.
        low, high: its 95 % interval.
        p: of no difference, two-sided.
        standard_error, df: of the difference, and its degrees of freedom.
        num_folds, num_repeats: of the training sets.
        conclusion: in words, see ``comparisons.Difference``.
    """

    mean: float
    low: float
    high: float
    p: float
    standard_error: float
    df: float
    num_folds: int
    num_repeats: int
    conclusion: Conclusion


@dataclass(frozen=True, slots=True)
class TrainingSetEffect:
    """How much the training set moves a configuration's score.

    Attributes:
        sd: standard deviation between training sets of this size; of IoU.
        low, high: its 95 % interval (Williams 1962).
        has_training_noise: whether the seed's noise is still in it: a single seed cannot show it apart.
    """

    sd: float
    low: float
    high: float
    has_training_noise: bool


@dataclass(frozen=True, slots=True)
class TrainingSetVariances:
    """Mean squares of cells, one for each fold and repeat, on the scale of a cell's mean.

    Attributes:
        between: variance of a cell's mean, with the noise of its runs in it.
        noise: that noise, from the differences between seeds; 0 with one seed.
        between_df, noise_df: their degrees of freedom.
    """

    between: float
    noise: float
    between_df: int
    noise_df: int


def across_training_sets(a: ScoresByFold, b: ScoresByFold, margin: float = MARGIN) -> AcrossTrainingSets:
    """Compare two configurations on the same folds of the same units.

    Args:
        a: the units of a group joined, see ``ScoresByFold.joined``.
        b: the same folds and units; seeds may differ in number.
        margin: differences whose interval lies within it count as practically equal.
    """
    assert np.array_equal(a.folds, b.folds)
    apart = a.scores.mean(0) - b.scores.mean(0)
    mean = float(apart.mean())
    if a.num_repeats == 1:
        variance, df = _variance_of_folds(apart, a.folds)
    else:
        variance, df = _variance_with_repeats(apart, [a, b])
    variance, df = _with_seeds_that_are_alike(variance, df, [a, b])
    error = float(np.sqrt(variance))
    half, p = float(stdtrit(df, (1 + LEVEL) / 2)) * error, two_sided_p(mean, error, df)
    conclusion = conclusion_of(mean, half, p, margin)
    return AcrossTrainingSets(
        mean, mean - half, mean + half, p, error, df, a.num_folds, a.num_repeats, conclusion
    )


def adjusted(found: AcrossTrainingSets, num_configurations: int) -> float:
    """Return the p value of one of all pairs of so many configurations (Games & Howell 1976)."""
    if num_configurations == 2 or found.standard_error == 0:
        return found.p
    statistic = math.sqrt(2) * abs(found.mean) / found.standard_error
    return upper_tail(statistic, num_configurations, found.df)


def training_set_effect(a: ScoresByFold, b: ScoresByFold | None = None) -> TrainingSetEffect | None:
    """Estimate the variance between the training sets of a configuration; None with one set of folds.

    Args:
        a: the units of a group joined.
        b: of another configuration with the same folds: then that of the difference of the two.
    """
    if a.num_repeats == 1:
        return None
    apart = a.scores.mean(0) if b is None else a.scores.mean(0) - b.scores.mean(0)
    found = training_set_variances(apart, [a] if b is None else [a, b])
    variance = max(0.0, found.between - found.noise)
    low, high = _williams(found)
    return TrainingSetEffect(
        float(np.sqrt(variance)), float(np.sqrt(low)), float(np.sqrt(high)), found.noise_df == 0
    )


def _variance_of_folds(apart: Cells, folds: NDArray[np.int64]) -> tuple[float, float]:
    means = _cell_means(apart, folds)
    return float(means.var(ddof=1)) / means.size, means.size - 1


def _with_seeds_that_are_alike(
    variance: float, df: float, sides: Sequence[ScoresByFold]
) -> tuple[float, float]:
    """Add what all runs of a seed have in common, which no difference between folds or repeats shows."""
    runs = [run_means(side) for side in sides]
    alike = [each for each in runs if len(each) > 1 and seeds_are_alike(each)]
    if not alike:
        return variance, df
    terms = [(float(each.mean(1).var(ddof=1)) / len(each), len(each) - 1) for each in alike]
    return _with_df(variance + sum(value for value, _ in terms), [(variance, df), *terms])


def _variance_with_repeats(apart: Cells, sides: Sequence[ScoresByFold]) -> tuple[float, float]:
    """Return the variance of the mean difference, and its degrees of freedom.

    The noise of the seeds is subtracted from what differs between training sets only if the interval becomes
    shorter: where the two are nearly equal, their difference has hardly a degree of freedom.
    """
    num_units = apart.shape[1]
    images = float(apart.mean(0).var(ddof=1)) / num_units, num_units - 1
    found, num_folds = training_set_variances(apart, sides), sides[0].num_folds
    weight, shared = 1 / (num_folds * len(apart)), (num_folds - 2) / 2
    between = max(found.between, found.noise)
    whole = images[0] + between * (weight + shared)
    candidates = [_with_df(whole, [images, (between * (weight + shared), found.between_df)])]
    if found.noise_df:
        shared = shared if found.between > found.noise else 0.0
        own = images[0] + between * weight + (found.between - found.noise) * shared
        terms = [images, (found.between * (weight + shared), found.between_df)]
        candidates.append(_with_df(own, [*terms, (found.noise * shared, found.noise_df)]))
    return min(candidates, key=lambda each: float(stdtrit(each[1], (1 + LEVEL) / 2)) * math.sqrt(each[0]))


def _with_df(variance: float, terms: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return a variance with Satterthwaite's degrees of freedom.

    They may be fewer than any of the terms has, because one of the terms may be subtracted.
    """
    spread = sum(value**2 / df for value, df in terms)
    return variance, max(1.0, variance**2 / spread) if spread > 0 else 1.0


def training_set_variances(apart: Cells, sides: Sequence[ScoresByFold]) -> TrainingSetVariances:
    """Separate training sets from seeds.

    Args:
        apart: ``(repeats, units)``: the mean over seeds of a configuration, or the difference of two.
        sides: the configurations that are in it.
    """
    folds, repeats, num_folds = sides[0].folds, sides[0].num_repeats, sides[0].num_folds
    left = _cell_means(apart - apart.mean(0), folds)
    between = float((left**2).mean()) / _share_left(folds)
    noise, noise_df = 0.0, 0
    for side in sides:
        num_seeds = len(side.scores)
        if num_seeds > 1:
            runs = np.stack([_cell_means(each, folds) for each in side.scores])
            noise += float(runs.var(axis=0, ddof=1).mean()) / num_seeds
            noise_df += (num_seeds - 1) * runs[0].size
    return TrainingSetVariances(between, noise, (repeats - 1) * num_folds, noise_df)


def _cell_means(values: Cells, folds: NDArray[np.int64]) -> Cells:
    """Return the mean over the units of each fold: ``(repeats, units)`` to ``(repeats, folds)``."""
    num_folds = int(folds.max()) + 1
    return np.stack(
        [
            np.bincount(fold, row, num_folds) / np.bincount(fold, minlength=num_folds)
            for fold, row in zip(folds, values, strict=True)
        ]
    )


def _share_left(folds: NDArray[np.int64]) -> float:
    """Return which share of a cell's variance is left when the means of the units are taken away.

    A cell loses its own part of these means, and gains a part of every cell that shares units with it.
    """
    repeats, num_folds = len(folds), int(folds.max()) + 1
    places = folds + num_folds * np.arange(repeats)[:, None]
    member = np.zeros((repeats * num_folds, folds.shape[1]))
    for row in places:
        member[row, np.arange(folds.shape[1])] = 1
    common = member @ member.T / member.sum(1)[:, None] / repeats
    return float(((np.eye(len(common)) - common) ** 2).sum(1).mean())


def _williams(found: TrainingSetVariances) -> tuple[float, float]:
    """Return the interval of the variance between training sets: of between less noise."""
    chi = [float(scipy.stats.chi2.ppf(q, found.between_df)) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)]
    if found.noise_df == 0 or found.noise == 0:
        return found.between_df * found.between / chi[0], found.between_df * found.between / chi[1]
    f = [
        float(scipy.stats.f.ppf(q, found.between_df, found.noise_df))
        for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
    ]
    low, high = (
        max(0.0, found.between_df * (found.between - found.noise * bound) / quantile)
        for bound, quantile in zip(f, chi, strict=True)
    )
    return low, high
