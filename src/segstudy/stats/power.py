"""How sure a study can be: the standard error of a difference as a function of seeds, images and folds.

A score is, as in ``comparisons``,

    mean + image + image x configuration + training + residual,

and with folds also an effect of the training set. From the variances of these parts follow the mean squares
that a study will have, and from the mean squares its test: standard error and degrees of freedom, by the same
formulas as in ``comparisons`` and ``best``. In normal data, mean squares are independent of the difference
and of each other, each a multiple of a chi-squared. So the power is a mean over draws of the mean squares: no
approximation by an average number of degrees of freedom. ``tests/stats/test_power.py`` compares it with
simulated studies.

The draws are the same in every call, so the power has no noise of its own from one design to the next.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray
from scipy.special import fdtrc, gammaincinv, ndtr

from segstudy.core.seeding import seed_for
from segstudy.stats.best import MEDIAN_EFFICIENCY, MOST_TABULATED, range_quantiles
from segstudy.stats.intervals import SEEDS_ALIKE

Values = NDArray[np.float64]

PROMISE = 0.80  # the probability that a plan or an advice promises
NUM_DRAWS = 1000
MOST_SIDES = 40  # configurations with draws of their own: the median of more is hardly more certain
DF_GRID = 1 / np.linspace(1e-6, 1.0, 120)  # where quantiles are tabulated; between them, linear in 1 / df


@dataclass(frozen=True, slots=True)
class Variances:
    """What makes the difference between two configurations vary. Numbers, or one value per draw.

    Attributes:
        images: variance of an image's difference: image x configuration, of both configurations together.
        seeds: between the runs of a configuration on one training set, ``(2,)`` or ``(2, draws)``.
        residuals: of an image in one run, for each of the two.
        training_sets: of the difference, between training sets.
    """

    images: Values
    seeds: Values
    residuals: Values
    training_sets: Values


@dataclass(frozen=True, slots=True)
class Freedom:
    """The degrees of freedom of ``MeanSquares``: of images; of each side's runs and residuals, ``(2, n)``."""

    cases: int
    seeds: Values
    residuals: Values


@dataclass(frozen=True, slots=True)
class Design:
    """The size of a study.

    Attributes:
        seeds: of each configuration.
        units: test images, or groups of them; with folds, those of all folds together.
        folds: that a seed is trained in; 1: one split.
        repeats: sets of folds.
    """

    seeds: int
    units: int
    folds: int = 1
    repeats: int = 1

    @property
    def runs(self) -> int:
        """The runs of each configuration."""
        return self.seeds * self.folds * self.repeats

    @property
    def freedom(self) -> "Freedom":
        """The degrees of freedom of the mean squares: those of the seeds are within each training set."""
        seeds = (self.seeds - 1) * self.repeats
        runs, residuals = seeds * self.folds, seeds * (self.units - self.folds)
        return Freedom(self.units - 1, np.full((2, 1), runs), np.full((2, 1), residuals))


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """Contributions to the variance of a difference, as ``intervals.variance_of`` adds them up.

    Attributes:
        cases: of the images.
        seeds: of each configuration's runs, ``(2, ...)``.
        residuals: what both contain, ``(2, ...)``.
    """

    cases: Values
    seeds: Values
    residuals: Values


def variances(images: float, seed: float, residual: float, training_set: float = 0.0) -> Variances:
    """Return the variances of a difference from standard deviations, equal for both configurations.

    Args:
        images: of image x configuration.
        seed: between runs.
        residual: of an image in one run.
        training_set: between training sets.
    """
    return Variances(
        np.asarray(2 * images**2),
        np.full(2, seed**2),
        np.full(2, residual**2),
        np.asarray(2 * training_set**2),
    )


def expected(parts: Variances, design: Design) -> MeanSquares:
    """Return the expected mean squares of a study of this size."""
    residuals = parts.residuals / (design.seeds * design.repeats * design.units)
    return MeanSquares(
        cases=parts.images / design.units + residuals.sum(0),
        seeds=parts.seeds / design.runs + residuals,
        residuals=residuals,
    )


