"""The optimism of choosing the best of many: against simulated studies, with and without folds."""

import numpy as np
import pytest
from simulated_choice import Choice, studied

from segstudy.stats.intervals import by_seed
from segstudy.stats.optimism import choice_noise, expected_optimism, optimism, score_of_choice

RNG = np.random.default_rng(0)


def test_the_best_of_120_equal_configurations_looks_013_better() -> None:
    assert expected_optimism(120, 0.005) == pytest.approx(0.013, abs=0.0005)
    assert expected_optimism(1, 0.005) == 0
    draws = RNG.normal(0, 1, (20000, 7)).max(1)
    assert expected_optimism(7, 1.0) == pytest.approx(draws.mean(), abs=0.02)


@pytest.mark.parametrize("num_seeds", [1, 4])
def test_the_noise_of_a_choice_is_what_moves_configurations_apart(num_seeds: int) -> None:
    """Against the scatter of the means of equal configurations, which share their images' difficulty."""
    found, seen = [], []
    for _ in range(200):
        images = RNG.normal(0.8, 0.12, 30)
        scores = [
            images
            + RNG.normal(0, 0.03, 30)
            + RNG.normal(0, 0.02, (num_seeds, 30))
            + (RNG.normal(0, 0.01, (num_seeds, 1)) if num_seeds > 1 else 0)
            for _ in range(6)
        ]
        found.append(choice_noise(scores) ** 2)
        seen.append(np.var([each.mean() for each in scores], ddof=1))
    assert np.mean(found) == pytest.approx(np.mean(seen), rel=0.15)


def found(truth: Choice, means: np.ndarray, num_studies: int) -> dict[str, float]:
    """By how much the winner's two scores are too high, and what is said of it, over simulated studies.

    The truth of a configuration is its mean on the images of the study.
    """
    rng, rows = np.random.default_rng(1), []
    for _ in range(num_studies):
        validation, test = studied(rng, truth, means)
        ours, theirs = (np.array([by_seed(each).mean() for each in part]) for part in (validation, test))
        best = int(ours.argmax())
        high = [values[best] - means[best] - (values - means).mean() for values in (ours, theirs)]
        said, score = optimism(validation, test), score_of_choice(validation, test)
        free = np.nan if score is None else theirs[best] - score
        rows.append([*high, said.validation, said.test, said.least, free])
    names = ("validation", "test", "said validation", "said test", "images alone", "without")
    means_of = dict(zip(names, np.mean(rows, axis=0), strict=True))
    print(truth, {name: round(float(value), 4) for name, value in means_of.items()})
    return means_of


TRUTHS = [
    Choice(20, 1),
    Choice(20, 2),
    Choice(20, 5),
    Choice(4, 2),
    Choice(20, 1, folds=4),
    Choice(20, 2, folds=4, training_set=0.01),
    Choice(20, 2, folds=4, repeats=3, training_set=0.01),
    Choice(20, 1, folds=10),
    Choice(20, 2, folds=4, images=200, training_set=0.02),
]
EQUAL, APART = np.zeros(20), np.repeat([0.0, 0.06], 10)


@pytest.mark.parametrize("truth", [TRUTHS[0], TRUTHS[1], TRUTHS[5]], ids=str)
def test_of_equal_configurations_it_is_what_the_winner_has_too_much(truth: Choice) -> None:
    _check_equal(found(truth, np.zeros(truth.configurations), 120), truth, tolerance=0.2)


@pytest.mark.very_slow
@pytest.mark.parametrize("truth", TRUTHS, ids=str)
def test_of_equal_configurations_within_a_tenth(truth: Choice) -> None:
    _check_equal(found(truth, np.zeros(truth.configurations), 2000), truth, tolerance=0.12)


def _check_equal(mean: dict[str, float], truth: Choice, tolerance: float) -> None:
    for part in ("validation", "test"):
        assert mean[f"said {part}"] == pytest.approx(mean[part], rel=tolerance)
    if truth.seeds == 1 and not truth.folds:
        assert mean["images alone"] < 0.6 * mean["validation"]
        assert np.isnan(mean["without"])
    else:
        assert mean["without"] == pytest.approx(mean["test"], rel=tolerance)


@pytest.mark.parametrize("truth", [TRUTHS[1], TRUTHS[5]], ids=str)
def test_a_choice_without_what_is_tested_is_right_also_where_configurations_differ(truth: Choice) -> None:
    """Half of them are far behind: the choice is among ten, and the other answer is an upper bound."""
    mean = found(truth, APART, 150)
    assert mean["without"] == pytest.approx(mean["test"], rel=0.2)
    assert mean["said test"] > mean["test"]


@pytest.mark.very_slow
@pytest.mark.parametrize("means", [APART, np.arange(20) * 0.005], ids=["half far behind", "all differ"])
@pytest.mark.parametrize("truth", [t for t in TRUTHS if t.configurations == 20], ids=str)
def test_a_choice_without_what_is_tested_is_seldom_too_high(truth: Choice, means: np.ndarray) -> None:
    """Less data choose, so it is a little low; on average it is not too high."""
    mean = found(truth, means, 2000)
    assert mean["said test"] >= mean["test"]
    if truth.seeds > 1 or truth.folds:
        assert -0.0005 <= mean["without"] - mean["test"] <= 0.004


def test_one_seed_without_folds_cannot_choose_without_what_is_tested() -> None:
    validation, test = studied(RNG, Choice(4, 1), np.zeros(4))
    assert score_of_choice(validation, test) is None
    said = optimism(validation, test)
    assert not said.has_training_noise
    assert said.least <= said.validation


def test_a_winner_that_is_far_ahead_owes_nothing_to_the_choice() -> None:
    for truth in (Choice(4, 3), Choice(4, 1, folds=4)):
        validation, test = studied(RNG, truth, np.array([0.0, 0.5, 0.0, 0.0]))
        assert score_of_choice(validation, test) == pytest.approx(by_seed(test[1]).mean())
