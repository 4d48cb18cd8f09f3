"""Effects of factors: main effects and interactions on a full factorial of runs.

Arrays in, frozen results out. The unit is a run's mean over the images, so the results hold for these
images. Variances are not taken to be equal: Tversky's runs scatter several times as much as Combo's.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray

from segstudy.stats.comparisons import Difference, conclusion_of
from segstudy.stats.intervals import LEVEL, seed_variance
from segstudy.stats.studentized_range import quantile, upper_tail

Levels = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Effect:
    """One row of an analysis of variance.

    Attributes:
        factors: one for a main effect, several for their interaction.
        f, df, df_residual, p: of the ANOVA-type statistic, each combination with its own variance; degrees of
            freedom are estimated and fractional.
        omega_squared: partial, the share of variance that it explains in addition to the other
            terms; may be below 0.
        low, high: 95 % interval of partial eta squared, from the noncentral F distribution.
    """

    factors: tuple[str, ...]
    f: float
    df: float
    df_residual: float
    p: float
    omega_squared: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LevelMean:
    """Marginal mean of a factor's level: the mean over the combinations of all other factors.

    Attributes:
        level: its name.
        mean: of the combinations' means.
        low, high: 95 % interval over runs; None for a single replicate.
    """

    level: str
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LevelDifference:
    """Two levels of a factor: the difference of their marginal means.

    Attributes:
        a, b: the levels.
        mean: `a` minus `b`.
        low, high: its 95 % interval, for this pair alone.
        p: adjusted for all pairs of the factor's levels (Games & Howell 1976).
    """

    a: str
    b: str
    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Factorial:
    """The effects of factors on a score.

    Attributes:
        effects: main effects and interactions; empty for a single replicate, whose noise is unknown.
        means: of the levels, by factor.
        differences: between levels, by factor; empty for a single replicate.
        num_runs: in all.
    """

    effects: tuple[Effect, ...]
    means: Mapping[str, tuple[LevelMean, ...]]
    differences: Mapping[str, tuple[LevelDifference, ...]]
    num_runs: int


def factorial(scores: Sequence[float] | NDArray[np.float64], levels: Levels) -> Factorial:
    """Analyse a full factorial: every combination of levels, with equally many runs each.

    Args:
        scores: of each run; with folds, of each seed and training set: ``(runs, training sets)``, see
            ``intervals.run_means``.
        levels: of each run, by factor; at least one factor with two levels.
    """
    y = np.asarray(scores, np.float64).reshape(len(scores), -1)
    combinations = _combinations(y, levels)
    repeated = all(each.num_replicates > 1 for each in combinations.values())
    factors = list(levels)
    return Factorial(
        effects=_effects(combinations, factors) if repeated and _varies(combinations) else (),
        means={f: _level_means(combinations, i, repeated) for i, f in enumerate(factors)},
        differences={f: _differences(combinations, i) if repeated else () for i, f in enumerate(factors)},
        num_runs=len(y),
    )


@dataclass(frozen=True, slots=True)
class _Combination:
    """The runs of a combination of levels: their mean, its variance and the degrees of freedom of that."""

    mean: float
    variance: float
    df: float
    num_replicates: int


Combinations = dict[tuple[str, ...], _Combination]


def _combinations(y: NDArray[np.float64], levels: Levels) -> Combinations:
    keys = list(zip(*levels.values(), strict=True))
    combinations = {
        key: _combination(np.array([value for value, k in zip(y, keys, strict=True) if k == key]))
        for key in dict.fromkeys(keys)
    }
    full = np.prod([len(set(values)) for values in levels.values()])
    assert len(combinations) == full
    assert len({each.num_replicates for each in combinations.values()}) == 1
    return combinations


def _combination(runs: NDArray[np.float64]) -> _Combination:
    variance, df = seed_variance(runs) if len(runs) > 1 else (0.0, 0.0)
    return _Combination(float(runs.mean()), variance, df, len(runs))


def _varies(combinations: Combinations) -> bool:
    """Whether the scores vary within any combination, as a test needs."""
    return any(each.variance > 0 for each in combinations.values())


def _effects(combinations: Combinations, factors: Sequence[str]) -> tuple[Effect, ...]:
    """Return the ANOVA-type statistic of every main effect and interaction (Brunner, Dette & Munk 1997).

    Each hypothesis is a projection of the combinations' means; its F is the projected sum of squares over
    its expectation under the combinations' own variances, with degrees of freedom from the same moments.
    """
    sizes = [len(_levels(combinations, i)) for i in range(len(factors))]
    grid = list(itertools.product(*(_levels(combinations, i) for i in range(len(factors)))))
    runs = [combinations[key] for key in grid]
    return tuple(
        _effect(subset, _projection(sizes, [f in subset for f in factors]), runs)
        for subset in _subsets(factors)
    )


def _projection(sizes: Sequence[int], varies: Sequence[bool]) -> NDArray[np.float64]:
    """Return the projection onto the interaction of a set of factors, averaged over the other factors."""
    out = np.ones((1, 1))
    for size, free in zip(sizes, varies, strict=True):
        mean = np.full((size, size), 1 / size)
        out = np.kron(out, np.eye(size) - mean if free else mean)
    return out


def _subsets(factors: Sequence[str]) -> list[tuple[str, ...]]:
    return [subset for size in range(1, len(factors) + 1) for subset in itertools.combinations(factors, size)]


def _effect(
    factors: tuple[str, ...], projection: NDArray[np.float64], runs: Sequence[_Combination]
) -> Effect:
    means = np.array([each.mean for each in runs])
    variances = np.array([each.variance for each in runs])
    dfs = np.array([each.df for each in runs])
    scaled = projection * variances  # the projection times the diagonal matrix of variances
    trace = float(np.trace(scaled))
    f = float(means @ projection @ means) / trace
    df = trace**2 / float(np.trace(scaled @ scaled))
    weights = (np.diag(projection) * variances) ** 2 / dfs
    df_residual = trace**2 / float(weights.sum())
    num_runs = sum(each.num_replicates for each in runs)
    low, high = (_eta_squared(f, df, df_residual, q, num_runs) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return Effect(
        factors=factors,
        f=f,
        df=df,
        df_residual=df_residual,
        p=float(scipy.stats.f.sf(f, df, df_residual)),
        omega_squared=df * (f - 1) / (df * (f - 1) + num_runs),
        low=low,
        high=high,
    )


def _eta_squared(f: float, df: float, df_residual: float, quantile: float, num_runs: int) -> float:
    """Return the partial eta squared under which this F is at that quantile (Steiger 2004)."""

    def excess(noncentrality: float) -> float:
        return noncentral_f(f, df, df_residual, noncentrality) - quantile

    if float(scipy.stats.f.cdf(f, df, df_residual)) <= quantile:
        return 0.0
    upper = 10.0 + 4 * f * df
    while excess(upper) > 0:
        upper *= 2
    noncentrality = float(scipy.optimize.brentq(excess, 0.0, upper))
    return noncentrality / (noncentrality + num_runs)


def noncentral_f(f: float, df: float, df_residual: float, noncentrality: float) -> float:
    """Return the noncentral F distribution at `f`, also where scipy has no number: effects of many levels."""
    found = float(scipy.stats.ncf.cdf(f, df, df_residual, noncentrality))
    if not np.isnan(found):
        return found
    mean = noncentrality / 2  # a mixture of beta distributions, weighted by those of Poisson
    width = 12 * np.sqrt(mean) + 40
    terms = np.arange(max(0.0, np.floor(mean - width)), np.ceil(mean + width) + 1)
    weights = scipy.stats.poisson.pmf(terms, mean)
    share = df * f / (df * f + df_residual)
    return float(weights @ scipy.special.betainc(df / 2 + terms, df_residual / 2, share))


def _marginal(combinations: Combinations, factor: int, level: str) -> tuple[float, float, float]:
    """Return a level's mean over its combinations, the variance of that mean and its degrees of freedom."""
    mine = [each for key, each in combinations.items() if key[factor] == level]
    mean = float(np.mean([each.mean for each in mine]))
    if mine[0].num_replicates == 1:
        return mean, 0.0, 0.0
    terms = [each.variance / len(mine) ** 2 for each in mine]
    variance = sum(terms)
    spread = sum(term**2 / each.df for term, each in zip(terms, mine, strict=True))
    return mean, variance, variance**2 / spread if spread > 0 else float(mine[0].df)


