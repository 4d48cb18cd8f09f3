"""Sequential studies: runs are added in stages, and each stage ends with a look at the scores.

The looks are planned before the first run. The error of 5 % is divided among them: the share that is spent
up to a look grows with the square of its seeds (alpha spending, Lan & DeMets 1983, Kim & DeMets 1987). Each
look compares the configurations with simultaneous intervals of its own share. The shares add up (Bonferroni):
of the configurations that are as good as the best, any is stopped in at most 5 % of studies, however the
looks depend on each other. They do depend, as all looks are at the same test images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from segstudy.stats.best import AgainstBest, against_best, all_pairs, noise_of_runs, range_quantiles
from segstudy.stats.intervals import AnyScores, by_seed, moments_of

FUTILE = 0.1  # predictive power below which more seeds are not worth their time

Conclusion = Literal["continue", "one is left", "practically equal", "more seeds would not help", "last look"]


@dataclass(frozen=True, slots=True)
class Look:
    """The decision of one look.

    Attributes:
        against: each compared configuration against the best of the others.
        conclusion: whether the study goes on, or why it ends.
        chance: that more seeds decide anything that is still open; None where the study ends without it.
    """

    against: tuple[AgainstBest, ...]
    conclusion: Conclusion
    chance: float | None = None


def look(
    scores: Sequence[AnyScores],
    seeds: Sequence[int],
    shares: Sequence[float],
    num_configurations: int,
    margin: float,
) -> Look:
    """Compare the configurations that are left, and decide whether more seeds are worth their time.

    Args:
        scores: of each, ``(replicates, units)`` or by fold: at least two, all with the seeds of one look.
        seeds: of all looks.
        shares: of the error, for all looks.
        num_configurations: of the study, also those that were stopped: the intervals hold for all of them.
        margin: configurations whose differences lie within it are practically equal.
    """
    place = list(seeds).index(len(by_seed(scores[0])))
    found = against_best(scores, 1 - shares[place], num_configurations)
    left = [i for i, each in enumerate(found) if not each.excluded]
    if len(left) == 1:
        return Look(tuple(found), "one is left")
    if all(found[i].low >= -margin for i in left):
        return Look(tuple(found), "practically equal")
    if place == len(seeds) - 1:
        return Look(tuple(found), "last look")
    chance = _chance([scores[i] for i in left], seeds[-1], shares[-1], num_configurations, margin)
    return Look(tuple(found), "more seeds would not help" if chance < FUTILE else "continue", chance)


def _chance(scores: Sequence[AnyScores], seeds: int, share: float, count: int, margin: float) -> float:
    """Return the probability that the last look decides something that is still open, as seen now.

    It is the predictive power: the difference at the last look is normal around the present one, and the
    images stay. Decided means that one of a pair is excluded (the likeliest pair counts), or that all are
    practically equal. As it can only end a study early, it adds nothing to the error.
    """
    moments = [moments_of(each) for each in scores]
    pairs = all_pairs(moments)
    ratio = moments[0].num_replicates / seeds
    own, _, _ = noise_of_runs(moments)
    runs = own[:, None] + own
    error = np.sqrt(np.clip(pairs.error**2 - runs * (1 - ratio), 0, None))
    df = np.maximum(pairs.df, seeds - 1.0)
    half = range_quantiles(max(count, len(scores)), df, 1 - share) / np.sqrt(2) * error
    spread = np.sqrt(runs * (1 - ratio)) + 1e-12
    excluded = ndtr((-half - pairs.mean) / spread)
    equal = ndtr((margin - half - pairs.mean) / spread) - ndtr((half - margin - pairs.mean) / spread)
    apart = ~np.eye(len(scores), dtype=bool)
    return float(max(excluded[apart].max(), equal[apart].min()))