def true_variance(parts: Variances, design: Design) -> Values:
    """Return the variance of the mean difference, for the training sets of the study."""
    squares = expected(parts, design)
    return np.asarray(squares.cases + (squares.seeds - squares.residuals).sum(0))


def combined(squares: MeanSquares, freedom: Freedom, floored: bool = False) -> tuple[Values, Values]:
    """Return the estimated variance of a difference and its degrees of freedom, for each draw.

    Args:
        squares: as a study has them, ``(draws,)`` and ``(2, draws)``.
        freedom: their degrees of freedom.
        floored: whether the noise of runs was raised to the median of several configurations, as in ``best``.
    """
    whole = squares.cases + (squares.seeds - squares.residuals).sum(0)
    spread = (
        squares.cases**2 / freedom.cases
        + (squares.seeds**2 / freedom.seeds).sum(0)
        + (squares.residuals**2 / freedom.residuals).sum(0)
    )
    fewest = 1.0 if floored else min(freedom.cases, float(freedom.seeds.min()))
    found = np.divide(whole**2, spread, out=np.zeros_like(spread), where=spread > 0)
    low = whole < squares.cases
    return (
        np.where(low, squares.cases, whole),
        np.where(low, freedom.cases, np.maximum(fewest, found)),
    )


def standard_error(parts: Variances, design: Design) -> tuple[float, float]:
    """Return the standard error of the difference and its degrees of freedom, for expected mean squares."""
    found = expected(parts, design)
    squares = MeanSquares(found.cases[None], found.seeds[:, None], found.residuals[:, None])
    variance, df = combined(squares, design.freedom)
    return float(np.sqrt(variance[0])), float(df[0])


def half_widths(parts: Variances, design: Design, num_configurations: int = 2) -> Values:
    """Draw half the width of the interval that a study of this size will have, ``(draws,)``.

    Args:
        parts: the true variances: numbers, or what they may be, one of them for each draw.
        design: with at least two seeds and two units.
        num_configurations: 2: one pair chosen beforehand; more: all pairs of so many are compared.
    """
    assert design.seeds > 1
    assert design.units > 1
    found, freedom = expected(parts, design), design.freedom
    sides = max(2, min(num_configurations, MOST_SIDES))
    uniform = draws(2 * sides + 3, NUM_DRAWS)
    seeds, seeds_df = _seeds_within(uniform[: 2 * sides], design)
    seeds *= np.stack([_per_draw(found.seeds[min(i, 1)]) for i in range(sides)])
    floored = num_configurations > 2
    if floored:
        seeds, seeds_df = _floored(seeds, seeds_df, num_configurations)
    squares = MeanSquares(
        cases=found.cases * scaled_chi2(uniform[-1], freedom.cases),
        seeds=seeds[:2],
        residuals=_per_draw(found.residuals) * scaled_chi2(uniform[-3:-1], freedom.residuals),
    )
    variance, df = combined(squares, replace(freedom, seeds=seeds_df[:2]), floored)
    return np.asarray(critical(df, num_configurations) * np.sqrt(variance))


def seeds_by_fold(uniform: Values, design: Design) -> tuple[Values, Values, Values]:
    """Draw the mean squares of runs: common to all training sets, within them, and whether they look alike.

    Args:
        uniform: two for each configuration.
        design: the size of the study; with one training set, the runs are compared as a whole.
    """
    df, sets = design.seeds - 1, design.folds * design.repeats
    sides = len(uniform) // 2
    common = scaled_chi2(uniform[:sides], df)
    if sets == 1:
        return common, common, np.ones(common.shape, bool)
    own_df = df * (sets - 1)
    own = scaled_chi2(uniform[sides:], own_df)
    return common, own, fdtrc(df, own_df, common / own) < SEEDS_ALIKE