def _levels(combinations: Combinations, factor: int) -> list[str]:
    return list(dict.fromkeys(key[factor] for key in combinations))


def _level_means(combinations: Combinations, factor: int, repeated: bool) -> tuple[LevelMean, ...]:
    means = []
    for level in _levels(combinations, factor):
        mean, variance, df = _marginal(combinations, factor, level)
        half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, df) * np.sqrt(variance)) if repeated else None
        means.append(
            LevelMean(
                level, mean, None if half is None else mean - half, None if half is None else mean + half
            )
        )
    return tuple(means)


def _differences(combinations: Combinations, factor: int) -> tuple[LevelDifference, ...]:
    levels = _levels(combinations, factor)
    marginals = {level: _marginal(combinations, factor, level) for level in levels}
    return tuple(
        _level_difference(a, b, marginals, len(levels)) for a, b in itertools.combinations(levels, 2)
    )


def _level_difference(
    a: str, b: str, marginals: Mapping[str, tuple[float, float, float]], num_levels: int
) -> LevelDifference:
    (mean_a, var_a, df_a), (mean_b, var_b, df_b) = marginals[a], marginals[b]
    mean, error = mean_a - mean_b, float(np.sqrt(var_a + var_b))
    if error == 0:
        return LevelDifference(a, b, mean, mean, mean, 1.0 if mean == 0 else 0.0)
    df = (var_a + var_b) ** 2 / (var_a**2 / df_a + var_b**2 / df_b)
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, df)) * error
    q = np.sqrt(2) * abs(mean) / error
    p = upper_tail(float(q), num_levels, df)
    return LevelDifference(a, b, mean, mean - half, mean + half, min(1.0, p))


def for_all_pairs(d: Difference, num_levels: int) -> Difference:
    """Return the difference of two levels with interval, p value and conclusion for all pairs at once.

    The studentized range of as many means is the reference, with the pair's own variance (Games & Howell
    1976), so that interval and p value agree. Degrees of freedom are limited as in ``distinguished`` and
    rounded down. One of two levels, or without training noise, it comes back as it is.

    Args:
        d: of two levels, each averaged over the settings that both have.
        num_levels: of their factor.
    """
    if num_levels < 3 or d.most_df is None or d.standard_error == 0:
        return d
    df = _rounded_df(min(d.df, d.most_df))
    half = quantile(LEVEL, num_levels, df) / float(np.sqrt(2)) * d.standard_error
    q = float(np.sqrt(2)) * abs(d.mean) / d.standard_error
    p = min(1.0, upper_tail(q, num_levels, df))
    conclusion = conclusion_of(d.mean, half, p, d.margin)
    return replace(d, low=d.mean - half, high=d.mean + half, p=p, conclusion=conclusion)


DF_STEPS = (*range(1, 31), 40, 60, 120)  # as in printed tables: each quantile takes a tenth of a second


def _rounded_df(df: float) -> int:
    return max((step for step in DF_STEPS if step <= df), default=1)
