"""Sequential studies whose truth is known, run to their end, beside the fixed study with all seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from simulated import Truth, scores

from segstudy.stats.best import against_best
from segstudy.stats.intervals import Scores
from segstudy.stats.sequential import Look, error_shares, look

MARGIN = 0.01


@dataclass(frozen=True)
class Ended:
    """A simulated sequential study.

    Attributes:
        stopped: configurations that were beaten, each with the look.
        looks: all that were taken.
        num_runs: trained.
    """

    stopped: dict[int, int]
    looks: list[Look]
    num_runs: int


def sequential(test: Sequence[Scores], seeds: Sequence[int], margin: float = MARGIN) -> Ended:
    """Take looks until the study ends; the scores have the seeds of the last look."""
    left, stopped, looks, num_runs = list(range(len(test))), {}, [], 0
    shares = error_shares(seeds)
    for number, (now, before) in enumerate(zip(seeds, (0, *seeds), strict=False), 1):
        num_runs += len(left) * (now - before)
        found = look([test[i][:now] for i in left], seeds, shares, len(test), margin)
        looks.append(found)
        out = [i for i, each in zip(left, found.against, strict=True) if each.excluded]
        stopped |= dict.fromkeys(out, number)
        left = [i for i in left if i not in out]
        if found.conclusion != "continue":
            break
    return Ended(stopped, looks, num_runs)


def fixed(test: Sequence[Scores]) -> set[int]:
    """The configurations that the fixed study with all seeds excludes."""
    return {i for i, each in enumerate(against_best(test)) if each.excluded}


def drawn(
    rng: np.random.Generator, truth: Truth, means: Sequence[float], sds: Sequence[float]
) -> list[Scores]:
    """The test scores of a study with the seeds of the last look."""
    return scores(rng, truth, means, [rng.normal(0, sd, truth.num_seeds) for sd in sds])
