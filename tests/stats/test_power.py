"""The promise of `plan --power` against simulated studies: promised and reached power are within 5 points.

The long form is a table of settings (``pytest -s -m very_slow tests/stats/test_power.py``): with variances
that are known, and with those of a pilot with two or three seeds.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from simulated import IMAGE_SD, Truth, least_range
from simulated_folds import RESIDUAL, SEED_SD, Folds, studied

from segstudy.stats import best
from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import Scores, moments_of
from segstudy.stats.power import (
    PROMISE,
    Design,
    critical,
    power,
    smallest_difference,
    standard_error,
    true_variance,
    variances,
)
from segstudy.stats.power_pilot import pilot, smallest_range
from segstudy.stats.power_training_sets import smallest_difference_across, variance_across
from segstudy.stats.training_sets import across_training_sets


@dataclass(frozen=True)
class Setting:
    """A study without folds.

    Attributes:
        truth: standard deviations, and the number of seeds.
        units: test images.
        configurations: that are compared at once.
    """

    truth: Truth
    units: int
    configurations: int = 2

    @property
    def design(self) -> Design:
        return Design(self.truth.num_seeds, self.units)

    def smallest(self) -> float:
        truth = self.truth
        parts = variances(truth.interaction, truth.seed, truth.residual)
        return smallest_difference(parts, self.design, self.configurations)

    def draw(self, rng: np.random.Generator, apart: float) -> list[Scores]:
        """Draw a study of which the first configuration is better."""
        truth, seeds, images = self.truth, self.truth.num_seeds, rng.normal(0, IMAGE_SD, self.units)
        return [
            mean
            + images
            + rng.normal(0, truth.interaction, self.units)
            + rng.normal(0, truth.seed, (seeds, 1))
            + rng.normal(0, truth.residual, (seeds, self.units))
            for mean in [apart, *[0.0] * (self.configurations - 1)]
        ]

    def reached(self, rng: np.random.Generator, apart: float, num_studies: int) -> float:
        """Return the share of pairs with this difference that are shown to differ."""
        return float(np.mean([self.shown(self.draw(rng, apart)) for _ in range(num_studies)]))

    def shown(self, scores: list[Scores]) -> float:
        if self.configurations == 2:
            return float(difference(*scores).p < 0.05)
        pairs = best.all_pairs([moments_of(each) for each in scores])
        half = best.range_quantiles(self.configurations, pairs.df) / np.sqrt(2) * pairs.error
        return float((abs(pairs.mean[0, 1:]) > half[0, 1:]).mean())


QUICK = [Setting(Truth(0.06, 0.01, 0.03, 3), 50), Setting(Truth(0.03, 0.01, 0.0, 5), 40, 4)]
LONG = [
    Setting(Truth(residual, seed, interaction, seeds), units)
    for residual, seed, interaction, seeds, units in (
        (0.03, 0.005, 0.0, 2, 40),
        (0.03, 0.02, 0.0, 3, 40),
        (0.06, 0.005, 0.03, 2, 40),
        (0.06, 0.005, 0.03, 5, 100),
        (0.06, 0.02, 0.03, 3, 20),
        (0.06, 0.01, 0.0, 10, 40),
        (0.03, 0.005, 0.06, 10, 200),
        (0.06, 0.02, 0.03, 20, 50),
    )
] + [
    Setting(Truth(residual, seed, interaction, seeds), 50, configurations)
    for residual, seed, interaction in ((0.06, 0.01, 0.03), (0.03, 0.02, 0.0))
    for seeds in (2, 3, 5)
    for configurations in (3, 8, 20)
]


@pytest.mark.parametrize("setting", QUICK, ids=str)
def test_the_promised_power_is_reached(setting: Setting) -> None:
    reached = setting.reached(np.random.default_rng(1), setting.smallest(), 500)
    assert reached == pytest.approx(PROMISE, abs=0.05)


@pytest.mark.very_slow
@pytest.mark.parametrize("setting", LONG, ids=str)
def test_the_promised_power_is_reached_in_all_settings(setting: Setting) -> None:
    smallest = setting.smallest()
    num_studies = 2000 if setting.configurations == 2 else 600
    reached = setting.reached(np.random.default_rng(2), smallest, num_studies)
    print(f"{setting}: difference {smallest:.4f}, reached {reached:.3f}")
    assert reached == pytest.approx(PROMISE, abs=0.05)


FOLDS = [
    Folds(folds, repeats, seeds, training_set, interaction)
    for folds, repeats, seeds, training_set, interaction in (
        (4, 1, 2, 0.0, 0.0),
        (4, 1, 3, 0.01, 0.03),
        (10, 1, 3, 0.005, 0.03),
        (4, 3, 2, 0.01, 0.03),
        (4, 5, 2, 0.005, 0.03),
        (4, 3, 3, 0.0, 0.03),
        (5, 2, 5, 0.02, 0.0),
    )
]


def in_folds(truth: Folds, num_studies: int) -> tuple[float, float]:
    """Return the reached power for these training sets and for training sets like these."""
    parts = variances(truth.interaction, SEED_SD, RESIDUAL, truth.training_set)
    design = Design(truth.seeds, truth.images, truth.folds, truth.repeats)
    here, across = smallest_difference(parts, design), smallest_difference_across(parts, design)
    rng, fixed = np.random.default_rng(3), Folds(**{**vars(truth), "training_set": 0.0})
    found = [
        (
            difference(*studied(rng, fixed, [here, 0.0])).p < 0.05,
            across_training_sets(*studied(rng, truth, [across, 0.0])).p < 0.05,
        )
        for _ in range(num_studies)
    ]
    ours, like_these = np.mean(found, axis=0)
    print(
        f"{truth}: {here:.4f} reached {ours:.3f}; {across:.4f} for training sets like these {like_these:.3f}"
    )
    return float(ours), float(like_these)


def test_in_folds_both_promises_are_reached() -> None:
    assert in_folds(FOLDS[1], 400) == pytest.approx((PROMISE, PROMISE), abs=0.06)


@pytest.mark.very_slow
@pytest.mark.parametrize("truth", FOLDS, ids=str)
def test_in_folds_both_promises_are_reached_in_all_settings(truth: Folds) -> None:
    assert in_folds(truth, 2000) == pytest.approx((PROMISE, PROMISE), abs=0.05)


def planned_from_pilots(
    truth: Truth, seeds: int, num_pilots: int, configurations: int
) -> tuple[list[float], list[bool]]:
    """Plan studies of five seeds and 50 images from pilots; return the true power at each promise.

    Returns:
        The power at the smallest difference of each plan, and whether its range has the right one.
    """
    rng, design = np.random.default_rng(4), Design(5, 50)
    parts = variances(truth.interaction, truth.seed, truth.residual)
    right = smallest_difference(parts, design)
    reached, inside = [], []
    for _ in range(num_pilots):
        setting = Setting(Truth(truth.residual, truth.seed, truth.interaction, seeds), 50, configurations)
        found = pilot(setting.draw(rng, 0.0))
        smallest = smallest_difference(found.parts, design)
        low, high = smallest_range(found, design)
        reached.append(power(parts, design, smallest))
        inside.append(low <= right <= high)
    return reached, inside


def test_a_pilot_is_right_on_average_and_its_range_is_honest() -> None:
    reached, inside = planned_from_pilots(Truth(0.06, 0.01, 0.03, 5), 3, 60, 4)
    assert np.mean(reached) == pytest.approx(PROMISE, abs=0.07)
    assert np.mean(inside) >= 0.6


@pytest.mark.very_slow
@pytest.mark.parametrize("truth", [Truth(0.06, 0.01, 0.03, 5), Truth(0.03, 0.02, 0.0, 5)], ids=str)
@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("configurations", [2, 4, 8])
def test_the_power_that_plans_from_pilots_reach(truth: Truth, seeds: int, configurations: int) -> None:
    reached, inside = planned_from_pilots(truth, seeds, 400, configurations)
    low, middle, high = np.quantile(reached, (0.1, 0.5, 0.9))
    print(
        f"{truth}, pilot of {seeds} seeds and {configurations} configurations: "
        f"reached {np.mean(reached):.3f}, 10, 50, 90 %: {low:.2f}, {middle:.2f}, {high:.2f}; "
        f"range holds in {np.mean(inside):.3f}"
    )
    assert PROMISE - 0.05 <= np.mean(reached) <= PROMISE + 0.1
    assert np.mean(inside) >= 0.6


def test_the_standard_error_is_that_of_the_comparison() -> None:
    """On average over studies, and with exactly the same formula for degrees of freedom."""
    rng, setting = np.random.default_rng(5), Setting(Truth(0.06, 0.02, 0.03, 5), 60)
    found = [difference(*setting.draw(rng, 0.0)) for _ in range(400)]
    error, df = standard_error(variances(0.03, 0.02, 0.06), setting.design)
    assert np.mean([each.standard_error**2 for each in found]) == pytest.approx(error**2, rel=0.05)
    assert np.median([each.df for each in found]) == pytest.approx(df, rel=0.15)


def test_more_of_anything_shows_smaller_differences() -> None:
    parts = variances(0.03, 0.01, 0.06, 0.005)
    found = [smallest_difference(parts, Design(seeds, 50)) for seeds in (2, 3, 5, 10, 20)]
    assert found == sorted(found, reverse=True)
    found = [smallest_difference(parts, Design(5, units)) for units in (20, 50, 200, 1000)]
    assert found == sorted(found, reverse=True)
    found = [smallest_difference_across(parts, Design(3, 200, folds)) for folds in (4, 5, 10)]
    assert found == sorted(found, reverse=True)
    assert smallest_difference(parts, Design(5, 50), 8) > smallest_difference(parts, Design(5, 50))


def test_the_smallest_difference_has_the_promised_power() -> None:
    parts, design = variances(0.03, 0.01, 0.06), Design(4, 50)
    assert power(parts, design, smallest_difference(parts, design)) == pytest.approx(PROMISE, abs=1e-3)
    assert power(parts, design, 0.0) == pytest.approx(0.05, abs=0.02)
    assert power(parts, design, 1.0) == 1.0
    assert smallest_difference(variances(1.0, 1.0, 1.0), Design(2, 2)) == np.inf


def test_without_any_variance_any_difference_is_shown() -> None:
    parts, design = variances(0.0, 0.0, 0.0), Design(3, 20)
    assert smallest_difference(parts, design) == pytest.approx(0, abs=1e-6)
    assert true_variance(parts, design) == 0
    assert variance_across(parts, Design(3, 20, 4)) == 0


def test_quantiles_are_those_of_the_tests() -> None:
    df = np.array([1.0, 2.3, 7.0, 40.0])
    assert critical(df) == pytest.approx([12.706, 3.8047, 2.3646, 2.0211], rel=2e-3)
    assert critical(np.array([1e9]), 20) * np.sqrt(2) == pytest.approx(least_range(20), rel=0.01)


def test_a_pilot_gives_back_the_variances_of_a_large_study() -> None:
    setting = Setting(Truth(0.06, 0.02, 0.03, 40), 800, 6)
    found = pilot(setting.draw(np.random.default_rng(6), 0.0))
    expected = {"image": 0.03, "seed": 0.02, "residual": 0.06, "training_set": 0.0}
    assert found.standard_deviations() == pytest.approx(expected, rel=0.12)
    assert not found.knows_training_sets


def test_a_pilot_in_repeated_folds_knows_the_training_sets() -> None:
    truth = Folds(5, 4, 8, 0.02, 0.03, images=1000)
    found = pilot(studied(np.random.default_rng(7), truth, [0.0] * 6))
    expected = {"image": 0.03, "seed": SEED_SD, "residual": RESIDUAL, "training_set": 0.02}
    assert found.standard_deviations() == pytest.approx(expected, rel=0.12)
    assert found.knows_training_sets
