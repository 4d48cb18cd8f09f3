"""Comparisons over data sets: against other implementations, published numbers and simulated sets."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.meta_analysis import combine_effects

from segstudy.stats.comparisons import difference
from segstudy.stats.data_sets import best_without, losses, over_sets, set_ranks, set_stability

# Thirteen trials of the BCG vaccine (Colditz et al. 1994): log risk ratios and their variances.
BCG = (
    [-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.0120, -0.4694, -1.3713, -0.3394],
    [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124],
)
BCG = ([*BCG[0], 0.4459, -0.0173], [*BCG[1], 0.5325, 0.0714])


def test_the_estimate_is_the_published_one():
    """Viechtbauer (2010): tau squared .318 by Paule and Mandel, and its Q profile interval .12 to 1.11."""
    found = over_sets(*BCG)
    assert found.mean == pytest.approx(-0.715, abs=5e-4)
    assert found.between_sd**2 == pytest.approx(0.318, abs=5e-4)
    assert (found.between_low**2, found.between_high**2) == pytest.approx((0.1197, 1.1115), abs=5e-4)


@pytest.mark.parametrize("num_sets", [2, 3, 5, 10])
def test_the_estimate_is_that_of_statsmodels(num_sets):
    rng = np.random.default_rng(num_sets)
    for spread in (0.0, 0.01, 0.1):
        d = 0.02 + spread * rng.normal(size=num_sets) + 0.01 * rng.normal(size=num_sets)
        v = 0.0001 * rng.uniform(0.5, 2, num_sets)
        found = over_sets(d, v)
        other = combine_effects(d, v, method_re="pm", use_t=True)
        assert found.between_sd**2 == pytest.approx(other.tau2, abs=1e-8)
        assert found.mean == pytest.approx(other.mean_effect_re)
        error = max(other.sd_eff_w_re_hksj, other.sd_eff_w_re)  # never less than that of the model
        half = scipy.stats.t.ppf(0.975, num_sets - 1) * error
        assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), rel=1e-4)
        assert found.p == pytest.approx(2 * scipy.stats.t.sf(abs(found.mean) / error, num_sets - 1), rel=1e-3)


def test_intervals_for_all_pairs_agree_with_their_p_values():
    for shift in np.linspace(0, 0.1, 21):
        found = over_sets([shift + 0.01, shift, shift - 0.01], [0.0001] * 3, num_pairs=6)
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
        alone = over_sets([shift + 0.01, shift, shift - 0.01], [0.0001] * 3)
        assert found.p == pytest.approx(min(1, 6 * alone.p))


def test_equal_runs_on_a_set_do_not_weigh_infinitely():
    found = over_sets([0.01, 0.02, 0.03], [0.0, 0.0001, 0.0001])
    assert all(map(math.isfinite, (found.mean, found.low, found.high, found.between_sd)))
    same = over_sets([0.0, 0.0], [0.0, 0.0])
    assert (same.mean, same.between_sd) == (0, 0)
    assert same.p == 1


def test_two_sets_have_no_interval_for_a_new_one():
    found = over_sets([0.01, 0.02], [0.0001, 0.0001])
    assert (found.new_low, found.new_high) == (None, None)
    three = over_sets([0.01, 0.02, 0.05], [0.0001] * 3)
    assert three.new_low < three.low
    assert three.new_high > three.high


@pytest.mark.parametrize(
    ("num_sets", "count", "chi", "p"),
    [(3, 3, 6.0, 0.028), (4, 3, 8.0, 0.0046), (4, 3, 6.5, 0.042), (3, 4, 9.0, 0.0017), (3, 4, 7.4, 0.033)],
)
def test_the_exact_p_values_are_those_of_printed_tables(num_sets, count, chi, p):
    """Friedman (1937), in every textbook."""
    rng = np.random.default_rng(0)
    for _ in range(3000):
        means = rng.normal(size=(num_sets, count))
        if scipy.stats.friedmanchisquare(*means.T).statistic == pytest.approx(chi):
            found = set_ranks(means)
            assert found.is_exact
            assert found.p == pytest.approx(p, abs=5e-4)
            return
    pytest.fail("no such statistic")


@pytest.mark.parametrize("ties", [False, True])
def test_the_exact_p_value_counts_all_orders_of_every_set(ties):
    rng = np.random.default_rng(3)
    for _ in range(5):
        means = rng.integers(0, 3, (3, 3)).astype(float) if ties else rng.normal(size=(3, 3))
        ranks = scipy.stats.rankdata(-means, axis=1)
        observed = (ranks.sum(0) ** 2).sum()
        orders = list(itertools.permutations(range(3)))
        sums = [
            (sum(row[list(order)] for row, order in zip(ranks, each, strict=True)) ** 2).sum()
            for each in itertools.product(orders, repeat=3)
        ]
        assert set_ranks(means).p == pytest.approx(np.mean(np.array(sums) >= observed - 1e-9))


def test_iman_and_davenport_is_used_where_orders_are_too_many():
    means = np.random.default_rng(0).normal(size=(6, 12))
    found = set_ranks(means)
    chi = scipy.stats.friedmanchisquare(*means.T).statistic
    f = 5 * chi / (6 * 11 - chi)
    assert not found.is_exact
    assert (found.f, found.df, found.df_residual) == (pytest.approx(f), 11, 55)
    assert found.p == pytest.approx(scipy.stats.f.sf(f, 11, 55))


@pytest.mark.parametrize(
    ("num_sets", "count", "least", "can_tell"),
    [
        (2, 3, 1 / 6, False),
        (3, 3, 1 / 36, True),
        (2, 4, 1 / 24, True),
        (5, 2, 1 / 16, False),
        (6, 2, 1 / 32, True),
    ],
)
def test_so_few_sets_cannot_tell(num_sets, count, least, can_tell):
    found = set_ranks(np.tile(np.arange(count, dtype=float), (num_sets, 1)))
    assert found.p == pytest.approx(least)  # all agree
    assert found.least_p == pytest.approx(least)
    assert found.can_tell is can_tell
    assert list(found.mean_ranks) == list(range(count, 0, -1))


def test_losses_and_the_best_without_a_set():
    means = np.array([[0.8, 0.75, 0.7], [0.5, 0.7, 0.69], [0.9, 0.8, 0.89]])
    found = losses(means)
    assert [each.worst for each in found] == pytest.approx([0.2, 0.1, 0.1])
    assert [each.worst_set for each in found] == [1, 2, 0]
    assert found[0].per_set == pytest.approx((0, 0.2, 0))
    assert best_without(means) == [2, 0, 1]


def test_an_order_that_all_sets_share_is_stable_and_equal_configurations_share_the_first_place():
    rng = np.random.default_rng(5)

    def scores(means):
        image = rng.normal(0, 0.1, 40)
        return [m + image + rng.normal(0, 0.02, (3, 40)) for m in means]

    clear = set_stability([scores((0.8, 0.7, 0.6)) for _ in range(4)], seed=0)
    assert [each.best for each in clear] == [1, 0, 0]
    assert [(each.low, each.high) for each in clear] == [(1, 1), (2, 2), (3, 3)]
    opposed = set_stability([scores((0.8, 0.7)), scores((0.7, 0.8))], seed=0)
    assert 0.2 < opposed[0].best < 0.8


def study(rng, delta, seeds):
    """Image sd .12, image x configuration .02, seed .01, residual .06; 30 to 120 test images."""
    images = int(rng.integers(30, 120))
    image = rng.normal(0, 0.12, images)
    a, b = (
        mean
        + image
        + rng.normal(0, 0.02 / 2**0.5, images)
        + rng.normal(0, 0.01, (seeds, 1))
        + rng.normal(0, 0.06, (seeds, images))
        for mean in (0.8 + delta, 0.8)
    )
    return difference(a, b)


SETTINGS = [(3, 2, 0.02), (5, 3, 0.01), (10, 2, 0.0), (10, 3, 0.02)]
SLOW = [
    (sets, seeds, spread)
    for sets in (2, 3, 4, 5, 7, 10)
    for seeds in (1, 2, 5)
    for spread in (0, 0.005, 0.01, 0.02, 0.05)
]


def check_level_and_coverage(num_sets, seeds, spread, studies):
    """Level, and coverage of a true mean of .02; between sets the difference has this standard deviation."""
    rng = np.random.default_rng(10_000 * num_sets + 100 * seeds + round(1000 * spread))
    called, covered, between = 0, 0, 0
    for _ in range(studies):
        apart = [study(rng, each, seeds) for each in rng.normal(0, spread, num_sets)]
        found = over_sets([d.mean for d in apart], [d.standard_error**2 for d in apart])
        called += found.p < 0.05
        covered += found.low <= 0 <= found.high
        between += found.between_low <= spread <= found.between_high
    said = f"{num_sets} sets, {seeds} seeds, sd {spread}: called different {called / studies:.1%}"
    print(f"{said}, covered {covered / studies:.1%}, sd between sets covered {between / studies:.1%}")
    room = 3 * math.sqrt(0.05 * 0.95 / studies)
    assert called / studies <= 0.05 + 0.02 + (0 if studies >= 1000 else room)
    if seeds >= 5:
        assert between / studies >= 0.88


@pytest.mark.parametrize(("num_sets", "seeds", "spread"), SETTINGS)
def test_level_and_coverage(num_sets, seeds, spread):
    check_level_and_coverage(num_sets, seeds, spread, studies=200)


@pytest.mark.very_slow
@pytest.mark.parametrize(("num_sets", "seeds", "spread"), SLOW)
def test_level_and_coverage_in_all_settings(num_sets, seeds, spread):
    check_level_and_coverage(num_sets, seeds, spread, studies=2000)
