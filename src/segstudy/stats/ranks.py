"""Ranks: tests over replicates, and bootstrap of ranks.

Arrays in, frozen results out. Rank blocks are replicates, never images: images share the runs, and
ranks over them call equal configurations different in 55 to 100 % of studies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray

from segstudy.stats.comparisons import BOOTSTRAPS
from segstudy.stats.intervals import LEVEL, Scores
from segstudy.stats.studentized_range import quantile


@dataclass(frozen=True, slots=True)
class Ranking:
    """Friedman's test and Nemenyi's, over blocks (Demsar 2006).

    Attributes:
        mean_ranks: of each configuration; 1 is best.
        p: of Friedman's test, that all are equal.
        critical_difference: mean ranks farther apart than this differ at 5 %.
        bars: groups of configurations, by position, that do not differ within the group; the bars of a
            critical-difference diagram, best first.
        num_blocks: replicates.
    """

    mean_ranks: NDArray[np.float64]
    p: float
    critical_difference: float
    bars: tuple[tuple[int, ...], ...]
    num_blocks: int


@dataclass(frozen=True, slots=True)
class Stability:
    """The ranks of a configuration when images and runs are resampled.

    Attributes:
        best, top3: share of the resamples in which it is first, or among the first three.
        low, high: the ranks between which 95 % of the resamples lie.
    """

    best: float
    top3: float
    low: int
    high: int


def ranking(means: NDArray[np.float64]) -> Ranking:
    """Rank configurations within every replicate and compare the mean ranks.

    Args:
        means: ``(replicates, configurations)``, at least 2 x 3; higher is better.
    """
    blocks, count = means.shape
    assert blocks >= 2
    assert count >= 3
    ranks = scipy.stats.rankdata(-means, axis=1).mean(0)
    largest = quantile(LEVEL, count, np.inf) / np.sqrt(2)
    critical = float(largest * np.sqrt(count * (count + 1) / (6 * blocks)))
    return Ranking(
        mean_ranks=ranks,
        p=_friedman(means),
        critical_difference=critical,
        bars=_bars(ranks, critical),
        num_blocks=blocks,
    )


def _friedman(means: NDArray[np.float64]) -> float:
    if np.all(means == means[:, :1]):  # every block is one tie, where the statistic is 0 / 0
        return 1.0
    return float(scipy.stats.friedmanchisquare(*means.T).pvalue)


def _bars(ranks: NDArray[np.float64], critical: float) -> tuple[tuple[int, ...], ...]:
    """Return the largest groups whose mean ranks lie within the critical difference."""
    order = [int(i) for i in np.argsort(ranks, kind="stable")]
    bars: list[tuple[int, ...]] = []
    for start in range(len(order)):
        bar = tuple(i for i in order[start:] if ranks[i] - ranks[order[start]] <= critical)
        if len(bar) > 1 and not (bars and set(bar) <= set(bars[-1])):
            bars.append(bar)
    return tuple(bars)


def resampled_means(scores: Sequence[Scores], rng: np.random.Generator, draws: int) -> NDArray[np.float64]:
    """Return means of resampled units and, for each configuration, replicates: ``(draws, configurations)``.

    Args:
        scores: of each configuration, ``(replicates, units)`` with the same units.
        rng: of the draws.
        draws: how many.
    """
    num_units = scores[0].shape[1]
    units = rng.multinomial(num_units, np.full(num_units, 1 / num_units), draws) / num_units
    means = np.empty((draws, len(scores)))
    for column, matrix in enumerate(scores):
        replicates = len(matrix)
        weights = rng.multinomial(replicates, np.full(replicates, 1 / replicates), draws) / replicates
        means[:, column] = np.einsum("dr,dr->d", weights, units @ matrix.T)
    return means


def stability(scores: Sequence[Scores], seed: int, draws: int = BOOTSTRAPS) -> list[Stability]:
    """Bootstrap the ranks: units and, for each configuration, replicates are resampled with replacement.

    Use it only for the stability of an order: intervals of means from this bootstrap are too narrow.

    Args:
        scores: of each configuration, ``(replicates, units)`` with the same units.
        seed: of the draws.
        draws: how many.
    """
    means = resampled_means(scores, np.random.default_rng(seed), draws)
    ranks = scipy.stats.rankdata(-means, axis=1, method="min")
    low, high = np.quantile(ranks, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0, method="nearest")
    return [
        Stability(
            best=float(np.mean(ranks[:, i] == 1)),
            top3=float(np.mean(ranks[:, i] <= 3)),
            low=int(low[i]),
            high=int(high[i]),
        )
        for i in range(len(scores))
    ]
