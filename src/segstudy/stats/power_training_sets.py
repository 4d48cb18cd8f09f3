"""How sure a study in folds can be for training sets like its own: the power of ``training_sets``.

The test is that of ``training_sets.across_training_sets``: a t test over the means of the folds, or with
repeats the sum of the images' part and of the training sets' part. As in ``power``, its mean squares are
multiples of chi-squareds, and the power is a mean over draws of them. Each training set has an effect of its
own here. Where training sets that share images act alike, less is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segstudy.stats.power import (
    NUM_DRAWS,
    PROMISE,
    Design,
    Values,
    Variances,
    critical,
    draws,
    scaled_chi2,
    seeds_by_fold,
    smallest_shown,
)


def smallest_difference_across(
    parts: Variances, design: Design, num_configurations: int = 2, probability: float = PROMISE
) -> float:
    """Return the smallest true difference that is shown for training sets like these; see ``power``.

    Args:
        parts: the true variances, or what they may be.
        design: with at least three folds.
        num_configurations: 2: one pair chosen beforehand; more: all pairs of so many are compared.
        probability: of showing it.
    """
    half = half_widths_across(parts, design, num_configurations)
    return smallest_shown(half, np.sqrt(variance_across(parts, design)), probability)


def variance_across(parts: Variances, design: Design) -> Values:
    """Return the variance of the mean difference over images, runs and training sets."""
    num_sets = design.folds * design.repeats
    noise = parts.residuals.sum(0) / (design.seeds * design.repeats * design.units)
    of_runs = parts.seeds.sum(0) / design.runs
    return np.asarray(parts.images / design.units + parts.training_sets / num_sets + of_runs + noise)


def half_widths_across(parts: Variances, design: Design, num_configurations: int = 2) -> Values:
    """Draw half the width of the interval for training sets like these, ``(draws,)``."""
    assert design.folds > 1
    found = _with_repeats(parts, design) if design.repeats > 1 else _of_folds(parts, design)
    found = _with_seeds_that_are_alike(found, parts, design)
    return np.asarray(critical(found.df, num_configurations) * np.sqrt(found.variance))


@dataclass(frozen=True, slots=True)
class _Estimated:
    """The variance that a study estimates, and its degrees of freedom, for each draw."""

    variance: Values
    df: Values


def _of_folds(parts: Variances, design: Design) -> _Estimated:
    df = design.folds - 1
    chi2 = scaled_chi2(draws(1, NUM_DRAWS)[0], df)
    return _Estimated(variance_across(parts, design) * chi2, np.full(NUM_DRAWS, float(df)))


def _with_repeats(parts: Variances, design: Design) -> _Estimated:
    """Return the variance of the shorter of two intervals, see ``training_sets``."""
    folds, repeats, units = design.folds, design.repeats, design.units
    residual, of_seeds = parts.residuals.sum(0) / design.seeds, parts.seeds.sum(0) / design.seeds
    expected_noise, of_sets = of_seeds + residual * folds / units, of_seeds + parts.training_sets
    expected_images = (parts.images + (residual + of_sets * (1 - 1 / folds)) / repeats) / units
    left = 1 / (1 - 1 / repeats + 1 / (repeats * folds))  # of the residual, see ``training_sets._share_left``
    between_df, noise_df = (repeats - 1) * folds, 2 * (design.seeds - 1) * folds * repeats
    uniform = draws(3, NUM_DRAWS)
    images = expected_images * scaled_chi2(uniform[0], units - 1), units - 1
    between = (of_sets + residual * folds / units * left) * scaled_chi2(uniform[1], between_df)
    noise = expected_noise * scaled_chi2(uniform[2], noise_df) if noise_df else np.zeros(NUM_DRAWS)
    weight, shared = 1 / (folds * repeats), (folds - 2) / 2
    larger = np.maximum(between, noise) * (weight + shared)
    one = _with_df(images[0] + larger, [images, (larger, between_df)])
    if not noise_df:
        return one
    extra = np.where(between > noise, shared, 0.0)
    own = images[0] + np.maximum(between, noise) * weight + (between - noise) * extra
    two = _with_df(own, [images, (between * (weight + extra), between_df), (noise * extra, noise_df)])
    shorter = critical(two.df) * np.sqrt(two.variance) < critical(one.df) * np.sqrt(one.variance)
    return _Estimated(np.where(shorter, two.variance, one.variance), np.where(shorter, two.df, one.df))


def _with_seeds_that_are_alike(found: _Estimated, parts: Variances, design: Design) -> _Estimated:
    """Add what the runs of a seed have in common, where they look alike by chance, see ``training_sets``."""
    if design.seeds == 1:
        return found
    common, _, alike = seeds_by_fold(draws(7, NUM_DRAWS)[3:], design)
    of_runs = parts.seeds / design.runs + parts.residuals / (design.seeds * design.repeats * design.units)
    values = np.where(alike, common * (of_runs if of_runs.ndim > 1 else of_runs[:, None]), 0.0)
    terms: list[tuple[Values, float | Values]] = [(found.variance, found.df)]
    terms += [(value, design.seeds - 1) for value in values]
    more = _with_df(found.variance + values.sum(0), terms)
    return _Estimated(more.variance, np.where(alike.any(0), more.df, found.df))


def _with_df(variance: Values, terms: Sequence[tuple[Values, float | Values]]) -> _Estimated:
    spread = np.sum([value**2 / df for value, df in terms], axis=0)
    df = np.divide(variance**2, spread, out=np.ones_like(spread), where=spread > 0)
    return _Estimated(variance, np.maximum(1.0, df))
