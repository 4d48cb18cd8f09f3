"""Comparisons of scores, with intervals and p values. Arrays in, frozen results out.

Scores of a configuration are an array ``(replicates, images)``: the score of each of its runs on each
image. Images are the same for every configuration, runs are not. A score is then

    mean + image + image x configuration + training + residual,

all but the mean random: runs are readers and images are cases of a multi-reader multi-case study
(Obuchowski & Rockette 1995; Hillis 2007). The variance of a mean of n images and R replicates is
estimated from mean squares, as (seeds + images - residual) / (n R), with Satterthwaite's degrees of
freedom. ``tests/stats/test_calibration.py`` checks on simulated studies that intervals and
tests have their nominal error rates; bootstraps of such means and tests over images alone do not, so
there are none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit  # Student's t, its distribution and quantiles: 100 times as quick

from segstudy.stats.intervals import (
    LEVEL,
    AnyScores,
    Interval,
    Scores,
    by_seed,
    joined,
    moments_of,
    satterthwaite_df,
    two_sided_p,
    variance_of,
)
from segstudy.stats.studentized_range import upper_tail

MARGIN = 0.01  # of IoU, where a study names no other: smaller differences have no practical use
BOOTSTRAPS = 2000

Conclusion = Literal["a", "b", "practically equal", "not resolved", "training noise not measured"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two configurations on the same images: `a` minus `b`.

    Attributes:
        mean: difference of the means.
        low, high: its 95 % interval.
        p: of no difference, two-sided.
        standard_error, df: of the difference, and its degrees of freedom.
        most_df: the upper limit of the degrees of freedom in ``distinguished``; None if one side has a single
            replicate.
        effect_size: the mean difference over the standard deviation of the images' differences (d_z).
        images_won, replicates_won: how many `a` and `b` win; replicates are paired by seed, None where
            their numbers differ.
        has_training_noise: whether training noise is in the interval and the p value, or images only.
        conclusion: in words; never a winner when training noise is not measured.
        margin: the one that ``practically equal`` refers to.
    """

    mean: float
    low: float
    high: float
    p: float
    standard_error: float
    df: float
    most_df: float | None
    effect_size: float
    images_won: tuple[int, int]
    replicates_won: tuple[int, int] | None
    has_training_noise: bool
    conclusion: Conclusion
    margin: float = MARGIN


def difference(
    a: AnyScores,
    b: AnyScores,
    groups: Sequence[str] | None = None,
    margin: float = MARGIN,
    deterministic: tuple[bool, bool] = (False, False),
) -> Difference:
    """Compare two configurations on the same images, each with its own seed variance.

    Args:
        a: ``(replicates, images)``, at least two images; or by fold.
        b: the same images in the same order; replicates may differ in number and are not taken as pairs.
        groups: of each image, where several belong together.
        margin: differences whose interval lies within it count as practically equal.
        deterministic: which of the two has no training noise: its single replicate is exact.
    """
    left, right = by_seed(a), by_seed(b)
    assert left.shape[1] == right.shape[1] >= 2
    apart = left.mean(0) - right.mean(0)
    ours, theirs = (moments_of(joined(s, groups) if groups is not None else s) for s in (a, b))
    variance, df = variance_of([ours, theirs], ours.images - theirs.images)
    error, mean = float(np.sqrt(variance)), ours.mean - theirs.mean
    half = float(stdtrit(df, (1 + LEVEL) / 2)) * error
    p = two_sided_p(mean, error, df)
    random = [side for side, fixed in zip((ours, theirs), deterministic, strict=True) if not fixed]
    noise = all(side.num_replicates > 1 for side in random)
    paired = _wins(left.mean(1), right.mean(1)) if len(left) == len(right) else None
    spread = float(apart.std(ddof=1))
    return Difference(
        mean=mean,
        low=mean - half,
        high=mean + half,
        p=p,
        standard_error=error,
        df=df,
        most_df=math.prod(side.seed_df for side in random) if noise and random else None,
        effect_size=mean / spread if spread > 0 else 0.0,
        images_won=_wins(left.mean(0), right.mean(0)),
        replicates_won=paired,
        has_training_noise=noise,
        conclusion=conclusion_of(mean, half, p, margin) if noise else "training noise not measured",
        margin=margin,
    )


def gap(a: Scores, b: Scores) -> Interval:
    """Return the mean of `a` minus the mean of `b` over different images, such as validation and test.

    Args:
        a: ``(replicates, units)``.
        b: ``(replicates, units)`` of the same runs. Effects of a run on both would cancel
            and are not removed, so the interval is conservative.
    """
    sides = [moments_of(a), moments_of(b)]
    mean, noise = sides[0].mean - sides[1].mean, len(a) > 1 and len(b) > 1
    num_units = min(a.shape[1], b.shape[1])
    if num_units == 1:
        return Interval(mean, None, None, len(a), 1, None, noise)
    terms = [variance_of([m], m.images) for m in sides]
    variance = sum(value for value, _ in terms)
    half = float(stdtrit(satterthwaite_df(variance, terms), (1 + LEVEL) / 2) * np.sqrt(variance))
    return Interval(mean, mean - half, mean + half, len(a), num_units, None, noise)


def conclusion_of(mean: float, half: float, p: float, margin: float) -> Conclusion:
    """Return what an interval of a difference, ``mean`` plus or minus ``half``, and its p value say."""
    if abs(mean) + half <= margin:
        return "practically equal"
    if p < 1 - LEVEL:
        return "a" if mean > 0 else "b"
    return "not resolved"


def _wins(a: Scores, b: Scores) -> tuple[int, int]:
    return int(np.sum(a > b)), int(np.sum(b > a))


def distinguished(differences: Sequence[Difference], num_configurations: int) -> list[float]:
    """Return adjusted p values of the winner against each of the others (Games & Howell 1976).

    The studentized range of all configurations is the reference, with each pair's own variance: it
    protects whichever configuration leads, however it was chosen. Holm's correction does not: the winner on
    validation owes its lead to the very runs that are tested. Degrees of freedom are at most
    (R - 1)(R' - 1) of the pair's replicates: the most extreme of many pairs is one whose seed variance
    came out low, and with few replicates that happens. See docs/decisions/0002.

    Args:
        differences: the winner against every other, all with several replicates.
        num_configurations: how many there are in all.
    """
    return [_studentized(d, num_configurations) for d in differences]


def _studentized(d: Difference, num_configurations: int) -> float:
    assert d.most_df is not None
    if d.standard_error == 0:
        return 1.0 if d.mean == 0 else 0.0
    q = np.sqrt(2) * abs(d.mean) / d.standard_error
    if num_configurations == 2:
        return d.p
    return upper_tail(float(q), num_configurations, min(d.df, d.most_df))
