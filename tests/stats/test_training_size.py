"""How many more images would bring .01: against studies that follow a known power law."""

from collections import Counter

import numpy as np
import pytest

from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import mean_interval
from segstudy.stats.training_size import GAIN, MOST_TIMES, _means, more_images

SIZES = (25, 50, 100)
STUDIES = 200


def exact(errors, seeds=3, units=20, noise=1e-6):
    """Scores whose means are 1 less these errors, hardly any noise around them."""
    rng = np.random.default_rng(0)
    spread = np.linspace(-0.1, 0.1, units)
    return [1 - error + spread + rng.normal(0, noise, (seeds, units)) for error in errors]


def law(sizes, exponent, last):
    return [last * (n / sizes[-1]) ** -exponent for n in sizes]


def simulated(rng, exponent, last, seeds=3, floor=0.0):
    """Image sd .12, image x size .03, seed .005, residual .06; 100 test images."""
    image = rng.normal(0, 0.12, 100)
    return [
        1
        - floor
        - error
        + image
        + rng.normal(0, 0.03, 100)
        + rng.normal(0, 0.005, (seeds, 1))
        + rng.normal(0, 0.06, (seeds, 100))
        for error in law(SIZES, exponent, last - floor)
    ]


def wanted(exponent, last, largest=SIZES[-1], floor=0.0):
    return largest * ((1 - GAIN / (last - floor)) ** (-1 / exponent) - 1)


@pytest.mark.parametrize(("exponent", "last"), [(0.3, 0.2), (0.5, 0.1), (0.15, 0.3)])
def test_of_a_power_law_without_noise_the_number_is_exact(exponent, last):
    found = more_images(SIZES, exact(law(SIZES, exponent, last)))
    assert found.state == "estimated"
    assert found.exponent == pytest.approx(exponent, abs=1e-4)
    assert found.extra == pytest.approx(wanted(exponent, last), rel=2e-3)
    assert found.low <= found.extra <= found.high


def test_sizes_may_come_in_any_order():
    scores = exact(law(SIZES, 0.3, 0.2))
    turned = more_images(SIZES[::-1], scores[::-1])
    assert turned == more_images(SIZES, scores)


@pytest.mark.parametrize(
    ("errors", "state"),
    [
        (law(SIZES, 0.0, 0.2), "too little"),
        (law(SIZES, 0.02, 0.05), "too little"),
        ([0.3, 0.29, 0.2], "bends"),
        ([0.3, 0.2, -0.001], "perfect"),
    ],
)
def test_what_no_power_law_answers_is_said(errors, state):
    found = more_images(SIZES, exact(errors))
    assert (found.state, found.extra) == (state, None)


def test_two_sizes_or_single_runs_give_no_number():
    scores = exact(law(SIZES, 0.3, 0.2))
    assert more_images(SIZES[:2], scores[:2]).state == "few sizes"
    assert more_images(SIZES, [each[:1] for each in scores]).state == "one run"
    assert more_images(SIZES, [each[:, :1] for each in scores]).state == "few units"


def test_nothing_is_said_beyond_the_range():
    """The gain needs more than four times the images, and the noise leaves that open."""
    rng = np.random.default_rng(4)
    states = Counter(more_images(SIZES, simulated(rng, 0.05, 0.15, seeds=5)).state for _ in range(60))
    assert wanted(0.05, 0.15) == pytest.approx((MOST_TIMES - 1) * SIZES[-1], rel=0.02)
    assert states["no slope"] > 20


def test_a_sum_of_means_has_the_variance_of_the_other_intervals():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.8, 0.1, (4, 30)), rng.normal(0.7, 0.1, (3, 30))
    half, error, df = (float(each[0]) for each in _means([a, b]).half_widths(np.array([[1.0, -1.0]])))
    found = difference(a, b)
    assert (error, df) == pytest.approx((found.standard_error, found.df))
    assert half == pytest.approx((found.high - found.low) / 2)
    one = mean_interval(a)
    assert one.high is not None
    assert float(_means([a, b]).half_widths(np.array([[1.0, 0.0]]))[0][0]) == pytest.approx(
        one.high - one.mean
    )


@pytest.mark.parametrize(
    ("exponent", "last", "seeds", "floor"),
    [(0.3, 0.2, 3, 0), (0.15, 0.15, 5, 0), (0.05, 0.15, 5, 0), (0.5, 0.15, 3, 0.1), (1, 0.15, 3, 0.1)],
)
def test_at_most_7_percent_of_the_answers_are_wrong(exponent, last, seeds, floor):
    """Wrong: the true number is outside of the interval, or within a range that was said to be too small."""
    rng = np.random.default_rng(7)
    true, wrong = wanted(exponent, last, floor=floor), 0
    for _ in range(STUDIES):
        found = more_images(SIZES, simulated(rng, exponent, last, seeds, floor=floor))
        if found.state == "too little":
            wrong += true <= found.most_extra
        elif found.state != "bends":
            high = found.high if found.state == "estimated" and found.high is not None else np.inf
            wrong += not found.low <= true <= high
    print(f"exponent {exponent}, {seeds} seeds, c = {floor}: {wrong / STUDIES:.1%} wrong")
    assert wrong <= (0.07 + 0.03) * STUDIES  # two standard deviations of so few


def test_a_curve_that_flattens_has_an_interval_that_says_so():
    """With c = .1 and b = 1, 25 more images bring .01; a law without c would say 15."""
    rng = np.random.default_rng(2)
    found = [more_images(SIZES, simulated(rng, 1, 0.15, floor=0.1)) for _ in range(20)]
    estimated = [each for each in found if each.state == "estimated"]
    assert len(estimated) >= 15
    assert np.median([each.extra for each in estimated]) == pytest.approx(25, abs=5)
    assert np.median([each.floor for each in estimated]) == pytest.approx(0.1, abs=0.03)
