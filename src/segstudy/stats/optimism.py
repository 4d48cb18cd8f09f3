"""The optimism of a choice among many configurations: arrays in, numbers out.

The best of several configurations on validation owes a part of its score to chance. It owes that part to its
runs as well as to the validation images, and the same runs are scored on test. So its test score is
too high as well, by less. With folds every image is a validation image of one run and a test image of
another, so images contribute too.

Two answers. ``optimism`` says what to expect if all configurations were equal: the most that it can be, since
the more configurations differ, the less is left to chance. ``score_of_choice`` chooses again without
the runs and images that are tested, each in turn: its mean has no such part, whatever the differences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray

from segstudy.stats.intervals import AnyScores, Scores, ScoresByFold, by_seed, moments_of

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Optimism:
    """By how much the best of equal configurations looks better than it is.

    Attributes:
        validation, test: on the subset that chose it, and on the other one.
        least: the same on validation from images alone; ``validation`` itself if training noise is measured.
        has_training_noise: whether training noise is measured. If not, `validation` and `test` are what it is
            if all that configurations differ by is noise.
    """

    validation: float
    test: float
    least: float
    has_training_noise: bool


@dataclass(frozen=True, slots=True)
class _Noise:
    """Variance of a configuration's validation mean by chance, and its covariance with its test mean."""

    variance: float
    covariance: float


def optimism(validation: Sequence[AnyScores], test: Sequence[AnyScores]) -> Optimism:
    """Return the optimism of choosing the best of equal configurations.

    Args:
        validation: of each configuration, ``(replicates, units)`` or by fold.
        test: of the same configurations and runs.
    """
    found = _in_folds(validation, test)
    sides = [[by_seed(each) for each in part] for part in (validation, test)]
    least = choice_noise(sides[0])
    if found:
        noise, measured = _noise_by_fold(*found), True
    elif all(len(each) > 1 for part in sides for each in part):
        noise, measured = _Noise(least**2, _shared_by_runs(*sides)), True
    else:
        noise, measured = _spread(*sides), False
    sd = math.sqrt(noise.variance if measured else max(noise.variance, least**2))
    on_validation = expected_optimism(len(validation), sd)
    on_test = on_validation * min(1.0, max(0.0, noise.covariance) / sd**2) if sd else 0.0
    lowest = on_validation if measured else expected_optimism(len(validation), least)
    return Optimism(on_validation, on_test, lowest, measured)


def score_of_choice(validation: Sequence[AnyScores], test: Sequence[AnyScores]) -> float | None:
    """Return the mean test score of what is chosen without the runs and images that are tested.

    With folds, each fold in turn is tested by what the validation scores of all other images
    choose, without those of the run that is tested. Without folds, each seed by what the other seeds choose.
    It is a little low, because less data choose.

    Args:
        validation: of each configuration, ``(replicates, images)`` or by fold, each with the same images.
        test: of the same configurations and runs.

    Returns:
        None if it cannot be had: a single seed without folds, or other seeds of some configurations.
    """
    found = _in_folds(validation, test)
    if found:
        return _score_by_fold(*found)
    ours, theirs = ([by_seed(each).mean(1) for each in part] for part in (validation, test))
    if {len(each) for each in (*ours, *theirs)} != {len(ours[0])} or len(ours[0]) < 2:
        return None
    chosen_by, tested = np.stack(ours), np.stack(theirs)
    others = chosen_by.sum(1, keepdims=True) - chosen_by
    return float(np.mean([tested[others[:, seed].argmax(), seed] for seed in range(tested.shape[1])]))


def choice_noise(scores: Sequence[Scores]) -> float:
    """Return the standard deviation of a configuration's mean that is independent of its quality.

    The difficulty of the images is not part of it: all configurations share it, so it changes no order. The
    rest is training noise and the interaction of images and configurations, averaged over configurations.

    Args:
        scores: of each configuration, ``(replicates, units)``, at least two configurations and units.
    """
    count, num_units = len(scores), scores[0].shape[1]
    images = np.stack([matrix.mean(0) for matrix in scores])
    own = images - images.mean(0) - images.mean(1, keepdims=True) + images.mean()
    cases = float((own**2).sum()) / ((count - 1) * (num_units - 1)) / num_units
    if any(len(matrix) == 1 for matrix in scores):
        return float(np.sqrt(cases))
    moments = [moments_of(matrix) for matrix in scores]
    runs, residual = (float(np.mean([getattr(m, name) for m in moments])) for name in ("seeds", "residual"))
    return float(np.sqrt(max(runs + cases - residual, runs, cases)))


