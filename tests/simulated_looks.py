"""Sequential studies whose truth is known, run to their end, beside the fixed study with all seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from simulated import Truth, scores

from segstudy.stats import best
from segstudy.stats import sequential as looks
from segstudy.stats.best import against_best
from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import AnyScores, Scores, mean_interval, of_seeds
from segstudy.stats.planned_looks import error_shares
from segstudy.stats.sequential import Look, look

MARGIN = 0.01
DF = np.unique(np.concatenate([np.geomspace(1, 3000, 400), np.arange(1, 60)]))


@dataclass(frozen=True)
class Ended:
    """A simulated sequential study.

    Attributes:
        stopped: configurations that were beaten, each with the look.
        looks: all that were taken.
        num_runs: trained.
        num_seeds: of those that are left.
    """

    stopped: dict[int, int]
    looks: list[Look]
    num_runs: int
    num_seeds: int


def sequential(test: Sequence[AnyScores], seeds: Sequence[int], margin: float = MARGIN) -> Ended:
    """Take looks until the study ends; the scores have the seeds of the last look."""
    left, stopped, taken, num_runs = list(range(len(test))), {}, [], 0
    shares = error_shares(seeds)
    for number, (now, before) in enumerate(zip(seeds, (0, *seeds), strict=False), 1):
        num_runs += len(left) * (now - before)
        found = look([of_seeds(test[i], range(now)) for i in left], seeds, shares, len(test), margin)
        taken.append(found)
        out = [i for i, each in zip(left, found.against, strict=True) if each.excluded]
        stopped |= dict.fromkeys(out, number)
        left = [i for i in left if i not in out]
        if found.conclusion != "continue":
            break
    return Ended(stopped, taken, num_runs, now)


def fixed(test: Sequence[Scores]) -> set[int]:
    """The configurations that the fixed study with all seeds excludes."""
    return {i for i, each in enumerate(against_best(test)) if each.excluded}


def drawn(
    rng: np.random.Generator, truth: Truth, means: Sequence[float], sds: Sequence[float]
) -> list[Scores]:
    """The test scores of a study with the seeds of the last look."""
    return scores(rng, truth, means, [rng.normal(0, sd, truth.num_seeds) for sd in sds])


@dataclass(frozen=True)
class Found:
    """Shares and means over simulated studies.

    Attributes:
        wrong: studies that stopped one of the best; of the fixed ones, those that excluded one.
        cost: runs, over those of the fixed study.
        stopped: configurations that are worse and were stopped; of the fixed ones, excluded.
        covered: 95 % intervals of the winner's test mean that contain its true mean.
        optimism: of the winner's test mean.
        different: pairs of equal configurations, left at the end, whose single p value is below 5 %.
    """

    wrong: float
    fixed_wrong: float
    cost: float
    stopped: float
    fixed_excluded: float
    covered: float
    fixed_covered: float
    optimism: float
    fixed_optimism: float
    different: float

    def __str__(self) -> str:
        return (
            f"level {self.wrong:.3f} (fixed {self.fixed_wrong:.3f}), cost {self.cost:.2f}, worse ones out "
            f"{self.stopped:.2f} (fixed {self.fixed_excluded:.2f}), winner's mean covered {self.covered:.3f} "
            f"(fixed {self.fixed_covered:.3f}), too high by {self.optimism:+.4f} "
            f"(fixed {self.fixed_optimism:+.4f}), equal pairs called different {self.different:.3f}"
        )


def simulate(
    rng: np.random.Generator, truth: Truth, means: Sequence[float], num_studies: int, seeds: Sequence[int]
) -> Found:
    """Simulate sequential and fixed studies on equal draws; validation and test share the runs' effects."""
    count, best_mean = len(means), max(means)
    tied = {i for i, each in enumerate(means) if each == best_mean}
    rows, pairs = [], []
    for _ in range(num_studies):
        runs = [rng.normal(0, truth.seed, truth.num_seeds) for _ in means]
        validation, test = (scores(rng, truth, means, runs) for _ in range(2))
        ended, excluded = sequential(test, seeds), fixed(test)
        left = [i for i in range(count) if i not in ended.stopped]
        ours = _winner(validation, test, means, left, ended.num_seeds)
        theirs = _winner(validation, test, means, range(count), seeds[-1])
        rows.append(
            [
                bool(tied & ended.stopped.keys()),
                bool(tied & excluded),
                ended.num_runs / (count * seeds[-1]),
                len(ended.stopped.keys() - tied),
                len(excluded - tied),
                *(value for pair in zip(ours, theirs, strict=True) for value in pair),
            ]
        )
        open_tied = [test[i][: ended.num_seeds] for i in left if i in tied]
        if len(open_tied) > 1:
            pairs.append(difference(*open_tied[:2]).p < 0.05)
    return Found(*map(float, np.mean(rows, axis=0)), float(np.mean(pairs)) if pairs else float("nan"))


def _winner(
    validation: Sequence[Scores],
    test: Sequence[Scores],
    means: Sequence[float],
    names: Sequence[int],
    num_seeds: int,
) -> tuple[bool, float]:
    """Whether the interval of the winner's test mean holds its true mean, and by how much it is too high."""
    first = max(names, key=lambda i: validation[i][:num_seeds].mean())
    found = mean_interval(test[first][:num_seeds])
    return found.low <= means[first] <= found.high, found.mean - means[first]


def quick_quantiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpolate quantiles of the studentized range between degrees of freedom: 50 times as quick."""
    exact = best.range_quantiles

    @cache
    def table(count: int, level: float) -> np.ndarray:
        return exact(count, DF[None], level)[0]

    def interpolated(count: int, df: np.ndarray, level: float = 0.95) -> np.ndarray:
        return np.interp(1 / df, 1 / DF[::-1], table(count, level)[::-1])

    for module in (best, looks):
        monkeypatch.setattr(module, "range_quantiles", interpolated)
