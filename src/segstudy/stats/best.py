"""Which of several configurations may be the best: each against the best of the others.

All pairs are compared at once by the studentized range, with each pair's own variance (Games & Howell 1976).
From these simultaneous intervals follow those of each configuration's mean minus the best of the others (Hsu
1996): the lowest of its lower ends and the lowest of its upper ends. A configuration whose interval lies
below 0 is not the best; the others are a confidence set of the best. Nothing has to be chosen beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray
from scipy.special import stdtrit

from segstudy.stats.intervals import LEVEL, AnyScores, Moments, moments_of, two_sided_p
from segstudy.stats.studentized_range import quantile, upper_tail

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
MEDIAN_EFFICIENCY = 0.6  # of the median of variances: the degrees of freedom that count
MOST_TABULATED = 200  # configurations, in the approximation of the studentized range's quantiles


@dataclass(frozen=True, slots=True)
class AgainstBest:
    """A configuration against the best of the others.

    Attributes:
        rival: the position of the configuration that decides: the one that beats it most clearly.
        mean: its mean minus that of the rival.
        low, high: simultaneous 95 % interval of its mean minus that of the best of the others.
        standard_error, df: of that difference, and its degrees of freedom.
        num_configurations: how many are compared.
        level: of the interval: 95 %, or more where it is one of several looks of a sequential study.
    """

    rival: int
    mean: float
    low: float
    high: float
    standard_error: float
    df: float
    num_configurations: int
    level: float = LEVEL

    @property
    def p(self) -> float:
        """The p value of being as good as the rival, adjusted for all pairs and looks.

        It is 1 if the mean is not lower, and less than 5 % if the configuration is excluded.
        """
        return min(1.0, self._p_of_this_look * (1 - LEVEL) / (1 - self.level))

    @property
    def _p_of_this_look(self) -> float:
        if self.mean >= 0:
            return 1.0
        if self.standard_error == 0:
            return 0.0
        if self.num_configurations == 2:
            return two_sided_p(self.mean, self.standard_error, self.df)
        statistic = -self.mean * np.sqrt(2) / self.standard_error
        return upper_tail(float(statistic), self.num_configurations, self.df)

    @property
    def excluded(self) -> bool:
        """Whether it is not the best: another is better by more than runs and images explain."""
        return self.high < 0

    @property
    def best(self) -> bool:
        """Whether it is better than every other."""
        return self.low > 0


def against_best(
    scores: Sequence[AnyScores], level: float = LEVEL, num_configurations: int = 0
) -> list[AgainstBest]:
    """Compare each of several configurations with the best of the others.

    Args:
        scores: of each, ``(replicates, units)``: at least two configurations with the same units. One with a
            single replicate counts as exact. Or by fold.
        level: of the intervals.
        num_configurations: how many the intervals hold for together, if more than these: a sequential study
            compares those that are left.
    """
    count = max(len(scores), num_configurations)
    pairs = all_pairs([moments_of(each) for each in scores])
    half = range_quantiles(count, pairs.df, level) / np.sqrt(2) * pairs.error
    itself = np.eye(len(scores), dtype=bool)
    high = np.where(itself, np.inf, pairs.mean + half)
    low = np.where(itself, np.inf, pairs.mean - half)
    rivals = high.argmin(1)
    return [
        AgainstBest(
            rival=int(rival),
            mean=float(pairs.mean[i, rival]),
            low=float(low[i].min()),
            high=float(high[i, rival]),
            standard_error=float(pairs.error[i, rival]),
            df=float(pairs.df[i, rival]),
            num_configurations=count,
            level=level,
        )
        for i, rival in enumerate(rivals)
    ]


@dataclass(frozen=True, slots=True)
class AllPairs:
    """Of all pairs ``(configurations, configurations)``: differences, their errors, degrees of freedom."""

    mean: Matrix
    error: Matrix
    df: Matrix


def all_pairs(moments: Sequence[Moments]) -> AllPairs:
    """Return the differences of all pairs, with the noise of each configuration's own runs.

    That noise is never less than the median of all configurations: the most extreme of many pairs is one
    whose runs agreed by chance. The median rests on the runs of all: it has three fifths of their degrees of
    freedom.
    """
    images = np.stack([m.images for m in moments])
    num_units = images.shape[1]
    covariance = np.atleast_2d(np.cov(images))
    spread = np.diag(covariance)
    cases = np.clip(spread[:, None] + spread - 2 * covariance, 0, None) / num_units
    seeds, residual, df = noise_of_runs(moments)
    noise = (seeds - residual)[:, None] + (seeds - residual)
    variance = np.where(noise < 0, cases, cases + noise)
    terms = np.array([m.residual**2 / m.residual_df if m.num_replicates > 1 else 0.0 for m in moments])
    terms = terms + seeds**2 / df
    total = cases**2 / (num_units - 1) + terms[:, None] + terms
    images_df = float(num_units - 1)
    found = np.divide(variance**2, total, out=np.full_like(total, images_df), where=total > 0)
    means = np.array([m.mean for m in moments])
    return AllPairs(
        means[:, None] - means, np.sqrt(variance), np.where(noise < 0, images_df, np.maximum(1.0, found))
    )


def noise_of_runs(moments: Sequence[Moments]) -> tuple[Vector, Vector, Vector]:
    """Return the runs' share of each mean's variance, the residual in it, and its degrees of freedom."""
    repeated = np.array([m.num_replicates > 1 for m in moments])
    seeds = np.array([m.seeds for m in moments])
    residual = np.array([m.residual for m in moments])
    df = np.array([max(1, m.seed_df) for m in moments], np.float64)
    if len(moments) > 2 and repeated.any():
        unbiased = df / scipy.stats.chi2.median(df)  # a variance of few values lies below its mean more often
        usual = float(np.median((seeds * unbiased)[repeated]))
        low = repeated & (seeds < usual)
        seeds = np.where(low, usual, seeds)
        df = np.where(low, np.maximum(df, MEDIAN_EFFICIENCY * df[repeated].sum()), df)
    return seeds, residual, df


def range_quantiles(count: int, df: Matrix, level: float = LEVEL) -> Matrix:
    """Return the quantile of the studentized range; of many configurations a little too large a one."""
    if count == 2:
        return np.asarray(np.sqrt(2) * stdtrit(df, (1 + level) / 2))
    if count > MOST_TABULATED:
        return np.full_like(df, quantile(level, count, max(1.0, float(np.floor(df.min())))))
    values, place = np.unique(df, return_inverse=True)
    found = np.array([_tabulated_quantile(count, float(value), level) for value in values])
    return np.asarray(found[place].reshape(df.shape))


@lru_cache(maxsize=2**16)
def _tabulated_quantile(count: int, df: float, level: float) -> float:
    """Return it by an approximation; kept, as leaderboard and answers compare the same pairs."""
    from statsmodels.stats.libqsturng import qsturng  # with pandas: 0.3 s of the start of each command

    return float(qsturng(level, count, df))
