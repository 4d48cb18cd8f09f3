"""Studies with scores as IoU has them: skewed, with a ceiling, failures, collapsed runs and groups."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from segstudy.stats.intervals import Scores

COLLAPSED = 0.05  # IoU of a run that predicts nothing, where some images have hardly any foreground


@dataclass(frozen=True)
class Iou:
    """What a study with two equal configurations is drawn from.

    1 - IoU is log-normal, with a median of .13, and at most 1, so IoU has a ceiling and a long lower tail.

    Attributes:
        images: in the test subset.
        seeds: of each configuration.
        seed: standard deviation of the runs, as a share of 1 - IoU; that of the first is `wild` times larger.
        wild: see there.
        heavy: whether runs scatter with heavy tails (Student's t with 3 degrees of freedom).
        failing: share of the images that a run misses altogether (IoU 0); a hard image for all of them.
        collapse: share of the runs that collapse.
        groups: images of a patient, all of the same size; 1 for single images.
        large: share of the images that one patient owns.
    """

    images: int = 40
    seeds: int = 5
    seed: float = 0.05
    wild: float = 1.0
    heavy: bool = False
    failing: float = 0.0
    collapse: float = 0.0
    groups: int = 1
    large: float = 0.0

    def __str__(self) -> str:
        changed = {name: value for name, value in vars(self).items() if value != getattr(Iou, name)}
        return " ".join(f"{name}={value}" for name, value in changed.items()) or "as usual"


def groups_of(truth: Iou) -> list[str]:
    """Return the patient of each image."""
    num_large = round(truth.large * truth.images)
    return ["large"] * num_large + [f"p{i // truth.groups}" for i in range(truth.images - num_large)]


def pair(rng: np.random.Generator, truth: Iou) -> tuple[Scores, Scores]:
    """Draw two equal configurations on the same images."""
    _, group = np.unique(groups_of(truth), return_inverse=True)
    count = int(group.max()) + 1
    image = rng.normal(0, 0.4, count)[group] + rng.normal(0, 0.4, truth.images)
    hard = rng.random(truth.images) < truth.failing
    found = []
    for wild in (truth.wild, 1.0):
        own = rng.normal(0, 0.2, count)[group] + rng.normal(0, 0.2, truth.images)
        found.append(_runs(rng, truth, image + own, hard, truth.seed * wild))
    return found[0], found[1]


def _runs(rng: np.random.Generator, truth: Iou, images: np.ndarray, hard: np.ndarray, seed: float) -> Scores:
    shape = truth.seeds, truth.images
    runs = (
        rng.standard_t(3, (truth.seeds, 1)) / np.sqrt(3)
        if truth.heavy
        else rng.normal(0, 1, (truth.seeds, 1))
    )
    scores = 1 - np.minimum(1, 0.13 * np.exp(images + seed * runs + rng.normal(0, 0.3, shape)))
    scores[hard & (rng.random(shape) < 0.7)] = 0
    fallen = rng.random(truth.seeds) < truth.collapse
    scores[fallen] = COLLAPSED * rng.random((int(fallen.sum()), truth.images))
    return np.asarray(scores)


@cache
def true_mean(truth: Iou) -> float:
    """Return the mean of the first configuration over all images and runs, from many draws."""
    rng = np.random.default_rng(99)
    whole = replace(truth, seeds=40, images=truth.images if truth.large else 2000)
    return float(np.mean([pair(rng, whole)[0].mean() for _ in range(100_000 // whole.images)]))
