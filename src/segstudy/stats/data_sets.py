"""Configurations over several data sets: a random-effects estimate, ranks with sets as blocks, the safest.

Arrays in, frozen results out. The difference of two configurations on set k has an estimate and a variance
from its runs and images. Over sets it is

    mean + set + error,

with both terms random. The variance between sets is estimated by the method of Paule & Mandel (1982), its
interval by the Q profile (Viechtbauer 2007). The mean has Student's t with one degree of freedom less than
there are sets, as Hartung & Knapp (2001) propose, and a variance that is never less than that of the model
(Roever, Knapp & Friede 2015). ``tests/stats/test_data_sets.py`` compares this with statsmodels and with a
published example, and simulates level and coverage.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray
from scipy.special import chdtri, stdtrit

from segstudy.stats.comparisons import MARGIN, Conclusion, conclusion_of
from segstudy.stats.intervals import LEVEL, Scores, two_sided_p
from segstudy.stats.ranks import resampled_means

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
LEAST_VARIANCE = 1e-12  # of a difference on one set: equal scores of all runs would weigh infinitely
MOST_STATES = 1_000_000  # sums of ranks that one step of the exact test looks at
MOST_PERMUTED = 8  # configurations whose orders are all listed
BITS = 62  # of a whole number
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class OverSets:
    """The difference of two configurations in data sets like these.

    Attributes:
        mean: of the difference, over sets.
        low, high: its 95 % interval.
        p: of no difference, two-sided.
        num_pairs: that intervals of mean and new set, p and conclusion hold for at once.
        standard_error, df: of the mean; the degrees of freedom are one less than the sets.
        between_sd: standard deviation of the true difference between sets.
        between_low, between_high: its 95 % interval.
        new_low, new_high: 95 % prediction interval of the true difference on a new set (Higgins et al.
            2009); None with two sets.
        num_sets: how many.
        conclusion: see ``comparisons.Difference``.
    """

    mean: float
    low: float
    high: float
    p: float
    standard_error: float
    df: int
    between_sd: float
    between_low: float
    between_high: float
    new_low: float | None
    new_high: float | None
    num_sets: int
    num_pairs: int
    conclusion: Conclusion


def over_sets(
    differences: Sequence[float], variances: Sequence[float], margin: float = MARGIN, num_pairs: int = 1
) -> OverSets:
    """Combine the differences that several data sets show.

    Args:
        differences: of each set, at least two.
        variances: of these.
        margin: differences whose interval lies within it count as practically equal.
        num_pairs: of which this is one: intervals and p value are corrected for all of them (Bonferroni), so
            that they agree, which those of Holm's method do not.
    """
    d = np.asarray(differences, np.float64)
    v = np.maximum(np.asarray(variances, np.float64), LEAST_VARIANCE)
    count = len(d)
    assert count >= 2
    between = _root(d, v, count - 1)
    mean, _ = _weighted(d, v, between)
    error = math.sqrt(1 / float((1 / (v + between)).sum()))
    side = 1 - (1 - LEVEL) / 2 / num_pairs
    half = float(stdtrit(count - 1, side)) * error
    p = min(1.0, num_pairs * two_sided_p(mean, error, count - 1))
    chi = [float(chdtri(count - 1, q)) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)]  # the higher first
    low, high = (math.sqrt(_root(d, v, quantile)) for quantile in chi)
    reach = None
    if count > 2:
        reach = float(stdtrit(count - 2, side)) * math.sqrt(between + error**2)
    return OverSets(
        mean=mean,
        low=mean - half,
        high=mean + half,
        p=p,
        standard_error=error,
        df=count - 1,
        between_sd=math.sqrt(between),
        between_low=low,
        between_high=high,
        new_low=None if reach is None else mean - reach,
        new_high=None if reach is None else mean + reach,
        num_sets=count,
        num_pairs=num_pairs,
        conclusion=conclusion_of(mean, half, p, margin),
    )


def _weighted(d: Vector, v: Vector, between: float) -> tuple[float, float]:
    """Return the weighted mean, and the weighted sum of squares around it."""
    weights = 1 / (v + between)
    mean = float(weights @ d / weights.sum())
    return mean, float(weights @ (d - mean) ** 2)


def _root(d: Vector, v: Vector, wanted: float) -> float:
    """Return the variance between sets that gives this sum of squares; 0 if it is less already."""

    def excess(between: float) -> float:
        return _weighted(d, v, between)[1] - wanted

    if excess(0.0) <= 0:
        return 0.0
    upper = float(np.ptp(d) ** 2 + v.max())
    while excess(upper) > 0:
        upper *= 4
    return float(scipy.optimize.brentq(excess, 0.0, upper, xtol=1e-14))


@dataclass(frozen=True, slots=True)
class SetRanks:
    """Friedman's test with data sets as blocks (Demsar 2006).

    Attributes:
        mean_ranks: of each configuration; 1 is best.
        f, df, df_residual: of Iman & Davenport (1980), with its p value.
        p: the exact one where it can be computed, else that of Iman & Davenport.
        is_exact: which of the two.
        least_p: the least that any outcome could have, if all sets agreed without ties.
        num_sets: how many.
    """

    mean_ranks: Vector
    f: float
    df: int
    df_residual: int
    p: float
    is_exact: bool
    least_p: float
    num_sets: int

    @property
    def can_tell(self) -> bool:
        """Whether any outcome could be significant at 5 %."""
        return self.least_p < 1 - LEVEL


def set_ranks(means: Matrix) -> SetRanks:
    """Rank configurations within every set.

    Args:
        means: ``(sets, configurations)``, at least 2 x 2; higher is better.
    """
    num_sets, count = means.shape
    ranks = scipy.stats.rankdata(-means, axis=1)
    chi = _friedman(ranks)
    most = num_sets * (count - 1)
    df, df_residual = count - 1, (count - 1) * (num_sets - 1)
    f = math.inf if chi >= most - 1e-9 else (num_sets - 1) * chi / (most - chi)
    exact = _exact(ranks)
    approximate = float(scipy.stats.f.sf(f, df, df_residual))
    return SetRanks(
        mean_ranks=ranks.mean(0),
        f=f,
        df=df,
        df_residual=df_residual,
        p=approximate if exact is None else exact,
        is_exact=exact is not None,
        least_p=math.exp(-(num_sets - 1) * math.lgamma(count + 1)) if count > 2 else 2.0 ** (1 - num_sets),
        num_sets=num_sets,
    )


def _friedman(ranks: Matrix) -> float:
    """Return Friedman's statistic, corrected for ties; 0 if every set ties all configurations."""
    num_sets, count = ranks.shape
    spread = float((ranks**2).sum()) - num_sets * count * (count + 1) ** 2 / 4
    if spread <= 0:
        return 0.0
    between = float(((ranks.sum(0) - num_sets * (count + 1) / 2) ** 2).sum())
    return float((count - 1) * between / spread)


