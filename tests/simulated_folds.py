"""Studies with folds whose truth is known: the training set of every fold has an effect of its own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from segstudy.stats.intervals import ScoresByFold

IMAGE_SD, RESIDUAL, SEED_SD = 0.12, 0.06, 0.01


@dataclass(frozen=True)
class Folds:
    """What a study with folds is drawn from.

    Attributes:
        folds, repeats, seeds, images: numbers of each.
        training_set: standard deviation between training sets, of one configuration.
        interaction: of image x configuration.
        effect: whether every training set has an effect of its own, or the mean of its images' effects: then
            training sets that share images have similar effects.
        wild: how many times as much the first configuration's seeds scatter.
        wild_set: how many times as much seeds scatter on the first training set.
        common: share of the seeds' variance that a seed has in common over all training sets.
        fixed: whether the study is about just these training sets: their effects add up to 0.
    """

    folds: int
    repeats: int
    seeds: int
    training_set: float
    interaction: float = 0.0
    images: int = 200
    effect: Literal["own", "of images"] = "own"
    wild: float = 1.0
    wild_set: float = 1.0
    common: float = 0.0
    fixed: bool = False


def studied(rng: np.random.Generator, truth: Folds, means: list[float]) -> list[ScoresByFold]:
    """Draw the scores of configurations with these means on the same folds."""
    dealt = np.arange(truth.images) % truth.folds
    folds = np.stack([rng.permutation(dealt) for _ in range(truth.repeats)])
    images = rng.normal(0, IMAGE_SD, truth.images)
    return [
        ScoresByFold(
            mean
            + images
            + rng.normal(0, truth.interaction, truth.images)
            + _runs(rng, truth, folds, SEED_SD * (1 if place else truth.wild)),
            folds,
        )
        for place, mean in enumerate(means)
    ]


def _runs(rng: np.random.Generator, truth: Folds, folds: np.ndarray, seed_sd: float) -> np.ndarray:
    """Return what the runs of one configuration add: ``(seeds, repeats, images)``."""
    shape = truth.repeats, truth.folds
    sets = (
        rng.normal(0, truth.training_set, shape) if truth.effect == "own" else _of_images(rng, truth, folds)
    )
    if truth.fixed:
        sets = sets - sets.mean()
    seeds = rng.normal(0, seed_sd * np.sqrt(1 - truth.common), (truth.seeds, *shape))
    seeds[:, 0, 0] *= truth.wild_set
    if truth.common:
        seeds += rng.normal(0, seed_sd * np.sqrt(truth.common), (truth.seeds, 1, 1))
    noise = rng.normal(0, RESIDUAL, (truth.seeds, truth.repeats, truth.images))
    return np.take_along_axis(sets + seeds, np.broadcast_to(folds, noise.shape), axis=2) + noise


def _of_images(rng: np.random.Generator, truth: Folds, folds: np.ndarray) -> np.ndarray:
    effects = rng.normal(0, 1, truth.images)
    sets = np.empty((truth.repeats, truth.folds))
    for repeat, dealt in enumerate(folds):
        for fold in range(truth.folds):
            trained = (dealt != fold) & (dealt != (fold + 1) % truth.folds)
            sets[repeat, fold] = truth.training_set * effects[trained].sum() / np.sqrt(trained.sum())
    return sets
