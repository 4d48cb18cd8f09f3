"""Sequential studies keep their promise, on simulated studies, and cost less than fixed ones.

The long form prints level, power and cost: ``pytest -s -m very_slow tests/stats/test_sequential.py``.
"""

import numpy as np
import pytest
import simulated_looks
from simulated import Truth
from simulated_folds import Folds, studied
from simulated_looks import drawn, quick_quantiles, sequential, simulate

from segstudy.stats.best import against_best, range_quantiles
from segstudy.stats.planned_looks import error_shares, planned_seeds
from segstudy.stats.sequential import look

SEEDS = (3, 5, 8, 10)
SETTINGS = [
    Truth(residual, seed, interaction, SEEDS[-1])
    for residual, seed, interaction in (
        (0.03, 0.005, 0.0),
        (0.03, 0.005, 0.03),
        (0.03, 0.02, 0.0),
        (0.06, 0.02, 0.03),
    )
]


@pytest.mark.parametrize(("first", "most"), [(3, 4), (3, 10), (4, 10), (5, 10), (3, 50)])
def test_the_looks_end_at_the_last_seeds_and_share_five_percent(first: int, most: int) -> None:
    seeds = planned_seeds(first, most)
    assert seeds[0] == first
    assert seeds[-1] == most
    assert list(seeds) == sorted(set(seeds))
    shares = error_shares(seeds)
    assert sum(shares) == pytest.approx(0.05)
    assert min(shares) > 0


def test_a_look_compares_by_its_own_share_for_all_configurations_of_the_study() -> None:
    test = drawn(np.random.default_rng(0), SETTINGS[0], [0.0, 0.0], [0.005] * 2)
    shares = error_shares(SEEDS)
    found = look([each[:5] for each in test], SEEDS, shares, 20, 0.01).against[0]
    alone = against_best([each[:5] for each in test], 1 - shares[1], 20)[0]
    assert found == alone
    assert alone.high - alone.mean > against_best([each[:5] for each in test])[0].high - alone.mean


def test_p_is_below_five_percent_just_where_a_look_excludes() -> None:
    rng, excluded = np.random.default_rng(1), []
    for _ in range(60):
        test = drawn(rng, SETTINGS[0], [0.012, 0.0, 0.0], [0.005] * 3)
        for each in look([x[:5] for x in test], SEEDS, error_shares(SEEDS), 3, 0.01).against:
            assert (each.p < 0.05) == each.excluded
            excluded.append(each.excluded)
    assert 0 < sum(excluded) < len(excluded)


def test_it_ends_when_one_is_left_when_all_are_equal_and_when_seeds_do_not_help() -> None:
    rng = np.random.default_rng(2)
    exact = Truth(0.001, 0.0005, 0.0, 10)
    apart = sequential(drawn(rng, exact, [0.1, 0.0, 0.0], [0.0005] * 3), SEEDS)
    assert (apart.looks[-1].conclusion, apart.stopped, apart.num_runs) == ("one is left", {1: 1, 2: 1}, 9)
    equal = sequential(drawn(rng, exact, [0.0] * 3, [0.0005] * 3), SEEDS)
    assert (equal.looks[-1].conclusion, equal.stopped) == ("practically equal", {})
    images = Truth(0.01, 0.0005, 0.08, 10)
    futile = sequential(drawn(rng, images, [0.0] * 3, [0.0005] * 3), SEEDS)
    assert futile.looks[-1].conclusion == "more seeds would not help"


def test_interpolated_quantiles_are_those_of_the_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    df = np.array([[1.0, 1.7, 4.4], [13.0, 90.0, 1500.0]])
    exact = range_quantiles(20, df, 0.982)
    quick_quantiles(monkeypatch)
    assert simulated_looks.best.range_quantiles(20, df, 0.982) == pytest.approx(exact, rel=1e-3)


def test_with_folds_equal_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_quantiles(monkeypatch)
    rng, truth = np.random.default_rng(1), Folds(folds=4, repeats=1, seeds=5, training_set=0.0)
    ended = [sequential(studied(rng, truth, [0.0] * 4), (3, 5)) for _ in range(100)]
    assert sum(bool(each.stopped) for each in ended) <= 8
    worse = sequential(studied(rng, truth, [0.0, 0.0, 0.0, -0.1]), (3, 5))
    assert worse.stopped == {3: 1}


CASES = {
    "all equal": lambda count: [0.0] * count,
    "one better by .02": lambda count: [0.02] + [0.0] * (count - 1),
    "evenly over .04": lambda count: list(-np.linspace(0, 0.04, count)),
    "two best, others .03 lower": lambda count: [0.0, 0.0] + [-0.03] * (count - 2),
}
LONG = [
    pytest.param(count, truth, case, marks=pytest.mark.very_slow)
    for count in (4, 20)
    for truth in SETTINGS
    for case in CASES
]


@pytest.mark.parametrize(
    ("count", "truth", "case"),
    [(4, SETTINGS[0], "one better by .02"), (4, SETTINGS[2], "all equal"), *LONG],
)
def test_the_best_stay_and_runs_are_saved(monkeypatch, request, count: int, truth: Truth, case: str) -> None:
    """Of those that are as good as the best, none is stopped in at least 95 % of studies."""
    is_long = request.node.get_closest_marker("very_slow") is not None
    num_studies = (2000 if count == 4 else 500) if is_long else 60
    quick_quantiles(monkeypatch)
    means = CASES[case](count)
    found = simulate(np.random.default_rng(1), truth, means, num_studies, SEEDS)
    print(f"{count} configurations, {case}, {truth}: {found}")
    assert found.wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / num_studies)
    assert found.cost <= 1
    if case == "one better by .02" and truth == SETTINGS[0]:
        assert found.cost <= (0.75 if count == 4 else 0.8)
        assert found.stopped >= 0.9 * found.fixed_excluded


@pytest.mark.parametrize(
    ("count", "seeds"),
    [
        (4, (3, 5)),
        *(
            pytest.param(count, seeds, marks=pytest.mark.very_slow)
            for count in (2, 3, 4, 20)
            for seeds in ((3, 5), (3, 5, 8, 10), (5, 8, 10))
        ),
    ],
)
def test_equal_ones_stay_if_the_runs_of_one_scatter_four_times_as_much(
    monkeypatch, request, count: int, seeds: tuple[int, ...]
) -> None:
    """Nothing is stopped in at least 93.5 % of studies; fixed ones promise 92 %."""
    num_studies = 1000 if request.node.get_closest_marker("very_slow") else 60
    quick_quantiles(monkeypatch)
    rng, sds = np.random.default_rng(1), [0.007] * (count - 1) + [0.03]
    truth = Truth(0.03, 0.007, 0.0, seeds[-1])
    wrong = sum(
        bool(sequential(drawn(rng, truth, [0.0] * count, sds), seeds).stopped) for _ in range(num_studies)
    )
    print(
        f"{count} configurations, looks at {seeds} seeds, one scatters .03: level {wrong / num_studies:.3f}"
    )
    assert wrong <= (0.065 if num_studies >= 1000 else 0.1) * num_studies
