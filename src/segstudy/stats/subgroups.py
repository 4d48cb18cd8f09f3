"""Whether the difference between two configurations depends on the subgroup of the images.

The subgroups are fixed, their images and the runs are random. The statistic is of the ANOVA type (Brunner,
Dette & Munk 1997): the spread of the subgroups' differences over what images and runs explain of it. Images
of a group (patient, lesion) count as one, also if they are in several subgroups. Runs move the subgroups
together, which explains no interaction; only their spread between subgroups does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from segstudy.stats.intervals import Scores

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interaction:
    """The test of equal differences in all subgroups.

    Attributes:
        f, df, df_residual: of the statistic; degrees of freedom are estimated and fractional.
        p: of equal differences.
    """

    f: float
    df: float
    df_residual: float
    p: float


def interaction(a: Scores, b: Scores, subgroups: Sequence[int], groups: Sequence[str]) -> Interaction:
    """Test whether `a` minus `b` is the same in all subgroups.

    Args:
        a: ``(runs, images)`` of a configuration, at least two runs.
        b: the same images of another; its runs are not paired with the first one's.
        subgroups: of each image, numbered from 0; at least two, each with images of two groups.
        groups: of each image.
    """
    place = np.asarray(subgroups)
    member = np.stack([place == s for s in range(int(place.max()) + 1)])
    sizes = member.sum(1)
    apart = a.mean(0) - b.mean(0)
    means = member @ apart / sizes
    images, image_df = _of_images(apart - means[place], member, groups)
    runs = [_of_runs(each, member) for each in (a, b)]
    centre = np.eye(len(sizes)) - 1 / len(sizes)
    whole = images + sum(spread - residual for spread, residual, _ in runs)
    if np.trace(centre @ whole) < np.trace(centre @ images):
        whole, runs = images, []
    total = float(np.trace(centre @ whole))
    if total <= 0:
        return Interaction(0.0, 1.0, 1.0, 1.0 if np.ptp(means) == 0 else 0.0)
    product = centre @ whole
    df = total**2 / float(np.trace(product @ product))
    noise = float(((np.diag(centre) * np.diag(images)) ** 2 / image_df).sum())
    noise += sum(_trace_noise(centre @ spread, num_df) for spread, _, num_df in runs)
    df_residual = total**2 / noise
    f = float(means @ centre @ means) / total
    return Interaction(f, df, df_residual, float(fdtrc(df, df_residual, f)))


def _of_images(left: NDArray[np.float64], member: Matrix, groups: Sequence[str]) -> tuple[Matrix, Matrix]:
    """Return the covariance of the subgroups' means that images cause, and degrees of freedom of each."""
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.stack([np.bincount(place, left * each, int(place.max()) + 1) for each in member])
    there = np.stack([np.bincount(place, each, int(place.max()) + 1) > 0 for each in member])
    counts = there.sum(1)
    scaled = sums / member.sum(1)[:, None] * np.sqrt(counts / (counts - 1))[:, None]
    return scaled @ scaled.T, counts - 1


def _of_runs(scores: Scores, member: Matrix) -> tuple[Matrix, Matrix, int]:
    """Return the covariance of the means that runs cause, its residual part, and degrees of freedom."""
    num_runs, sizes = len(scores), member.sum(1)
    means = scores @ member.T / sizes
    spread = np.cov(means, rowvar=False) / num_runs
    apart = scores - scores.mean(0) - (means - means.mean(0)) @ member
    residual = np.array(
        [(apart[:, each] ** 2).sum() / max(1, each.sum() - 1) for each in member.astype(bool)]
    )
    residual = residual / (num_runs - 1) / (num_runs * sizes)
    return spread, np.diag(residual), num_runs - 1


def _trace_noise(product: Matrix, df: int) -> float:
    """Return the squared trace over its degrees of freedom, for a covariance estimated with ``df``."""
    return float(np.trace(product @ product)) / df
