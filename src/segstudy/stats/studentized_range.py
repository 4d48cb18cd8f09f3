"""The studentized range: its upper tail and its quantiles, also of hundreds of means.

scipy integrates each p value twice over, which takes 25 ms; a study of 500 configurations needs thousands.
So for more than ``MOST_BY_SCIPY`` means the range of normal values is tabulated once for their number, and
one sum over the distribution of the standard deviation remains.
"""

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray

Vector = NDArray[np.float64]
MOST_BY_SCIPY = 40  # means
LARGEST = 16.0  # range of normal values: a larger one has no probability in double precision
STEP = 0.01  # of the table
NORMAL, NORMAL_POINTS = 9.0, 400  # the integral over the largest of the values: ends, points
DEVIATION_POINTS, TAIL = 128, 1e-15  # that over the standard deviation: points, what each end leaves out


@cache  # a report needs it twice, for its table and for its verdict
def upper_tail(statistic: float, num_means: int, df: float) -> float:
    """Return the probability that the studentized range of equal means is larger than this."""
    if num_means <= MOST_BY_SCIPY:
        return float(scipy.stats.studentized_range.sf(statistic, num_means, df))
    tail = _tail_of_normal_range(num_means)
    if statistic <= 0:
        return 1.0
    if np.isinf(df):
        return float(np.clip(tail(np.array(min(statistic, LARGEST))), 0.0, 1.0))
    low, high = np.sqrt(scipy.special.chdtri(df, [1 - TAIL, TAIL]) / df)
    high = max(low, min(high, LARGEST / statistic))
    nodes, weights = _legendre(DEVIATION_POINTS, low, high)
    log_density = (
        np.log(2)
        + df / 2 * np.log(df / 2)
        - scipy.special.gammaln(df / 2)
        + (df - 1) * np.log(nodes)
        - df * nodes**2 / 2
    )
    return float(np.clip(weights @ (np.exp(log_density) * tail(statistic * nodes)), 0.0, 1.0))


@cache
def quantile(level: float, num_means: int, df: float) -> float:
    """Return the studentized range that is larger with a probability of ``1 - level``."""
    if num_means <= MOST_BY_SCIPY:
        return float(scipy.stats.studentized_range.ppf(level, num_means, df))

    def excess(statistic: float) -> float:
        return upper_tail(statistic, num_means, df) - (1 - level)

    upper = LARGEST
    while excess(upper) > 0:
        upper *= 2
    return float(scipy.optimize.brentq(excess, 0.0, upper, xtol=1e-10))


@lru_cache(maxsize=16)
def _tail_of_normal_range(num_means: int) -> Callable[[Vector], Vector]:
    """Return a function: the probability that the range of as many standard normal values is larger."""
    largest, weights = _legendre(NORMAL_POINTS, -NORMAL, NORMAL)
    density = weights * np.exp(-(largest**2) / 2) / np.sqrt(2 * np.pi)
    width = np.arange(0.0, LARGEST + STEP, STEP)
    share = scipy.special.ndtr(largest) - scipy.special.ndtr(largest - width[:, None])
    smaller = num_means * share ** (num_means - 1) @ density
    table: Callable[[Vector], Vector] = scipy.interpolate.CubicSpline(width, 1 - smaller)
    return table


def _legendre(points: int, low: float, high: float) -> tuple[Vector, Vector]:
    """Return nodes and weights of a Gauss-Legendre sum between two ends."""
    nodes, weights = _unit_legendre(points)
    return low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2


@cache
def _unit_legendre(points: int) -> tuple[Vector, Vector]:
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return nodes, weights
