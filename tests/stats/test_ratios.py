"""Means over the images that have a class, which differ between runs."""

import numpy as np
import pytest

from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import mean_interval
from segstudy.stats.ratios import linearised


def test_the_mean_of_each_run_is_its_mean_over_the_images_that_have_it():
    scores = np.array([[0.9, 0.5, 0.7], [0.8, 0.4, 0.2]])
    there = np.array([[1, 0, 1], [1, 1, 0]], float)
    found = linearised(scores * there, there)
    assert found.mean(1) == pytest.approx([0.8, 0.6])


def test_scores_that_all_images_have_stay_as_they_are():
    scores = np.random.default_rng(0).random((3, 7))
    assert linearised(scores, np.ones((3, 7))) == pytest.approx(scores)


def test_images_that_never_have_it_do_not_matter_to_the_mean_and_little_to_its_interval():
    scores = np.random.default_rng(0).random((3, 40))
    more = np.pad(scores, ((0, 0), (0, 160)))
    there = np.pad(np.ones((3, 40)), ((0, 0), (0, 160)))
    few, many = mean_interval(scores), mean_interval(linearised(more, there))
    assert many.mean == pytest.approx(few.mean)
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.05)


def test_a_run_without_such_an_image_is_refused():
    with pytest.raises(ValueError, match="each replicate needs"):
        linearised(np.zeros((2, 3)), np.array([[1, 0, 0], [0, 0, 0]], float))


def drawn(rng, seeds: int, images: int, mean: float):
    """Scores of a class that two thirds of the images have, and some runs predict on others, too."""
    has = rng.random(images) < 2 / 3
    has[:2] = True
    there = has | (rng.random((seeds, images)) < 0.15)
    scores = mean + 0.05 * rng.normal(size=images) + 0.02 * rng.normal(size=(seeds, 1))
    scores = (scores + 0.04 * rng.normal(size=(seeds, images))) * has
    return scores, there.astype(float)


def test_intervals_cover_the_mean_of_a_ratio():
    rng = np.random.default_rng(0)
    expected = 0.8 * (2 / 3) / (2 / 3 + 1 / 3 * 0.15)
    trials, covered = 600, 0
    for _ in range(trials):
        found = mean_interval(linearised(*drawn(rng, 4, 60, 0.8)))
        covered += found.low <= expected <= found.high
    assert 0.92 <= covered / trials <= 0.985


def test_equal_ratios_are_called_different_at_the_level():
    rng = np.random.default_rng(1)
    trials, called = 600, 0
    for _ in range(trials):
        a = drawn(rng, 4, 60, 0.8)
        has = a[0].any(0)
        there = (has | (rng.random((4, 60)) < 0.15)).astype(float)
        noise = 0.02 * rng.normal(size=(4, 1)) + 0.04 * rng.normal(size=(4, 60))
        b = (a[0].mean(0) + noise) * has, there
        called += difference(linearised(*a), linearised(*b)).p < 0.05
    assert called / trials < 0.09
