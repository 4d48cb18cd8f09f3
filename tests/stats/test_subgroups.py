"""The test of an interaction with subgroups: its level and power in simulation, and special cases."""

import numpy as np
import pytest
import scipy.stats

from segstudy.stats.subgroups import interaction

SIZES = {"two": (12, 38), "three": (17, 17, 16), "four": (10, 40, 60, 90)}


def study(rng, sizes, runs, *, moved=0.0, seed_by_subgroup=0.01, group=1):
    """Scores of two configurations whose difference is `moved` larger in the first subgroup."""
    place = np.repeat(np.arange(len(sizes)), sizes)
    image = rng.normal(0.8, 0.1, len(place)) - 0.05 * place
    own = [np.repeat(rng.normal(0, 0.04, -(-len(place) // group)), group)[: len(place)] for _ in range(2)]
    found = []
    for which in range(2):
        of_run = (
            rng.normal(0, 0.01, (runs, 1)) + rng.normal(0, seed_by_subgroup, (runs, len(sizes)))[:, place]
        )
        noise = rng.normal(0, np.where(place == 0, 0.08, 0.03), (runs, len(place)))
        found.append(image + own[which] + of_run + noise + (moved * (place == 0) if which else 0.0))
    return found[0], found[1], place, [str(i // group) for i in range(len(place))]


@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
@pytest.mark.parametrize(("runs", "group"), [(2, 1), (3, 1), (5, 2)])
def test_equal_differences_are_called_unequal_in_at_most_7_percent(sizes, runs, group):
    rng = np.random.default_rng(runs)
    p = [interaction(*study(rng, sizes, runs, group=group)).p for _ in range(600)]
    print(f"{sizes}, {runs} runs, groups of {group}: {np.mean(np.array(p) < 0.05):.1%}")
    assert np.mean(np.array(p) < 0.05) <= 0.07 + 0.02  # two standard errors of 600 studies


def test_a_real_interaction_is_found():
    rng = np.random.default_rng(0)
    p = [interaction(*study(rng, (40, 80, 80), 5, moved=0.05)).p for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) > 0.8


def test_without_run_noise_two_subgroups_are_as_in_welchs_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 30), rng.normal(0, 1, 30)
    place = [0] * 12 + [1] * 18
    found = interaction(np.stack([a, a]), np.stack([b, b]), place, [str(i) for i in range(30)])
    welch = scipy.stats.ttest_ind((a - b)[:12], (a - b)[12:], equal_var=False)
    assert found.f == pytest.approx(welch.statistic**2)
    assert found.df == pytest.approx(1)
    assert found.df_residual == pytest.approx(welch.df)
    assert found.p == pytest.approx(welch.pvalue)


def test_equal_scores_show_nothing():
    flat = np.full((2, 8), 0.5)
    assert interaction(flat, flat, [0] * 4 + [1] * 4, list("abcdefgh")).p == 1