def _exact(ranks: Matrix) -> float | None:
    """Return the p value among all orders of the ranks within each set; None if they are too many.

    Sums of ranks are followed set by set. Because every order is as likely as any other, sums that differ in
    the order of the configurations alone are one state; a state is a whole number with a digit for each sum.
    """
    num_sets, count = ranks.shape
    base = 2 * num_sets * count + 1  # ranks are doubled: ties have halves
    if count > MOST_PERMUTED or count * math.log2(base) > BITS:
        return None
    doubled = np.rint(2 * ranks).astype(np.int64)
    digits = base ** np.arange(count, dtype=np.int64)
    orders = np.array(list(itertools.permutations(range(count))))
    states = np.sort(doubled[:1], axis=1)
    weights: NDArray[Any] = np.ones(1)
    for row in doubled[1:]:
        if len(states) * len(orders) > MOST_STATES:
            return None
        sums = np.sort((states[:, None] + row[orders]).reshape(-1, count), axis=1)
        _, first, place = np.unique(sums @ digits, return_index=True, return_inverse=True)
        states = sums[first]
        weights = np.asarray(np.bincount(place, np.repeat(weights / len(orders), len(orders))))
    observed = int((doubled.sum(0) ** 2).sum())
    return float(min(1.0, weights[(states**2).sum(1) >= observed].sum()))


@dataclass(frozen=True, slots=True)
class Losses:
    """How far a configuration is from the best of each set.

    Attributes:
        per_set: its mean minus that of the set's best, as a loss of 0 or more.
        worst: the largest of these.
        worst_set: its position.
    """

    per_set: tuple[float, ...]
    worst: float
    worst_set: int


def losses(means: Matrix) -> list[Losses]:
    """Return the losses of each configuration; ``means`` as for ``set_ranks``."""
    behind = means.max(1, keepdims=True) - means
    return [
        Losses(tuple(map(float, column)), float(column.max()), int(column.argmax())) for column in behind.T
    ]


@dataclass(frozen=True, slots=True)
class SetStability:
    """How stable the place of a configuration is when sets, images and runs are resampled.

    Attributes:
        best: share of the resamples in which its mean over sets is the highest.
        low, high: the ranks between which 95 % of the resamples lie.
    """

    best: float
    low: int
    high: int


def set_stability(scores: Sequence[Sequence[Scores]], seed: int, draws: int = DRAWS) -> list[SetStability]:
    """Bootstrap the order of the means over sets: sets, and within each set units and runs.

    It describes the stability of an order, and is not used for intervals.

    Args:
        scores: of each set, of each configuration: ``(replicates, units)`` with the same units in a set.
        seed: of the draws.
        draws: how many.
    """
    rng = np.random.default_rng(seed)
    num_sets, count = len(scores), len(scores[0])
    chosen = rng.multinomial(num_sets, np.full(num_sets, 1 / num_sets), draws) / num_sets
    total = np.zeros((draws, count))
    for k, of_set in enumerate(scores):
        total += chosen[:, k, None] * resampled_means(of_set, rng, draws)
    ranks = scipy.stats.rankdata(-total, axis=1, method="min")
    low, high = np.quantile(ranks, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0, method="nearest")
    return [SetStability(float(np.mean(ranks[:, i] == 1)), int(low[i]), int(high[i])) for i in range(count)]


def best_without(means: Matrix) -> list[int]:
    """Return which configuration has the highest mean over the other sets when each set is left out."""
    return [int(np.delete(means, k, axis=0).mean(0).argmax()) for k in range(len(means))]
