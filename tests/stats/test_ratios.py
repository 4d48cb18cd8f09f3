"""Means over the images that have a class, which differ between runs."""

import numpy as np
import pytest

from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import mean_interval
from segstudy.stats.ratios import linearised
from segstudy.stats.subgroups import interaction


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


def made(rng, seeds: int, images: int, sides: int = 1):
    """Sums and weights of a class that two thirds of the images have and some runs predict on others, too."""
    has = rng.random(images) < 2 / 3
    has[:2] = True
    base = 0.8 + 0.05 * rng.normal(size=images)
    found = []
    for _ in range(sides):
        there = has | (rng.random((seeds, images)) < 0.15)
        scores = base + 0.02 * rng.normal(size=(seeds, 1)) + 0.04 * rng.normal(size=(seeds, images))
        found.append((scores * has, there.astype(float)))
    return found


def test_intervals_cover_the_mean_of_a_ratio():
    rng = np.random.default_rng(0)
    expected = 0.8 * (2 / 3) / (2 / 3 + 1 / 3 * 0.15)
    trials, covered = 600, 0
    for _ in range(trials):
        found = mean_interval(linearised(*made(rng, 4, 60)[0]))
        covered += found.low <= expected <= found.high
    assert 0.92 <= covered / trials <= 0.985


def test_equal_ratios_are_called_different_at_the_level():
    rng = np.random.default_rng(1)
    trials, called = 600, 0
    for _ in range(trials):
        a, b = made(rng, 4, 60, sides=2)
        called += difference(linearised(*a), linearised(*b)).p < 0.05
    assert called / trials < 0.09


def test_equal_differences_in_classes_that_share_images_are_rejected_at_the_level():
    """Three classes of the same images, which move them together; which images count differs between runs."""
    rng = np.random.default_rng(2)
    trials, rejected = 400, 0
    for _ in range(trials):
        image = 0.08 * rng.normal(size=40)
        sides = [_classes(rng, image + 0.02 * rng.normal(size=40)) for _ in range(2)]
        counts = [np.any([there.any(0) for _, there in pair], axis=0) for pair in zip(*sides, strict=True)]
        ours, theirs = (
            np.concatenate(
                [linearised(s[:, c], t[:, c]) for (s, t), c in zip(side, counts, strict=True)], axis=1
            )
            for side in sides
        )
        places = [place for place, c in enumerate(counts) for _ in range(c.sum())]
        groups = [str(i) for c in counts for i in np.flatnonzero(c)]
        rejected += interaction(ours, theirs, places, groups).p < 0.05
    assert rejected / trials < 0.085


def _classes(rng, image):
    """Sums and weights of three classes, of which the second and third are not on all images."""
    found = []
    for k, (mean, share) in enumerate(((0.9, 1.0), (0.8, 0.8), (0.6, 0.6))):
        has = np.arange(40) % 10 < 10 * share
        there = has | (rng.random((4, 40)) < 0.1 * (k > 0))
        scores = mean + image + 0.01 * rng.normal(size=(4, 1)) + 0.03 * rng.normal(size=(4, 40))
        found.append((scores * has, there.astype(float)))
    return found
