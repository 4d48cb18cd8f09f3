"""Studies whose truth is known: random images, runs, images x configurations and residual."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import studentized_range

from segstudy.stats.comparisons import Difference, difference, distinguished
from segstudy.stats.intervals import Scores

NUM_STUDIES, NUM_IMAGES, IMAGE_SD = 2000, 40, 0.12
GRID = list(itertools.product((0.03, 0.06), (0.005, 0.01, 0.02), (0.0, 0.03), (3, 5, 10)))


@dataclass(frozen=True)
class Truth:
    """Standard deviations, of the residual (fresh in every run), the runs and image x configuration."""

    residual: float
    seed: float
    interaction: float
    num_seeds: int

    def __str__(self) -> str:
        return (
            f"residual={self.residual}, seed={self.seed}, interaction={self.interaction}, R={self.num_seeds}"
        )


TRUTHS = [Truth(*point) for point in GRID]


def scores(
    rng: np.random.Generator, truth: Truth, means: Sequence[float], runs: Sequence[np.ndarray]
) -> list[Scores]:
    """One part of a study: the scores of each configuration, whose runs' effects are given."""
    images = rng.normal(0, IMAGE_SD, NUM_IMAGES)
    shape = (truth.num_seeds, NUM_IMAGES)
    return [
        mean
        + images
        + rng.normal(0, truth.interaction, NUM_IMAGES)
        + effect[:, None]
        + rng.normal(0, truth.residual, shape)
        for mean, effect in zip(means, runs, strict=True)
    ]


def pair(rng: np.random.Generator, truth: Truth, apart: float = 0.0) -> list[Scores]:
    """Two configurations, the first better by `apart`."""
    return scores(rng, truth, (apart, 0.0), [rng.normal(0, truth.seed, truth.num_seeds) for _ in range(2)])


def excluded_from(
    rng: np.random.Generator, truth: Truth, seed_sds: Sequence[float], better: float = 0.0
) -> int:
    """How many others the winner excludes; the first configuration is better than the rest by `better`.

    Validation and test are different images, but scored by the same runs: a lucky one is lucky on both.
    """
    runs = [rng.normal(0, sd, truth.num_seeds) for sd in seed_sds]
    means = [better] + [0.0] * (len(seed_sds) - 1)
    validation, test = (scores(rng, truth, means, runs) for _ in range(2))
    winner = int(np.argmax([each.mean() for each in validation]))
    found = [difference(test[winner], each) for i, each in enumerate(test) if i != winner]
    return num_excluded(found)


@cache
def least_range(num_configurations: int) -> float:
    """The studentized range that is significant with endless degrees of freedom: with fewer it takes more."""
    return float(studentized_range.ppf(0.95, num_configurations, np.inf))


def num_excluded(found: Sequence[Difference]) -> int:
    """Those whose adjusted p value is below 5 %; it is asked for only where it can be, being slow."""
    count = len(found) + 1
    near = [d for d in found if np.sqrt(2) * d.mean > least_range(count) * d.standard_error]
    return sum(p < 0.05 for p in distinguished(near, count))
