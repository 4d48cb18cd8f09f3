"""Ranks against autorank and scikit-posthocs, and bootstrap."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from autorank import autorank

from segstudy.stats.ranks import ranking, stability

RNG = np.random.default_rng(0)


def means(num_blocks: int, num_configurations: int, step: float = 0.004) -> np.ndarray:
    return RNG.normal(0.8, 0.01, (num_blocks, num_configurations)) + step * np.arange(num_configurations)


@pytest.mark.parametrize("shape", [(6, 4), (10, 7), (5, 20)])
def test_mean_ranks_and_critical_difference_agree_with_autorank(shape: tuple[int, int]) -> None:
    matrix = means(*shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = autorank(pd.DataFrame(matrix), force_mode="nonparametric", order="descending")
    ours = ranking(matrix)
    expected = theirs.rankdf["meanrank"].sort_index().to_numpy()
    assert ours.mean_ranks == pytest.approx(expected)
    assert ours.critical_difference == pytest.approx(theirs.cd, rel=1e-3)
    assert ours.p == pytest.approx(theirs.pvalue)


def test_the_bars_agree_with_the_pairs_of_nemenyis_test_in_scikit_posthocs() -> None:
    """A pair is within a bar if and only if its p value is above 5 %."""
    matrix = means(8, 9, step=0.008)
    ours = ranking(matrix)
    theirs = np.asarray(scikit_posthocs.posthoc_nemenyi_friedman(matrix))
    for a in range(9):
        for b in range(a):
            together = any(a in bar and b in bar for bar in ours.bars)
            assert together == (theirs[a, b] > 0.05), (a, b, theirs[a, b])


def test_no_bar_lies_within_another() -> None:
    bars = [set(bar) for bar in ranking(means(8, 12, step=0.01)).bars]
    assert bars
    assert not any(a < b for a in bars for b in bars)


def test_equal_configurations_are_no_finding() -> None:
    found = ranking(np.full((4, 5), 0.5))
    assert found.p == 1
    assert found.mean_ranks == pytest.approx(np.full(5, 3.0))


def test_a_clear_winner_is_first_in_every_draw() -> None:
    scores = [RNG.normal(mean, 0.01, (3, 30)) for mean in (0.5, 0.9, 0.6, 0.7)]
    found = stability(scores, seed=0, draws=200)
    assert [each.best for each in found] == [0, 1, 0, 0]
    assert [each.top3 for each in found] == [0, 1, 1, 1]
    assert [(each.low, each.high) for each in found] == [(4, 4), (1, 1), (3, 3), (2, 2)]


def test_equal_configurations_are_first_about_equally_often() -> None:
    images = RNG.normal(0.8, 0.1, 40)
    best = np.zeros(4)
    for _ in range(30):
        scores = [images + RNG.normal(0, 0.02, (4, 40)) for _ in range(4)]
        best += [each.best for each in stability(scores, seed=1, draws=200)]
    assert best / 30 == pytest.approx(np.full(4, 0.25), abs=0.12)


def test_the_same_seed_draws_the_same() -> None:
    scores = [RNG.normal(0.8, 0.05, (3, 20)) for _ in range(3)]
    assert stability(scores, seed=3) == stability(scores, seed=3)
    assert stability(scores, seed=3) != stability(scores, seed=4)