def _per_draw(values: Values) -> Values:
    """Return numbers as ``(..., draws)``; values per draw as they are."""
    return values if values.shape[-1:] == (NUM_DRAWS,) else np.repeat(values[..., None], NUM_DRAWS, axis=-1)


def _seeds_within(uniform: Values, design: Design) -> tuple[Values, Values]:
    """Draw mean squares of each configuration's runs, over their expectations, and degrees of freedom.

    In folds, they are within each training set, unless the runs of a seed look alike in all of them (see
    ``intervals``): that happens by chance too.
    """
    df, sets = design.seeds - 1, design.folds * design.repeats
    common, own, alike = seeds_by_fold(uniform, design)
    within = (common + own * (sets - 1)) / sets
    return np.where(alike, common, within), np.where(alike, df, df * sets).astype(np.float64)


def power(parts: Variances, design: Design, difference: float, num_configurations: int = 2) -> float:
    """Return the probability that a true difference is shown: that its 95 % interval leaves out 0.

    Args:
        parts: the true variances.
        design: the size of the study.
        difference: between the true means.
        num_configurations: see ``half_widths``.
    """
    half = half_widths(parts, design, num_configurations)
    return shown(difference, half, np.sqrt(true_variance(parts, design)))


def smallest_difference(
    parts: Variances, design: Design, num_configurations: int = 2, probability: float = PROMISE
) -> float:
    """Return the smallest true difference that is shown with this probability; see ``power``."""
    half = half_widths(parts, design, num_configurations)
    return smallest_shown(half, np.sqrt(true_variance(parts, design)), probability)


def shown(difference: float, half: Values, error: Values) -> float:
    """Return the probability that the estimate lies outside of half a width of its interval.

    Args:
        difference: the true one.
        half: draws of half the width, independent of the estimate.
        error: standard deviation of the estimate; a number, or one for each draw.
    """
    exact = error == 0
    sd = np.where(exact, 1.0, error)
    outside = ndtr((difference - half) / sd) + ndtr((-difference - half) / sd)
    return float(np.where(exact, abs(difference) > half, outside).mean())


def smallest_shown(half: Values, error: Values, probability: float = PROMISE) -> float:
    """Return the difference that is shown with this probability; infinite if none within [0, 1] is."""
    return _crossing(lambda value: shown(value, half, error) - probability)


def _crossing(excess: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    if excess(high) < 0:
        return math.inf
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) >= 0 else (middle, high)
    return high


def critical(df: Values, num_configurations: int = 2) -> Values:
    """Return how many standard errors half an interval has: Student's t, or the range of all pairs."""
    table = _tabulated(num_configurations)
    return np.asarray(np.interp(1 / np.maximum(df, 1.0), 1 / DF_GRID, table))


@cache
def _tabulated(num_configurations: int) -> Values:
    count = min(max(2, num_configurations), MOST_TABULATED)
    return range_quantiles(count, DF_GRID) / math.sqrt(2)


def _floored(seeds: Values, df: Values, num_configurations: int) -> tuple[Values, Values]:
    """Raise the noise of two configurations' runs to the median of all, as ``best`` does.

    Returns:
        The mean squares of the first two, and their degrees of freedom.
    """
    usual = np.median(seeds * df / scipy.stats.chi2.median(df), axis=0)
    of_all = np.maximum(df[:2], MEDIAN_EFFICIENCY * df.mean(0) * num_configurations)
    return np.maximum(seeds[:2], usual), np.where(seeds[:2] < usual, of_all, df[:2])


def scaled_chi2(uniform: Values, df: float | Values) -> Values:
    """Return chi-squared values over their degrees of freedom from uniform ones."""
    return np.asarray(gammaincinv(df / 2, uniform) * 2 / df)


@cache
def draws(count: int, number: int) -> Values:
    """Return ``(count, number)`` uniform values, evenly spread in each row (a Latin hypercube)."""
    rng = np.random.default_rng(seed_for("power", count=count, number=number))
    places = np.stack([rng.permutation(number) for _ in range(count)])
    return np.asarray((places + rng.random(places.shape)) / number)
