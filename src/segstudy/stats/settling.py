"""The data that would settle a comparison: how many more seeds, or seeds and images, with which probability.

The observed difference and variances are estimates. So the probability that a larger study settles the
comparison is a mean over what the true values may be, given the observed ones. The larger study contains the
present one: its runs and images stay, which limits how far the estimate can still move. Such a probability is
called the assurance of a design (O'Hagan, Stevens & Campbell 2005).

Mean squares are multiples of chi-squareds, with a flat prior. A true difference is normal around 0 with
variance margin^2 + spread. The margin stands for what is usual: most configurations differ by a few margins.
With a flat prior, only 58 % of pairs with no or a small difference were settled where images were needed. The
spread is unknown. The share of noise, noise / (noise + spread), has the density 2 x share between 0 and 1 (of
the family of Strawderman 1971), where noise is the variance of the present estimate: the spread is less than
the noise with a probability of 3/4. So the prior has long tails, of the width of the noise: a difference that
the noise does not explain is believed, be it 2 or 40 margins, and one that the noise explains is not. With a
normal prior of 1.5 margins, a difference of .28 with t = 3 and few degrees of freedom was taken for chance,
and no number of seeds was enough. Tails of a fixed width, as those of a Cauchy distribution, do not help: if
noise is much wider than the margin, a difference of practically 0 remains the better explanation. With a
uniform share, 13 to 24 points fewer of the pairs without a difference were settled where images were needed.

The observed difference decides on the spread, but not on the noise: else a difference that is small by chance
speaks for little noise, and advice is too low. ``tests/stats/test_settling.py`` extends simulated studies by
as much as was advised, and counts how many are settled.
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
NOISE_SHARES = np.sqrt((np.arange(8) + 0.5) / 8)  # equally probable before anything is observed
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
        probability: that so much settles it; if nothing within reason is enough, that ``most`` does.
        fewer, more: what does so with a probability of 50 % and of 95 %; None if nothing within reason does.
        present: the size of the study; of sides with different numbers of seeds, the smaller.
        either: seeds and images that do the same as ``replicates`` alone, if these are many.
        most: the largest size that is searched.
        is_uneven: whether the sides have different numbers of seeds now. The larger keeps what it has.
    """

    replicates: int | None
    units: int | None
    probability: float
    fewer: Needed | None
    more: Needed | None
    present: Needed
    either: Needed | None = None
    most: Needed = Needed(MOST_REPLICATES, MOST_IMAGES)
    is_uneven: bool = False


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
    seeds, num_units = (len(by_seed(a)), len(by_seed(b))), by_seed(a).shape[1]
    present = Needed(min(seeds), num_units)
    most = Needed(max(*seeds, MOST_REPLICATES), max(num_units, MOST_IMAGES))
    uneven = seeds[0] != seeds[1]
    chance = _chances(a, b, margin)
    if chance(present) == 1:
        return Resolution(present.replicates, None, 1.0, present, present, present, None, most, uneven)
    alone = _fewest_replicates(chance, present, most, PROMISE)
    found = alone or _fewest_of_both(chance, present, most, PROMISE)
    if found is None:
        even = _fewest_replicates(chance, present, most, FEWER)
        fewer = even or _fewest_of_both(chance, present, most, FEWER)
        return Resolution(None, None, chance(most), fewer, None, present, None, most, uneven)
    return Resolution(
        replicates=found.replicates,
        units=None if alone is not None else found.units,
        probability=PROMISE,
        fewer=_on_the_way(chance, present, found, most, FEWER),
        more=_on_the_way(chance, present, found, most, MORE),
        present=present,
        either=None if alone is None else _either(chance, present, alone),
        most=most,
        is_uneven=uneven,
    )


Chance = Callable[[Needed], float]


