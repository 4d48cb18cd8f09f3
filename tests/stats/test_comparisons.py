"""Statistics in their limits, where a textbook test is exact, and in words."""

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from segstudy.stats.comparisons import difference, distinguished, gap
from segstudy.stats.intervals import by_group, mean_interval

RNG = np.random.default_rng(0)


def runs_only(num_seeds: int, sd: float, mean: float = 0.0) -> np.ndarray:
    """Scores that differ between runs alone: every image says the same."""
    return np.repeat(RNG.normal(mean, sd, (num_seeds, 1)), 30, axis=1)


def test_where_images_say_the_same_a_difference_is_welchs_test_of_the_runs() -> None:
    a, b = runs_only(5, 0.01, 0.02), runs_only(8, 0.03)
    welch = scipy.stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    found = difference(a, b)
    assert found.p == pytest.approx(welch.pvalue)
    assert found.df == pytest.approx(welch.df)
    interval = welch.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_with_one_training_each_a_difference_is_the_paired_t_test_over_images() -> None:
    a, b = RNG.normal(0.8, 0.1, (1, 40)), RNG.normal(0.8, 0.1, (1, 40))
    paired = scipy.stats.ttest_rel(a[0], b[0])
    found = difference(a, b)
    assert found.p == pytest.approx(paired.pvalue)
    assert found.effect_size == pytest.approx(paired.statistic / np.sqrt(40))


def test_one_training_names_no_winner_however_far_apart() -> None:
    found = difference(np.full((1, 20), 0.9) + RNG.normal(0, 0.01, (1, 20)), np.full((1, 20), 0.1))
    assert found.p < 1e-6
    assert not found.has_training_noise
    assert found.conclusion == "training noise not measured"
    assert difference(RNG.normal(0.9, 0.01, (5, 20)), np.full((1, 20), 0.1)).conclusion == found.conclusion


def test_with_one_training_an_interval_is_that_of_the_images() -> None:
    scores = RNG.normal(0.8, 0.1, (1, 40))
    found = mean_interval(scores)
    t = scipy.stats.ttest_1samp(scores[0], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((t.low, t.high))
    assert not found.has_training_noise
    assert found.seed_sd is None


def test_one_image_has_no_interval() -> None:
    found = mean_interval(np.array([[0.5], [0.7]]))
    assert (found.mean, found.low, found.high) == (pytest.approx(0.6), None, None)


def test_winner_against_the_rest_agrees_with_games_and_howell_of_statsmodels() -> None:
    """On runs alone, where the pair's variance is Welch's."""
    sides = ((0.01, 0.05), (0.03, 0.0), (0.01, 0.02), (0.02, 0.03))
    scores = [runs_only(6, sd, mean) for sd, mean in sides]
    seeds = np.concatenate([each[:, 0] for each in scores])
    theirs = pairwise_tukeyhsd(seeds, np.repeat(list("abcd"), 6), use_var="unequal").pvalues[:3]
    found = distinguished([difference(scores[0], each) for each in scores[1:]], len(scores))
    assert found == pytest.approx(theirs.tolist(), abs=1e-6)


def test_two_configurations_need_no_correction() -> None:
    a, b = runs_only(5, 0.01, 0.02), runs_only(5, 0.01)
    found = difference(a, b)
    assert distinguished([found], 2) == pytest.approx([found.p])


def test_an_adjusted_p_value_is_never_below_the_pairs_own() -> None:
    for _ in range(50):
        a, b = RNG.normal(0, 0.1, (2, 4, 20))
        found = difference(a, b)
        assert distinguished([found], 5)[0] >= found.p - 1e-9


@pytest.mark.parametrize(
    ("apart", "spread", "conclusion"),
    [
        (0.05, 0.002, "a"),
        (-0.05, 0.002, "b"),
        (0.001, 0.002, "practically equal"),
        (0.02, 0.2, "not resolved"),
    ],
)
def test_a_conclusion_is_one_of_four(apart: float, spread: float, conclusion: str) -> None:
    rng = np.random.default_rng(3)
    images = rng.normal(0.8, 0.1, 40)
    a, b = (images + side + rng.normal(0, spread, (5, 40)) for side in (apart, 0.0))
    assert difference(a, b).conclusion == conclusion


def test_swapping_the_sides_swaps_everything() -> None:
    a, b = RNG.normal(0.8, 0.1, (5, 20)), RNG.normal(0.7, 0.1, (3, 20))
    ours, theirs = difference(a, b), difference(b, a)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((-theirs.mean, -theirs.high, -theirs.low))
    assert ours.p == pytest.approx(theirs.p)
    assert ours.images_won == theirs.images_won[::-1]
    assert ours.replicates_won is None


def test_equal_scores_do_not_differ() -> None:
    same = RNG.normal(0.8, 0.1, (3, 20))
    found = difference(same, same.copy())
    assert (found.mean, found.p) == (0, 1)
    assert found.conclusion == "practically equal" or found.standard_error > 0
    constant = np.full((3, 20), 0.5)
    assert difference(constant, constant).p == 1


def test_images_of_their_own_group_stay_as_they_are() -> None:
    scores = RNG.normal(0, 1, (3, 10))
    assert by_group(scores, [f"g{i}" for i in range(10)]) == pytest.approx(scores)


def test_joining_a_group_keeps_the_mean_and_gives_the_cluster_robust_variance() -> None:
    scores = RNG.normal(0, 1, (1, 9))
    groups = np.array(list("aabbbcdde"))
    units = by_group(scores, groups)
    totals = np.array([(scores[0] - scores.mean())[groups == g].sum() for g in "abcde"])
    assert units.mean() == pytest.approx(scores.mean())
    assert units.var(ddof=1) / 5 == pytest.approx(5 / 4 * (totals**2).sum() / 81)


def test_copies_of_an_image_in_one_group_add_no_evidence() -> None:
    a, b = RNG.normal(0.8, 0.1, (2, 4, 15))
    once = difference(a, b)
    groups = [str(i) for i in range(15) for _ in range(3)]
    thrice = difference(np.repeat(a, 3, axis=1), np.repeat(b, 3, axis=1), groups)
    assert (thrice.low, thrice.high, thrice.p) == pytest.approx((once.low, once.high, once.p))


def test_a_gap_between_parts_is_welchs_test_where_there_is_one_training() -> None:
    a, b = RNG.normal(0.8, 0.1, (1, 30)), RNG.normal(0.7, 0.2, (1, 50))
    interval = scipy.stats.ttest_ind(a[0], b[0], equal_var=False).confidence_interval()
    found = gap(a, b)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_a_gap_of_a_single_image_has_no_interval() -> None:
    found = gap(np.array([[0.8], [0.6]]), np.array([[0.5], [0.5]]))
    assert (found.mean, found.low, found.high) == (pytest.approx(0.2), None, None)
