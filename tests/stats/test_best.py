"""The confidence set of the best: against single comparisons, the exact quantiles, and by simulation."""

import numpy as np
import pytest
import scipy.stats
from simulated import Truth, scores

from segstudy.stats.best import against_best, all_pairs, range_quantiles
from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import moments_of


def drawn(rng: np.random.Generator, truth: Truth, means: list[float], sds: list[float]) -> list[np.ndarray]:
    return scores(rng, truth, means, [rng.normal(0, sd, truth.num_seeds) for sd in sds])


def test_two_configurations_are_compared_as_a_pair() -> None:
    a, b = drawn(np.random.default_rng(0), Truth(0.03, 0.01, 0.03, 5), [0.02, 0.0], [0.01, 0.01])
    pair, (first, second) = difference(a, b), against_best([a, b])
    assert (first.low, first.high) == pytest.approx((pair.low, pair.high))
    assert (second.low, second.high) == pytest.approx((-pair.high, -pair.low))
    assert (first.rival, second.rival, second.p) == (1, 0, pytest.approx(pair.p))


def test_pairs_have_the_variance_of_single_comparisons_where_runs_scatter_alike() -> None:
    """Only noise below the median is raised: the difference from a single comparison is never downward."""
    found = drawn(np.random.default_rng(1), Truth(0.03, 0.01, 0.03, 5), [0.0] * 6, [0.01] * 6)
    pairs = all_pairs([moments_of(each) for each in found])
    for i in range(6):
        for j in range(i):
            single = difference(found[i], found[j])
            assert pairs.mean[i, j] == pytest.approx(single.mean)
            assert pairs.error[i, j] >= single.standard_error - 1e-12


@pytest.mark.parametrize("count", [3, 20, 200])
@pytest.mark.parametrize("df", [1.3, 4.0, 40.0, 500.0])
def test_approximated_quantiles_are_close_to_the_exact_ones(count: int, df: float) -> None:
    exact = scipy.stats.studentized_range.ppf(0.95, count, df)
    assert range_quantiles(count, np.array([[df]]))[0, 0] == pytest.approx(exact, rel=0.006)


def test_the_one_that_is_beaten_by_any_is_out() -> None:
    found = drawn(np.random.default_rng(2), Truth(0.01, 0.002, 0.0, 5), [0.0, 0.05, 0.05], [0.002] * 3)
    first, *others = against_best(found)
    assert first.excluded
    assert first.rival in (1, 2)
    assert first.p < 0.001
    assert not any(each.excluded or each.best for each in others)


def test_one_without_training_noise_counts_as_exact() -> None:
    found = drawn(np.random.default_rng(3), Truth(0.01, 0.002, 0.0, 5), [0.0, 0.0], [0.002] * 2)
    masks = found[0].mean(0, keepdims=True) + 0.3
    assert [each.excluded for each in against_best([*found, masks])] == [True, True, False]


LONG = [
    pytest.param(sd, wild, interaction, seeds, count, marks=pytest.mark.very_slow)
    for sd, wild in ((0.005, 0.005), (0.02, 0.02), (0.007, 0.03))
    for interaction in (0.0, 0.03)
    for seeds in (2, 3, 5, 10)
    for count in (3, 4, 20)
]


@pytest.mark.parametrize(
    ("sd", "wild", "interaction", "num_seeds", "count"), [(0.02, 0.02, 0.0, 3, 20), *LONG]
)
def test_of_equal_configurations_all_stay(
    request, sd: float, wild: float, interaction: float, num_seeds: int, count: int
) -> None:
    """None of equal configurations is excluded in at least 92 % of studies: the docs promise it.

    With two seeds, and one configuration whose runs scatter far more, it is 88 %: the report warns of two.
    """
    num_studies = 1000 if request.node.get_closest_marker("very_slow") else 100
    rng, excluded = np.random.default_rng(1), 0
    for _ in range(num_studies):
        sds = [sd] * (count - 1) + [wild]
        found = against_best(drawn(rng, Truth(0.03, sd, interaction, num_seeds), [0.0] * count, sds))
        excluded += any(each.excluded for each in found)
    print(f"sd {sd}, {wild}, interaction {interaction}, {num_seeds} seeds, {count}: {excluded / num_studies}")
    most = 0.12 if num_seeds == 2 and wild > sd else 0.08
    assert excluded <= most * num_studies
