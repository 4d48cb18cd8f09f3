"""The looks of a sequential study: how many seeds, and which share of the error each may use."""

import math
from collections.abc import Sequence

from segstudy.stats.intervals import LEVEL

FEWEST_SEEDS = 3  # at a look: of two, equal configurations are stopped in up to 8.6 % of studies
SPENDING_POWER = 2  # 1 finds less in the end, 3 stops little early: see docs/statistics.md
GROWTH = 1.5  # seeds at a look over those at the one before


def planned_seeds(first: int, most: int) -> tuple[int, ...]:
    """Return the seeds of each configuration at each look: each time half as many again.

    >>> planned_seeds(3, 10)
    (3, 5, 8, 10)
    """
    assert FEWEST_SEEDS <= first < most
    seeds = [first]
    while seeds[-1] < most:
        seeds.append(min(most, math.ceil(seeds[-1] * GROWTH)))
    return tuple(seeds)


def error_shares(seeds: Sequence[int]) -> tuple[float, ...]:
    """Return the error that each look may make: 5 % in all.

    >>> error_shares((3, 5, 8, 10))
    (0.0045, 0.008, 0.0195, 0.018)
    """
    spent = [round((1 - LEVEL) * (each / seeds[-1]) ** SPENDING_POWER, 6) for each in seeds]
    return tuple(round(now - before, 6) for now, before in zip(spent, (0.0, *spent), strict=False))