def _either(chance: Chance, present: Needed, alone: Needed) -> Needed | None:
    """Return seeds and images together that do it with half as many seeds, where seeds alone are many."""
    if alone.replicates - present.replicates <= MANY_SEEDS:
        return None
    most = Needed(max(present.replicates, alone.replicates // 2), max(present.units, MOST_IMAGES))
    return _fewest_of_both(chance, present, most, PROMISE)


def _on_the_way(
    chance: Chance, present: Needed, found: Needed, most: Needed, probability: float
) -> Needed | None:
    """Return what does it with another probability: seeds and images grow in the same proportion."""

    def grown(least: int, most: int, steps: int) -> int:
        return max(least, round(least * math.exp(steps / STEPS * math.log(most / least))))

    def after(steps: int) -> Needed:
        return Needed(
            grown(present.replicates, found.replicates, steps), grown(present.units, found.units, steps)
        )

    steps = _fewest(lambda number: chance(after(number)) >= probability, 0, 3 * STEPS, tolerance=0.0)
    there = None if steps is None else after(steps)
    return None if there is None or there.replicates > most.replicates or there.units > most.units else there


def _fewest_replicates(chance: Chance, present: Needed, most: Needed, probability: float) -> Needed | None:
    found = _fewest(
        lambda number: chance(Needed(number, present.units)) >= probability,
        present.replicates,
        most.replicates,
        tolerance=0.0,
    )
    return None if found is None else Needed(found, present.units)


def _fewest_of_both(chance: Chance, present: Needed, most: Needed, probability: float) -> Needed | None:
    """Return the combination that has this probability with the smallest product of seeds and images."""
    tried = np.unique(np.geomspace(present.replicates, most.replicates, SEEDS_TRIED).round().astype(int))
    found = []
    for replicates in map(int, tried):
        units = _fewest(
            lambda number, replicates=replicates: chance(Needed(replicates, number)) >= probability,  # type: ignore[misc]
            present.units,
            most.units,
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
    low = high = least
    while high < most:  # doubled at first: most answers are near
        low, high = high, min(most, max(1, 2 * high))
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

    def of(self, seeds: Values, units: float) -> "Parts":
        """Return them for so many times as many seeds, ``(2, 1)``, and units."""
        return Parts(self.cases / units, self.seeds / seeds, self.residuals / (seeds * units))

    @property
    def of_cases(self) -> Values:
        """The expected mean square of the images: the residuals are in it."""
        return np.asarray(self.cases + self.residuals.sum(0))

    @property
    def of_seeds(self) -> Values:
        """The expected mean square of each side's runs: the residuals are in it."""
        return np.asarray(self.seeds + self.residuals)

    @property
    def total(self) -> Values:
        return np.asarray(self.cases + self.of_seeds.sum(0))


def _chances(a: AnyScores, b: AnyScores, margin: float) -> Chance:
    """Return the function from the size of a study, which contains the present one, to its chance."""
    sides = [moments_of(a), moments_of(b)]
    mean, num_units = sides[0].mean - sides[1].mean, len(sides[0].images)
    present = np.array([[side.num_replicates] for side in sides])
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
    prior, weights = _true_differences(mean, parts.total, margin)

    def chance(size: Needed) -> float:
        replicates = np.maximum(present, size.replicates)
        new = parts.of(replicates / present, size.units / num_units)
        more_seeds = (replicates - 1) / (present - 1)
        more_residuals = more_seeds * (size.units - 1) / (num_units - 1)
        later = Freedom(size.units - 1, freedom.seeds * more_seeds, freedom.residuals * more_residuals)
        variance, df = combined(_larger(observed, parts, new, freedom, later), later)
        later_mean, moves = _later(mean, parts.total, new.total, prior)
        return _settled(later_mean, moves, weights, critical(df) * np.sqrt(variance), margin)

    return chance


def _possible(observed: MeanSquares, freedom: Freedom) -> Parts:
    """Draw what the true contributions may be, given the observed mean squares."""
    uniform = draws(7, NUM_DRAWS)
    residuals = observed.residuals / scaled_chi2(uniform[:2], freedom.residuals)
    seeds = observed.seeds / scaled_chi2(uniform[2], float(freedom.seeds.sum()))  # only their sum matters
    cases = observed.cases / scaled_chi2(uniform[3], freedom.cases)
    return Parts(np.maximum(0.0, cases - residuals.sum(0)), np.maximum(0.0, seeds - residuals), residuals)


def _larger(observed: MeanSquares, now: Parts, new: Parts, before: Freedom, later: Freedom) -> MeanSquares:
    """Draw the mean squares of the larger study, in which those observed are a part.

    Residuals are so many that the mean square of the new ones is taken as expected.
    """
    uniform = draws(7, NUM_DRAWS)[4:]
    cases = _extended(observed.cases, now.of_cases, before.cases, later.cases, uniform[0])
    seeds = _extended(observed.seeds, now.of_seeds, before.seeds, later.seeds, uniform[1:])
    residuals = _extended(observed.residuals, now.residuals, before.residuals, later.residuals)
    return MeanSquares(cases * new.of_cases, seeds * new.of_seeds, residuals * new.residuals)


def _extended(
    observed: Values,
    true: Values,
    df: float | Values,
    later: float | Values,
    uniform: Values | None = None,
) -> Values:
    """Return a mean square over its expectation, after more data: what is observed is a part of it."""
    old = np.divide(observed, true, out=np.ones_like(true), where=true > 0)
    more = np.asarray(later) - df
    new = 1.0 if uniform is None else scaled_chi2(uniform, np.where(more > 0, more, 1.0))
    return np.asarray((old * df + new * more) / later)


def _true_differences(mean: float, noise: Values, margin: float) -> tuple[Values, Values]:
    """Return what the variance of the true difference may be, and how probable each value is.

    Args:
        mean: the present estimate.
        noise: its variance, ``(draws,)``.
        margin: differences of this size are usual.

    Returns:
        Both ``(shares, draws)``; the probabilities of each draw are equal in sum, and all add up to 1.
    """
    prior = margin**2 + noise * (1 / NOISE_SHARES[:, None] - 1)
    fit = -(mean**2 / (prior + noise) + np.log(prior + noise)) / 2
    likelihood = np.exp(fit - fit.max(0))
    return prior, likelihood / (likelihood.sum(0) * noise.size)


def _later(mean: float, now: Values, later: Values, prior: Values) -> tuple[Values, Values]:
    """Return expectation and standard deviation of the estimate of the larger study, ``(shares, draws)``.

    Args:
        mean: the present estimate.
        now: its variance, ``(draws,)``.
        later: that of the larger study, which contains the present one.
        prior: variance of the true difference, ``(shares, draws)``.
    """
    share = prior / (prior + now)  # of the present estimate that is believed
    left = np.divide(later, now, out=np.ones_like(now), where=now > 0)
    spread = later * (1 - left) + (1 - left) ** 2 * now * share
    return mean * (left + (1 - left) * share), np.sqrt(np.maximum(0.0, spread))


def _settled(mean: Values, moves: Values, weights: Values, half: Values, margin: float) -> float:
    """Return the probability that an estimate that still moves is shown to differ, or to be equal.

    Args:
        mean: its expectation, ``(shares, draws)``.
        moves: its standard deviation.
        weights: the probability of each.
        half: half the width of the later interval, ``(draws,)``.
        margin: the one that ``practically equal`` refers to.
    """
    inner = np.minimum(np.maximum(margin - half, 0.0), half)
    still_open = _between(mean, moves, inner, half) + _between(-mean, moves, inner, half)
    return float(1 - (weights * still_open).sum())


def _between(mean: Values, moves: Values, low: Values, high: Values) -> Values:
    """Return the probability that a normal value lies between two."""
    exact = moves == 0
    sd = np.where(exact, 1.0, moves)
    inside = ndtr((high - mean) / sd) - ndtr((low - mean) / sd)
    return np.where(exact, (low < mean) & (mean <= high), inside)
