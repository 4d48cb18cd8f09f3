"""The data that would settle a comparison: how many more seeds, or seeds and images, with which probability.

The observed difference and variances are estimates. So the probability that a larger study settles the
comparison is a mean over what the true values may be, given the observed ones. Mean squares are multiples of
chi-squareds, with a flat prior. True differences are normal around 0, of the size of the margin: with a flat
prior, only 58 % of pairs without or with a small difference were settled where images were needed. The larger
study contains the present one: its runs and images stay, which limits how far the estimate can still move.
Such a probability is called the assurance of a design (O'Hagan, Stevens & Campbell 2005).
``tests/stats/test_settling.py`` extends simulated studies by as much as was advised, and counts how many are
settled.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from segstudy.stats.comparisons import MARGIN
from segstudy.stats.intervals import AnyScores, by_seed, moments_of
from segstudy.stats.power import PROMISE, Freedom, MeanSquares, Values, combined, critical, draws, scaled_chi2

MOST_REPLICATES, MOST_IMAGES = 200, 100_000
FEWER, MORE = 0.50, 0.95  # the probabilities of the range around the promise
SEEDS_TRIED = 8  # numbers of seeds for which images are searched
USUAL = 1.5  # standard deviation of true differences over the margin, before anything is observed
STEPS = 40  # from the present size to the one that keeps the promise
NUM_DRAWS = 400
MANY_SEEDS = 20  # more of them than this: seeds and images together are named too


@dataclass(frozen=True, slots=True)
class Needed:
    """The size of a study, in totals.

    Attributes:
        replicates: seeds of each side.
        units: test images, or groups of them.
    """

    replicates: int
    units: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """The data that would settle a comparison, in totals.

    Attributes:
        replicates: of each side, with the present images if ``units`` is None; None if nothing within reason
            is enough.
        units: images, or groups of them, that are needed together with ``replicates``; None if the present
            ones are enough.
        probability: that so much settles it.
        fewer, more: what does so with a probability of 50 % and of 95 %; None if nothing within reason does.
        present: the size of the study.
        either: seeds and images that do the same as ``replicates`` alone, if these are many.
    """

    replicates: int | None
    units: int | None
    probability: float
    fewer: Needed | None
    more: Needed | None
    present: Needed
    either: Needed | None = None


def to_resolve(a: AnyScores, b: AnyScores, margin: float = MARGIN) -> Resolution:
    """Return how much data would show a difference, or that it is practically none.

    Settled means: the 95 % interval leaves out 0, or lies within the margin. More seeds alone are preferred.
    If no number of them is enough, seeds and images are searched together: of all combinations that keep the
    promise, the one with the smallest product of both.

    Args:
        a: ``(replicates, units)``, or by fold; with several replicates.
        b: the same units, with several replicates too.
        margin: as for ``comparisons.difference``.
    """
    left, right = by_seed(a), by_seed(b)
    present = Needed(min(len(left), len(right)), left.shape[1])
    chance = _chances(a, b, present, margin)
    if chance(present) == 1:
        return Resolution(present.replicates, None, 1.0, present, present, present)
    alone = _fewest_replicates(chance, present, PROMISE)
    found = alone or _fewest_of_both(chance, present, MOST_REPLICATES)
    return Resolution(
        replicates=None if found is None else found.replicates,
        units=None if found is None or alone is not None else found.units,
        probability=PROMISE,
        fewer=None if found is None else _on_the_way(chance, present, found, FEWER),
        more=None if found is None else _on_the_way(chance, present, found, MORE),
        present=present,
        either=_either(chance, present, alone),
    )


Chance = Callable[[Needed], float]


def _either(chance: Chance, present: Needed, alone: Needed | None) -> Needed | None:
    """Return seeds and images together that do it with half as many seeds, where seeds alone are many."""
    if alone is None or alone.replicates - present.replicates <= MANY_SEEDS:
        return None
    return _fewest_of_both(chance, present, alone.replicates // 2)


def _on_the_way(chance: Chance, present: Needed, found: Needed, probability: float) -> Needed | None:
    """Return what does it with another probability: seeds and images grow in the same proportion."""

    def grown(least: int, most: int, steps: int) -> int:
        return max(least, round(least * math.exp(steps / STEPS * math.log(most / least))))

    def after(steps: int) -> Needed:
        return Needed(
            grown(present.replicates, found.replicates, steps), grown(present.units, found.units, steps)
        )

    steps = _fewest(lambda number: chance(after(number)) >= probability, 0, 3 * STEPS, tolerance=0.0)
    there = None if steps is None else after(steps)
    return None if there is None or there.replicates > MOST_REPLICATES or there.units > MOST_IMAGES else there


def _fewest_replicates(chance: Chance, present: Needed, probability: float) -> Needed | None:
    found = _fewest(
        lambda number: chance(Needed(number, present.units)) >= probability,
        present.replicates,
        max(present.replicates, MOST_REPLICATES),
        tolerance=0.0,
    )
    return None if found is None else Needed(found, present.units)


def _fewest_of_both(chance: Chance, present: Needed, most_replicates: int) -> Needed | None:
    """Return the combination that keeps the promise with the smallest product of seeds and images."""
    most_replicates = max(present.replicates, most_replicates)
    tried = np.unique(np.geomspace(present.replicates, most_replicates, SEEDS_TRIED).round().astype(int))
    found = []
    for replicates in map(int, tried):
        units = _fewest(
            lambda number, replicates=replicates: chance(Needed(replicates, number)) >= PROMISE,  # type: ignore[misc]
            present.units,
            max(present.units, MOST_IMAGES),
            tolerance=0.03,
        )
        if units is not None:
            found.append(Needed(replicates, units))
    return min(found, key=lambda each: each.replicates * each.units, default=None)


def _fewest(enough: Callable[[int], bool], least: int, most: int, tolerance: float) -> int | None:
    """Return the smallest number that is enough, if more always is; None beyond most.

    ``tolerance`` is the share by which the number may be too large.
    """
    if enough(least):
        return least
    low, high = least, max(least, 1)
    if enough(high):
        return high
    while high < most:  # doubled at first: most answers are near
        low, high = high, min(most, 2 * high)
        if enough(high):
            break
    else:
        return None
    while high - low > max(1, int(tolerance * low)):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Parts:
    """The true contributions to the variance of the present difference, as they may be, ``(draws,)`` each."""

    cases: Values
    seeds: Values
    residuals: Values

    def of(self, seeds: float, units: float) -> "Parts":
        """Return them for so many times as many seeds and units."""
        return Parts(self.cases / units, self.seeds / seeds, self.residuals / (seeds * units))

    @property
    def total(self) -> Values:
        return np.asarray(self.cases + (self.seeds + self.residuals).sum(0))


def _chances(a: AnyScores, b: AnyScores, present: Needed, margin: float) -> Chance:
    """Return the function from the size of a study, which contains the present one, to its chance."""
    sides, num_units, fewest = [moments_of(a), moments_of(b)], present.units, present.replicates
    mean = sides[0].mean - sides[1].mean
    observed = MeanSquares(
        cases=np.asarray((sides[0].images - sides[1].images).var(ddof=1) / num_units)[None],
        seeds=np.array([[side.seeds] for side in sides]),
        residuals=np.array([[side.residual] for side in sides]),
    )
    freedom = Freedom(
        num_units - 1,
        np.array([[side.seed_df] for side in sides]),
        np.array([[side.residual_df] for side in sides]),
    )
    parts = _possible(observed, freedom)
    uniform = draws(7, NUM_DRAWS)[4:]

    def chance(size: Needed) -> float:
        seeds, units = size.replicates / fewest, size.units / num_units
        new = parts.of(seeds, units)
        later = Freedom(
            size.units - 1,
            freedom.seeds * (size.replicates - 1) / (fewest - 1),
            freedom.residuals * (size.replicates - 1) / (fewest - 1) * (size.units - 1) / (num_units - 1),
        )
        old = parts.cases + parts.residuals.sum(0), parts.seeds + parts.residuals
        cases = _extended(observed.cases, old[0], freedom.cases, later.cases, uniform[0])
        runs = _extended(observed.seeds, old[1], freedom.seeds, later.seeds, uniform[1:])
        squares = MeanSquares(
            cases * (new.cases + new.residuals.sum(0)), runs * (new.seeds + new.residuals), new.residuals
        )
        variance, df = combined(squares, later)
        later_mean, moves = _later(mean, parts.total, new.total, USUAL * margin)
        return _settled(later_mean, moves, critical(df) * np.sqrt(variance), margin)

    return chance


def _possible(observed: MeanSquares, freedom: Freedom) -> Parts:
    """Draw what the true contributions may be, given the observed mean squares."""
    uniform = draws(7, NUM_DRAWS)
    residuals = observed.residuals / scaled_chi2(uniform[:2], freedom.residuals)
    seeds = observed.seeds / scaled_chi2(uniform[2], float(freedom.seeds.sum()))  # only their sum matters
    cases = observed.cases / scaled_chi2(uniform[3], freedom.cases)
    return Parts(np.maximum(0.0, cases - residuals.sum(0)), np.maximum(0.0, seeds - residuals), residuals)


def _extended(
    observed: Values, true: Values, df: float | Values, later: float | Values, uniform: Values
) -> Values:
    """Return a mean square over its expectation, after more data: what is observed is a part of it."""
    old = np.divide(observed, true, out=np.ones_like(true), where=true > 0)
    more = np.asarray(later) - df
    if not np.any(more > 0):
        return old
    return np.asarray((old * df + scaled_chi2(uniform, more) * more) / later)


def _later(mean: float, now: Values, later: Values, usual: float) -> tuple[Values, Values]:
    """Return expectation and standard deviation of the estimate of the larger study, for each draw.

    Args:
        mean: the present estimate.
        now: its variance.
        later: that of the larger study, which contains the present one.
        usual: standard deviation of true differences, before anything was observed.
    """
    prior = usual**2
    share = np.divide(prior, prior + now, out=np.ones_like(now), where=prior + now > 0)  # that is believed
    left = np.divide(later, now, out=np.ones_like(now), where=now > 0)
    spread = later * (1 - left) + (1 - left) ** 2 * now * share
    return mean * (left + (1 - left) * share), np.sqrt(np.maximum(0.0, spread))


def _settled(mean: Values, moves: Values, half: Values, margin: float) -> float:
    """Return the probability that an estimate that still moves is shown to differ, or to be equal.

    Args:
        mean: its expectation, ``(draws,)``.
        moves: its standard deviation, ``(draws,)``.
        half: half the width of the later interval, ``(draws,)``.
        margin: the one that ``practically equal`` refers to.
    """
    inner = np.minimum(np.maximum(margin - half, 0.0), half)
    return float(1 - _between(mean, moves, inner, half).mean() - _between(-mean, moves, inner, half).mean())


def _between(mean: Values, moves: Values, low: Values, high: Values) -> Values:
    """Return the probability that a normal value lies between two."""
    exact = moves == 0
    sd = np.where(exact, 1.0, moves)
    inside = ndtr((high - mean) / sd) - ndtr((low - mean) / sd)
    return np.where(exact, (low < mean) & (mean <= high), inside)
