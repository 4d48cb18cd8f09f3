"""The variances of a study, from one that is finished: a pilot with two or more seeds.

Each is the mean over all configurations, or over all pairs of them: what a typical pair has. The mean squares
are subtracted from each other as in ``comparisons``, so each estimate is right on average; one below 0 is
taken as 0. How far they may be from the truth follows from their degrees of freedom.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from segstudy.stats.intervals import AnyScores, Moments, ScoresByFold, moments_of, residual_within
from segstudy.stats.power import (
    NUM_DRAWS,
    PROMISE,
    Design,
    Values,
    Variances,
    combined,
    critical,
    draws,
    expected,
    scaled_chi2,
    smallest_difference,
    true_variance,
)
from segstudy.stats.power import MeanSquares as Squares
from segstudy.stats.training_sets import training_set_variances

RANGE = (0.1, 0.9)  # of them, that is printed: four of five


@dataclass(frozen=True, slots=True)
class Pilot:
    """The variances of a typical difference, and what they may be.

    Attributes:
        variances: the estimates.
        possible: draws of the true ones, given the estimates, ``(draws,)``; None if they are not estimates.
        knows_training_sets: whether the effect of the training set was measured: with repeated folds it is.
    """

    variances: Variances
    possible: Variances | None = None
    knows_training_sets: bool = True

    @property
    def parts(self) -> Variances:
        """Return what the variances may be, or the variances if they are known."""
        return self.variances if self.possible is None else self.possible

    def standard_deviations(self) -> dict[str, float]:
        """Return them for one configuration: ``image``, ``seed``, ``residual`` and ``training_set``."""
        parts = self.variances
        found = {
            "image": parts.images / 2,
            "seed": parts.seeds.mean(),
            "residual": parts.residuals.mean(),
            "training_set": parts.training_sets / 2,
        }
        return {name: float(np.sqrt(value)) for name, value in found.items()}


def pilot(scores: Sequence[AnyScores]) -> Pilot:
    """Estimate the variances from the scores of a finished study.

    Args:
        scores: of each configuration, with the same units and folds, and two or more seeds, equally many: two
            configurations at least.
    """
    moments, design = [_within(each) for each in scores], _design(scores[0])
    sets = _of_training_sets(scores)
    seeds, residual = np.array([(m.seeds, m.residual) for m in moments]).mean(0)
    found = _separated(
        np.asarray(_of_images(moments)), np.asarray(seeds), np.asarray(residual), np.asarray(sets), design
    )
    return Pilot(found, _possible(moments, sets, design), design.repeats > 1)


def smallest_range(pilot: Pilot, design: Design, num_configurations: int = 2) -> tuple[float, float]:
    """Return between what the smallest difference lies in four of five cases, as the variances are uncertain.

    Args:
        pilot: the variances.
        design: the size of the study.
        num_configurations: see ``power.half_widths``.
    """
    estimate = smallest_difference(pilot.variances, design, num_configurations)
    if pilot.possible is None:
        return estimate, estimate
    quick = float(_quick(pilot.variances, design, num_configurations)[0])
    low, high = np.quantile(_quick(pilot.possible, design, num_configurations), RANGE)
    return estimate * float(low) / quick, estimate * float(high) / quick


def _quick(parts: Variances, design: Design, num_configurations: int) -> Values:
    """Return about the smallest difference, for the expected number of degrees of freedom."""
    found = expected(parts, design)
    squares = Squares(np.atleast_1d(found.cases), found.seeds.reshape(2, -1), found.residuals.reshape(2, -1))
    _, df = combined(squares, design.freedom)
    error = np.sqrt(np.atleast_1d(true_variance(parts, design)))
    return np.asarray((critical(df, num_configurations) + stdtrit(df, PROMISE)) * error)


def _within(scores: AnyScores) -> Moments:
    """Return the moments with the noise of runs within training sets, also if runs of a seed look alike."""
    found = moments_of(scores)
    if not isinstance(scores, ScoresByFold):
        return found
    residual, residual_df = residual_within(scores)
    runs = scores.run_means()
    num_seeds, sets = runs.shape
    return replace(
        found,
        seeds=float(runs.var(axis=0, ddof=1).sum()) / (sets**2 * num_seeds),
        residual=residual,
        seed_df=(num_seeds - 1) * sets,
        residual_df=residual_df,
    )


def _design(scores: AnyScores) -> Design:
    if isinstance(scores, ScoresByFold):
        seeds, repeats, units = scores.scores.shape
        return Design(seeds, units, scores.num_folds, repeats)
    return Design(*scores.shape)


def _of_images(moments: Sequence[Moments]) -> float:
    """Return the mean variance of an image's difference over all pairs, with the noise of the runs in it."""
    pairs = itertools.combinations(moments, 2)
    return float(np.mean([(a.images - b.images).var(ddof=1) for a, b in pairs]))


def _of_training_sets(scores: Sequence[AnyScores]) -> float:
    """Return the mean variance of a difference between training sets over all pairs; 0 if not measured."""
    folds = [each for each in scores if isinstance(each, ScoresByFold) and each.num_repeats > 1]
    if len(folds) < len(scores):
        return 0.0
    found = [
        training_set_variances(a.scores.mean(0) - b.scores.mean(0), [a, b])
        for a, b in itertools.combinations(folds, 2)
    ]
    return max(0.0, float(np.mean([each.between - each.noise for each in found])))


def _separated(images: Values, seeds: Values, residual: Values, sets: Values, design: Design) -> Variances:
    """Return the variances from mean squares that contain each other.

    Args:
        images: variance of an image's mean difference.
        seeds: contribution of a configuration's runs to the variance of its mean.
        residual: that of the residual.
        sets: variance of the difference between training sets.
        design: of the study that they are from.
    """
    of_residual = residual * design.seeds * design.repeats * design.units
    of_seeds = np.maximum(0.0, seeds - residual) * design.runs
    of_runs = 2 * of_residual / (design.seeds * design.repeats)
    if design.folds > 1:  # an image's mean has the effect of its fold
        of_runs = of_runs + (2 * of_seeds / design.seeds + sets) / design.repeats * (1 - 1 / design.folds)
    return Variances(
        images=np.maximum(0.0, images - of_runs),
        seeds=np.stack([of_seeds, of_seeds]),
        residuals=np.stack([of_residual, of_residual]),
        training_sets=np.broadcast_to(sets, np.shape(of_seeds)),
    )


def _possible(moments: Sequence[Moments], sets: float, design: Design) -> Variances:
    """Draw what the true variances may be; the effect of training sets is kept."""
    uniform = draws(3, NUM_DRAWS)
    seeds = np.mean([m.seeds for m in moments]) / scaled_chi2(uniform[0], sum(m.seed_df for m in moments))
    residual_df = float(sum(m.residual_df for m in moments))
    residual = np.mean([m.residual for m in moments]) / scaled_chi2(uniform[1], residual_df)
    images = _of_images(moments) / scaled_chi2(uniform[2], design.units - 1)
    return _separated(images, np.asarray(seeds), np.asarray(residual), np.asarray(sets), design)
