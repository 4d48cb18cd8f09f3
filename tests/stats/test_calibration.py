"""Intervals and tests keep their promise, on 2,000 simulated studies for each set of variances.

Prints what it finds (``pytest -s``). The larger part of it, with 20 configurations, runs in `make test-long`.
"""

import itertools

import numpy as np
import pytest
from simulated import NUM_STUDIES, TRUTHS, Truth, excluded_from, pair

from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import mean_interval

NUM_CONFIGURATIONS, APART, LEVEL = 20, 0.02, 0.05
POWERFUL = Truth(0.03, 0.005, 0.0, 5)  # where the power is asserted


def quick_truths() -> list[Truth]:
    """Nine of the 36, which hold every pair of values."""
    values = [sorted({getattr(truth, name) for truth in TRUTHS}) for name in NAMES]
    places = [[each.index(getattr(t, n)) for each, n in zip(values, NAMES, strict=True)] for t in TRUTHS]
    return [t for t, place in zip(TRUTHS, places, strict=True) if np.dot(place, (1, 1, 2, 1)) % 4 == 1]


NAMES = ("residual", "seed", "interaction", "num_seeds")
QUICK_TRUTHS = quick_truths()


def test_the_quick_truths_hold_every_pair_of_values() -> None:
    def pairs(truths: list[Truth]) -> set[tuple[object, ...]]:
        names = list(itertools.combinations(NAMES, 2))
        return {(a, getattr(t, a), b, getattr(t, b)) for t in truths for a, b in names}

    assert len(QUICK_TRUTHS) == 9
    assert pairs(QUICK_TRUTHS) == pairs(TRUTHS)
    assert POWERFUL in QUICK_TRUTHS


@pytest.mark.parametrize(
    "truth",
    [pytest.param(t, id=str(t), marks=() if t in QUICK_TRUTHS else pytest.mark.slow) for t in TRUTHS],
)
def test_level_coverage_and_power(truth: Truth) -> None:
    """Equal models are called different in at most 7 %; intervals of means and differences cover in 93-97 %.

    A difference of .02 is found in at least 88 % where seeds and residual are small. Adding it to one side
    moves the interval by as much and changes nothing else, so the same draws say both.
    """
    rng = np.random.default_rng(20261123)
    covered, rejected, found = 0, 0, 0
    for _ in range(NUM_STUDIES):
        a, b = pair(rng, truth)
        d, interval = difference(a, b), mean_interval(a)
        covered += interval.low <= 0 <= interval.high
        rejected += d.p < LEVEL
        assert (d.p < LEVEL) == (not d.low <= 0 <= d.high)
        found += d.low + APART > 0
    print(f"{truth}: level {rejected / NUM_STUDIES:.3f}, power {found / NUM_STUDIES:.3f}, ", end="")
    print(f"coverage of means {covered / NUM_STUDIES:.3f}, of differences {1 - rejected / NUM_STUDIES:.3f}")
    assert rejected <= 0.07 * NUM_STUDIES
    assert 0.93 * NUM_STUDIES <= covered <= 0.97 * NUM_STUDIES
    assert 0.93 * NUM_STUDIES <= NUM_STUDIES - rejected <= 0.97 * NUM_STUDIES
    if truth == POWERFUL:
        assert found >= 0.88 * NUM_STUDIES


def test_adding_to_one_side_moves_the_interval_and_nothing_else() -> None:
    a, b = pair(np.random.default_rng(3), TRUTHS[0])
    before, after = difference(a, b), difference(a + APART, b)
    assert (after.low, after.high) == pytest.approx((before.low + APART, before.high + APART))
    assert after.df == pytest.approx(before.df)


ALIKE = {sd: [sd] * NUM_CONFIGURATIONS for sd in (0.005, 0.01, 0.02)}
ONE_WILD = {sd: [sd] * (NUM_CONFIGURATIONS - 1) + [0.03] for sd in (0.005, 0.007, 0.01)}
QUICK = [
    pytest.param(ALIKE[0.005], 0.03, 0.0, 5, id="all .005", marks=pytest.mark.slow),
    pytest.param(ALIKE[0.02], 0.03, 0.0, 5, id="all .02", marks=pytest.mark.slow),
    pytest.param(ONE_WILD[0.007], 0.03, 0.0, 5, id="one .03", marks=pytest.mark.slow),
    pytest.param(ALIKE[0.02], 0.03, 0.0, 3, id="all .02, 3 seeds", marks=pytest.mark.slow),
]
LONG = [
    pytest.param(sds, residual, interaction, num_seeds, marks=pytest.mark.very_slow)
    for sds in (*ALIKE.values(), *ONE_WILD.values())
    for residual in (0.03, 0.06)
    for interaction in (0.0, 0.03)
    for num_seeds in (3, 5, 10)
]


def test_of_equal_configurations_none_is_excluded_in_few_studies() -> None:
    rng, sds = np.random.default_rng(1), ONE_WILD[0.007]
    none = sum(excluded_from(rng, Truth(0.03, sds[0], 0.0, 5), sds) == 0 for _ in range(200))
    assert none >= 0.92 * 200


@pytest.mark.parametrize(("sds", "residual", "interaction", "num_seeds"), QUICK + LONG)
def test_of_equal_configurations_none_is_excluded(
    sds: list[float], residual: float, interaction: float, num_seeds: int
) -> None:
    """In at least 92 % of studies, also when one configuration's runs scatter far more than others."""
    rng = np.random.default_rng(1)
    truth = Truth(residual, sds[0], interaction, num_seeds)
    none = sum(excluded_from(rng, truth, sds) == 0 for _ in range(NUM_STUDIES))
    print(f"{truth}, last {sds[-1]}: none excluded in {none / NUM_STUDIES:.3f}")
    assert none >= 0.92 * NUM_STUDIES


@pytest.mark.parametrize(
    ("num_seeds", "num_studies"),
    [
        (5, 20),
        pytest.param(5, 200, marks=pytest.mark.slow),
        *(pytest.param(count, NUM_STUDIES, marks=pytest.mark.very_slow) for count in (3, 5, 10)),
    ],
)
def test_a_better_configuration_excludes_others(num_seeds: int, num_studies: int) -> None:
    """With one of 20 better by .02 and 5 seeds, at least 6 of the other 19 are excluded on average."""
    rng, truth = np.random.default_rng(2), Truth(0.03, 0.005, 0.0, num_seeds)
    counts = [excluded_from(rng, truth, ALIKE[0.005], better=0.02) for _ in range(num_studies)]
    print(f"{truth}: {np.mean(counts):.1f} of {NUM_CONFIGURATIONS - 1} excluded")
    if num_seeds >= 5:
        assert np.mean(counts) >= 6
