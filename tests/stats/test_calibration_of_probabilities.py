"""Reliability and overconfidence: exact on what is known, and right in simulation."""

import numpy as np
import pytest

from segstudy.stats.calibration import overconfidence, reliability


def counts(
    rng: np.random.Generator, num_images: int, shift: float, size: int = 400
) -> tuple[np.ndarray, ...]:
    """Pixels of images by 20 bins, as shares, where each image's foreground is off by its own amount."""
    prob = rng.beta(0.6, 0.6, (num_images, size))
    own = rng.normal(0, 0.05, (num_images, 1))
    true = rng.random((num_images, size)) < np.clip(prob - shift * np.sign(prob - 0.5) + own, 0, 1)
    bins = np.minimum((prob * 20).astype(int), 19)
    sums = [np.zeros((num_images, 20)) for _ in range(3)]
    for into, value in zip(sums, (np.ones_like(prob), true, prob), strict=True):
        np.add.at(into, (np.arange(num_images)[:, None], bins), value / size)
    return tuple(sums)


def test_bins_are_the_means_of_their_pixels_with_equal_weight_of_images():
    pixels = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    true = np.array([[0.1, 0.4], [0.0, 0.6], [0.2, 0.0]])
    prob = np.array([[0.1, 0.45], [0.05, 0.6], [0.3, 0.0]])
    first, second = reliability(pixels, true, prob, ["a", "b", "c"], 2)
    assert (first.observed, first.predicted) == pytest.approx((0.3 / 1.75, 0.45 / 1.75))
    assert (second.observed, second.predicted) == pytest.approx((1.0 / 1.25, 1.05 / 1.25))
    assert (first.num_groups, second.num_groups) == (3, 2)
    assert first.share + second.share == pytest.approx(1)
    assert [each.num_groups for each in reliability(pixels, true, prob, ["a", "b", "c"], 3)] == [3]


def test_images_of_a_group_count_as_one_so_its_interval_is_wider():
    pixels, true, prob = counts(np.random.default_rng(0), 20, 0.0)
    alone = reliability(pixels, true, prob, [str(i) for i in range(20)], 5)
    double = [np.concatenate([each, each]) for each in (pixels, true, prob)]
    twice = reliability(*double, [str(i) for i in range(20)] * 2, 5)
    for one, two in zip(alone, twice, strict=True):
        assert (two.observed, two.low, two.high) == pytest.approx((one.observed, one.low, one.high))


def test_intervals_of_a_bin_contain_the_truth():
    """95 % of them, also with few images; the truth is a mean over many."""
    rng = np.random.default_rng(1)
    pixels, true, _ = counts(rng, 20_000, 0.1)
    truth = true.sum(0) / pixels.sum(0)
    inside = []
    for _ in range(300):
        found = reliability(*counts(rng, 25, 0.1), [str(i) for i in range(25)], 10)
        inside += [each.low <= t <= each.high for each, t in zip(found, truth, strict=True)]
    assert 0.92 <= np.mean(inside) <= 0.97


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0.0), (0.1, 0.08), (-0.1, -0.08)])
def test_overconfidence_is_how_much_confidence_exceeds_the_share_that_is_right(shift, expected):
    sums = (each[None] for each in counts(np.random.default_rng(2), 2_000, shift))
    found = overconfidence(*sums, 10)
    assert found.shape == (1, 2_000)
    assert found.mean() == pytest.approx(expected, abs=0.03)
    assert (found.mean() > 0.01) == (shift > 0)


def test_a_network_that_is_sure_and_right_is_not_overconfident():
    pixels = np.array([[[0.5, 0.0, 0.0, 0.5]]])
    true = np.array([[[0.0, 0.0, 0.0, 0.5]]])
    assert overconfidence(pixels, true, true, 2) == pytest.approx(0)
