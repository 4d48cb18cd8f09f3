"""Studies whose best configuration is chosen on validation: the same runs are scored on both subsets."""

from dataclasses import dataclass

import numpy as np

from segstudy.stats.intervals import AnyScores, ScoresByFold

IMAGE_SD = 0.12


@dataclass(frozen=True)
class Choice:
    """What such a study is drawn from.

    Attributes:
        seeds, configurations: numbers of both.
        folds, repeats: numbers of both; 0 and 1 without folds.
        images: of the validation subset and of the test subset; with folds of both.
        seed: standard deviation of the runs; with folds, each fold has its own.
        training_set: of the effect of a training set, with folds.
        interaction, residual: of image x configuration, and what is left.
    """

    configurations: int
    seeds: int
    folds: int = 0
    repeats: int = 1
    images: int = 60
    seed: float = 0.01
    training_set: float = 0.0
    interaction: float = 0.03
    residual: float = 0.03


def studied(
    rng: np.random.Generator, truth: Choice, means: np.ndarray
) -> tuple[list[AnyScores], list[AnyScores]]:
    """Draw validation and test scores of configurations with these means."""
    draw = _in_folds if truth.folds else _split
    sides = draw(rng, truth, means)
    return [a for a, _ in sides], [b for _, b in sides]


def _split(rng: np.random.Generator, truth: Choice, means: np.ndarray) -> list[tuple[AnyScores, AnyScores]]:
    images = rng.normal(0, IMAGE_SD, (2, truth.images))
    found: list[tuple[AnyScores, AnyScores]] = []
    for mean in means:
        runs = rng.normal(0, truth.seed, (truth.seeds, 1))
        own = images + rng.normal(0, truth.interaction, images.shape)
        shape = truth.seeds, truth.images
        a, b = (mean + part + runs + rng.normal(0, truth.residual, shape) for part in own)
        found.append((a, b))
    return found


def _in_folds(
    rng: np.random.Generator, truth: Choice, means: np.ndarray
) -> list[tuple[AnyScores, AnyScores]]:
    """Run k of a repeat is tested on part k and validated on part k + 1."""
    dealt = np.arange(truth.images) % truth.folds
    tested = np.stack([rng.permutation(dealt) for _ in range(truth.repeats)])
    validated = (tested - 1) % truth.folds
    images = rng.normal(0, IMAGE_SD, truth.images)
    found: list[tuple[AnyScores, AnyScores]] = []
    for mean in means:
        shape = truth.seeds, truth.repeats, truth.folds
        runs = rng.normal(0, truth.seed, shape) + rng.normal(0, truth.training_set, shape[1:])
        own = mean + images + rng.normal(0, truth.interaction, truth.images)
        sides = [
            ScoresByFold(
                own
                + np.take_along_axis(runs, np.broadcast_to(part, (truth.seeds, *part.shape)), axis=2)
                + rng.normal(0, truth.residual, (truth.seeds, *part.shape)),
                part,
            )
            for part in (validated, tested)
        ]
        found.append((sides[0], sides[1]))
    return found
