"""The studentized range of many means against scipy's, which is slow, and its limits."""

import itertools

import numpy as np
import pytest
import scipy.stats

from segstudy.stats.studentized_range import MOST_BY_SCIPY, quantile, upper_tail

MANY = (MOST_BY_SCIPY + 1, 500)
POINTS = [
    (1.0, 1.0),
    (3.0, 60.0),
    (6.0, 2.5),
    (7.2, 31.0),
    (8.0, 190.0),
    (12.0, 4.0),
    (30.0, 1.2),
    (60.0, 1.0),
]


@pytest.mark.parametrize("num_means", MANY)
@pytest.mark.parametrize(("statistic", "df"), [*POINTS, (5.5, np.inf), (20.0, np.inf)])
def test_p_values_agree_with_scipys(num_means: int, statistic: float, df: float) -> None:
    theirs = scipy.stats.studentized_range.sf(statistic, num_means, df)
    assert upper_tail(statistic, num_means, df) == pytest.approx(theirs, abs=2e-6 if df < 2 else 1e-9)


@pytest.mark.parametrize("num_means", MANY)
@pytest.mark.parametrize("df", [1.0, 3.0, 19.0, 500.0, np.inf])
def test_quantiles_agree_with_scipys(num_means: int, df: float) -> None:
    theirs = scipy.stats.studentized_range.ppf(0.95, num_means, df)
    assert quantile(0.95, num_means, df) == pytest.approx(theirs, rel=1e-6)


def test_of_few_means_they_are_scipys_own() -> None:
    assert upper_tail(4.0, 20, 30.0) == scipy.stats.studentized_range.sf(4.0, 20, 30.0)
    assert quantile(0.95, 20, 30.0) == scipy.stats.studentized_range.ppf(0.95, 20, 30.0)


@pytest.mark.parametrize("df", [1.0, 4.0, 100.0, np.inf])
def test_the_tail_falls_from_1_to_0(df: float) -> None:
    found = [upper_tail(float(q), 300, df) for q in np.linspace(0, 40, 200)]
    assert found[0] == 1
    assert all(0 <= b <= a + 1e-9 for a, b in itertools.pairwise(found))
    assert upper_tail(1e6, 300, df) == pytest.approx(0, abs=1e-3)
