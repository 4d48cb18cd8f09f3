"""How much more images would bring: a power law of the error over the number of training images.

    1 - IoU = a n^-b

is fitted to the means by least squares of the logarithms (Cortes et al. 1993; Hestness et al. 2017). All that
follows from the fit is a smooth function of the means, so its variance is that of a weighted sum of them
(delta method): all of them have the same test images, the runs are not paired. A power law promises too much
where a curve flattens, because no network scores better than the masks allow. So nothing is said far beyond
the largest training set, nor where the curve bends.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from segstudy.stats.intervals import LEVEL, AnyScores, _moments, by_seed

GAIN = 0.01  # of IoU, whose price in images is asked for
MOST_TIMES = 4.0  # the largest training set, up to which the law is used
FEWEST_SIZES = 3
STEPS = 400

Vector = NDArray[np.float64]
State = Literal[
    "estimated",
    "too little",
    "out of range",
    "no slope",
    "bends",
    "few sizes",
    "one run",
    "few units",
    "perfect",
]


@dataclass(frozen=True, slots=True)
class MoreImages:
    """How many more training images would bring ``gain``.

    Attributes:
        state: ``estimated``; ``too little``: the limit of the range would bring less, with 95 %; otherwise
            why it cannot be told.
        gain: of IoU.
        extra: images; None unless estimated.
        low, high: of them, 95 % interval; ``high`` is None if it lies beyond the range.
        exponent: b of the law; None without a fit.
        exponent_low, exponent_high: its 95 % interval.
        most_extra: the largest number of further images that the law is used for.
    """

    state: State
    gain: float = GAIN
    extra: float | None = None
    low: float | None = None
    high: float | None = None
    exponent: float | None = None
    exponent_low: float | None = None
    exponent_high: float | None = None
    most_extra: float = 0.0


@dataclass(frozen=True, slots=True)
class _Means:
    """The means at all sizes, with what their variances are made of.

    Attributes:
        errors: 1 less each mean.
        images: covariance of the means over images.
        seeds, residual: see ``intervals``, of each mean.
        seed_df, residual_df: degrees of freedom of these.
        num_units: of all.
    """

    errors: Vector
    images: NDArray[np.float64]
    seeds: Vector
    residual: Vector
    seed_df: Vector
    residual_df: Vector
    num_units: int

    def half_widths(self, weights: NDArray[np.float64]) -> tuple[Vector, Vector, Vector]:
        """Return the half 95 % interval, standard error and degrees of freedom of sums of the means.

        Args:
            weights: ``(sums, sizes)``.

        The variance of ``intervals.mean_interval``, with several means.
        """
        squares = weights**2
        cases = np.einsum("si,ij,sj->s", weights, self.images, weights)
        noise = squares @ (self.seeds - self.residual)
        case_df = self.num_units - 1
        spread = cases**2 / case_df + squares**2 @ (
            self.seeds**2 / self.seed_df + self.residual**2 / self.residual_df
        )
        whole = cases + np.maximum(noise, 0)
        fewest = min(case_df, float(self.seed_df.min()), float(self.residual_df.min()))
        own = np.divide(whole**2, spread, out=np.full_like(whole, fewest), where=spread > 0)
        df = np.where(noise < 0, case_df, np.maximum(fewest, own))
        error = np.sqrt(whole)
        return stdtrit(df, (1 + LEVEL) / 2) * error, error, df


def _means(scores: Sequence[AnyScores]) -> _Means:
    moments = [_moments(each) for each in scores]
    return _Means(
        errors=1 - np.array([m.mean for m in moments]),
        images=np.cov(np.stack([m.images for m in moments])) / len(moments[0].images),
        seeds=np.array([m.seeds for m in moments]),
        residual=np.array([m.residual for m in moments]),
        seed_df=np.array([m.seed_df for m in moments], np.float64),
        residual_df=np.array([m.residual_df for m in moments], np.float64),
        num_units=len(moments[0].images),
    )


def more_images(sizes: Sequence[float], scores: Sequence[AnyScores], gain: float = GAIN) -> MoreImages:
    """Estimate how many more training images would bring a gain of IoU.

    Args:
        sizes: numbers of training images, all different.
        scores: of each, ``(replicates, units)`` with the same units; or by fold.
        gain: of IoU.
    """
    order = np.argsort(sizes)
    n = np.asarray(sizes, np.float64)[order]
    sets = [scores[i] for i in order]
    limit = float(n[-1] * (MOST_TIMES - 1))
    if problem := _problem([by_seed(each) for each in sets]):
        return MoreImages(problem, gain, most_extra=limit)
    means, x = _means(sets), np.log(n)
    slope, gradient = _slope(x, means.errors)
    half = float(means.half_widths(gradient[None])[0][0])
    fit = MoreImages("estimated", gain, None, None, None, slope, slope - half, slope + half, limit)
    bend, gradient = _bend(x, means.errors)
    if abs(bend) > means.half_widths(gradient[None])[0][0]:
        return replace(fit, state="bends")
    at = np.exp(np.linspace(x[-1], x[-1] + math.log(MOST_TIMES), STEPS))
    extra = at - n[-1]
    gains, gradients = _gains(x, means.errors, at)
    halves = means.half_widths(gradients)[0]
    low = _first(extra, gains + halves, gain)
    if low is None:
        return replace(fit, state="too little")
    if slope - half <= 0:
        return replace(fit, state="no slope", low=low)
    found = _first(extra, gains, gain)
    if found is None:
        return replace(fit, state="out of range", low=low)
    return replace(fit, extra=found, low=low, high=_first(extra, gains - halves, gain))


def _problem(scores: Sequence[NDArray[np.float64]]) -> State | None:
    if len(scores) < FEWEST_SIZES:
        return "few sizes"
    if min(each.shape[1] for each in scores) < 2:
        return "few units"
    if min(len(each) for each in scores) < 2:
        return "one run"
    return "perfect" if max(float(each.mean()) for each in scores) >= 1 else None


def _slope(x: Vector, errors: Vector) -> tuple[float, Vector]:
    """Return the exponent b and its gradient by the means."""
    centred = x - x.mean()
    c = -centred / (centred**2).sum()
    return float(c @ np.log(errors)), -c / errors


def _bend(x: Vector, errors: Vector) -> tuple[float, Vector]:
    """Return the curvature of the logarithms, 0 under a power law, and its gradient by the means."""
    line = np.stack([np.ones_like(x), x - x.mean()])
    square = (x - x.mean()) ** 2
    c = square - line.T @ np.linalg.solve(line @ line.T, line @ square)
    return float(c @ np.log(errors)), -c / errors


def _gains(x: Vector, errors: Vector, at: Vector) -> tuple[Vector, NDArray[np.float64]]:
    """Return by how much the fitted IoU at sizes exceeds that at the largest size, with the gradients."""
    line = np.stack([np.ones_like(x), x])
    hat = np.linalg.solve(line @ line.T, line)  # from logarithms of errors to both coefficients
    now = np.array([1.0, x[-1]]) @ hat  # weights of the logarithms
    then = np.stack([np.ones_like(at), np.log(at)], axis=1) @ hat
    error, errors_then = np.exp(now @ np.log(errors)), np.exp(then @ np.log(errors))
    return error - errors_then, -(error * now - errors_then[:, None] * then) / errors


def _first(extra: Vector, gains: Vector, gain: float) -> float | None:
    """Return where these gains first reach the wanted one, between two steps by a straight line."""
    reached = np.flatnonzero(gains >= gain)
    if not reached.size:
        return None
    i = int(reached[0])
    if i == 0:
        return 0.0
    share = (gain - gains[i - 1]) / (gains[i] - gains[i - 1])
    return float(extra[i - 1] + (extra[i] - extra[i - 1]) * share)