def expected_optimism(num_configurations: int, noise: float) -> float:
    """Return by how much the best of equal configurations is overestimated.

    Args:
        num_configurations: that were chosen from.
        noise: standard deviation of their scores, see ``choice_noise``.
    """
    if num_configurations == 1:
        return 0.0
    x = np.linspace(-8, 8, 4001)
    density = (
        num_configurations * scipy.stats.norm.pdf(x) * scipy.stats.norm.cdf(x) ** (num_configurations - 1)
    )
    return float(noise * np.trapezoid(x * density, x))


def _in_folds(
    validation: Sequence[AnyScores], test: Sequence[AnyScores]
) -> tuple[list[ScoresByFold], list[ScoresByFold]] | None:
    """Return both by fold, if all configurations have the same folds and every image is in both subsets."""
    ours, theirs = ([each for each in part if isinstance(each, ScoresByFold)] for part in (validation, test))
    if len(ours) < len(validation) or len(theirs) < len(test) or theirs[0].num_folds < 3:
        return None
    same = all(np.array_equal(side[0].folds, each.folds) for side in (ours, theirs) for each in side)
    return (ours, theirs) if same and ours[0].folds.shape == theirs[0].folds.shape else None


def _shared_by_runs(validation: Sequence[Scores], test: Sequence[Scores]) -> float:
    """Return the covariance of a configuration's validation and test means that its runs cause."""
    found = [
        _covariance(a.mean(1), b.mean(1)) / len(a)
        for a, b in zip(validation, test, strict=True)
        if len(a) == len(b)
    ]
    return float(np.mean(found)) if found else 0.0


def _covariance(a: Vector, b: Vector) -> float:
    return float(((a - a.mean()) * (b - b.mean())).sum()) / (len(a) - 1)


def _spread(validation: Sequence[Scores], test: Sequence[Scores]) -> _Noise:
    """Return the variance and covariance over configurations: true differences are in them."""
    means = [np.array([each.mean() for each in part]) for part in (validation, test)]
    return _Noise(_covariance(means[0], means[0]), _covariance(means[0], means[1]))


def _noise_by_fold(validation: Sequence[ScoresByFold], test: Sequence[ScoresByFold]) -> _Noise:
    """Return the noise, from what folds and repeats say about the same configurations.

    In a repeat, images and training sets differ from fold to fold. Between repeats only the training sets
    differ: that part becomes less with the number of repeats.
    """
    part, num_repeats = test[0].folds, test[0].num_repeats
    ours, theirs = (_by_part(side, side[0].folds) for side in (validation, test))
    num_folds = ours.shape[2]
    variance = _product(ours, ours, axis=2).mean() / (num_folds * (num_folds - 1))
    # A validation mean shares its run with one test mean and its images with another one. Where both are
    # centred, each of the two takes a part from the other.
    shared = _product(ours, theirs, axis=2) + _product(_by_part(validation, part), theirs, axis=2)
    covariance = shared.mean() / (num_folds * (num_folds - 2))
    if num_repeats > 1:
        means = ours.mean(2), theirs.mean(2)
        less = (1 - 1 / num_repeats) / (num_repeats - 1)
        variance = max(variance - less * _product(means[0], means[0], axis=1), variance / num_repeats)
        covariance -= less * _product(*means, axis=1)
    return _Noise(float(variance), float(covariance))


def _by_part(sides: Sequence[ScoresByFold], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the means over the images of each part, less those of the average configuration.

    Returns:
        ``(configurations, repeats, folds)``.
    """
    found = np.stack([ScoresByFold(side.scores.mean(0)[None], folds).run_means() for side in sides])
    own = found - found.mean(0)
    return np.asarray(own.reshape(len(sides), len(folds), -1))


def _product(a: NDArray[np.float64], b: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the sum of products about the means along an axis, averaged over the configurations."""
    centred = [each - each.mean(axis, keepdims=True) for each in (a, b)]
    return np.asarray((centred[0] * centred[1]).sum(axis).sum(0) / (len(a) - 1))


def _score_by_fold(validation: Sequence[ScoresByFold], test: Sequence[ScoresByFold]) -> float:
    chosen_by, tested = (np.stack([each.scores.mean(0) for each in part]) for part in (validation, test))
    total = 0.0
    for repeat, part in enumerate(test[0].folds):
        for fold in range(test[0].num_folds):
            here = part == fold
            used = np.broadcast_to(~here, test[0].folds.shape).copy()
            used[repeat] &= validation[0].folds[repeat] != fold
            best = int(chosen_by[:, used].mean(1).argmax())
            total += float(tested[best, repeat, here].sum())
    return total / int(tested[0].size)
