"""The index of near-duplicates against the comparison of each image with each."""

from collections.abc import Iterator

import numpy as np
import pytest

from segstudy.data import duplicate_index, duplicates
from segstudy.data.duplicate_index import SIGNS, likely_pairs
from segstudy.data.duplicates import near_duplicates, thumbnail, turned


@pytest.fixture(autouse=True)
def few_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_index, "BUCKET_BITS", 14)


def pairs_that_correlate(num: int, correlation: float) -> np.ndarray:
    """Unit vectors in random directions, of which i and num + i have this correlation."""
    rng = np.random.default_rng(0)
    first, other = rng.standard_normal((2, num, 380))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    other -= (other * first).sum(axis=1, keepdims=True) * first
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return np.concatenate([first, correlation * first + np.sqrt(1 - correlation**2) * other]).astype(
        np.float32
    )


@pytest.mark.parametrize(("correlation", "least"), [(0.8, 0.97), (0.85, 0.99), (0.9, 1.0)])
def test_nearly_all_pairs_that_correlate_are_found(correlation: float, least: float) -> None:
    num = 500
    vectors = pairs_that_correlate(num, correlation)
    vectors[num:, 190:] *= -1  # as a turn does with the last two of four sections
    found = {
        pair
        for first, second in likely_pairs({1.0: vectors}, [0, 100, 190, 300, 380])
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    }
    assert sum((i, num + i) in found for i in range(num)) >= least * num
    assert len(found) < 2 * num, "of half a million pairs"


def test_turns_are_those_of_the_comparison_of_all() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 5, duplicates._SECTIONS[-1])).astype(np.float32)
    products = np.add.reduceat(first * second, duplicates._SECTIONS[:-1], axis=1) @ np.array(SIGNS).T
    expected = [np.diag(turn) for turn in duplicates._correlations(first, second)]
    np.testing.assert_allclose(products.T, expected, rtol=1e-4, atol=1e-4)


def textures(num: int) -> np.ndarray:
    """Thumbnails of noise, each unlike the others."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (num, 32, 32), np.uint8)
    return np.stack(
        [thumbnail(np.repeat(each.repeat(2, 0).repeat(2, 1)[..., None], 3, 2)) for each in coarse]
    )


@pytest.fixture
def with_copies() -> np.ndarray:
    """Forty images, then copies of the first sixteen in all orientations, half of them darker."""
    images = textures(40)
    copies = [turned(images[i], i % 8) * (0.8 if i % 2 else 1.0) for i in range(16)]
    return np.concatenate([images, np.array(copies).astype(np.uint8)])


@pytest.mark.parametrize("num_known", [0, 40])
def test_the_same_near_duplicates_as_of_each_with_each(
    with_copies: np.ndarray, num_known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = near_duplicates(with_copies, num_known)
    assert expected == [(i, 40 + i) for i in range(16)]
    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 0)
    assert near_duplicates(with_copies, num_known) == expected


def test_meetings_are_looked_at_in_parts(with_copies: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 0)
    whole = near_duplicates(with_copies)
    monkeypatch.setattr(duplicate_index, "MOST_MEETINGS", 7)
    monkeypatch.setattr(duplicate_index, "ROWS", 16)
    assert near_duplicates(with_copies) == whole


def test_frames_of_a_still_scene_are_connected_by_few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 0)
    noise = np.random.default_rng(0).normal(0, 3, (200, 64, 64))
    found = near_duplicates((textures(1) + noise).clip(0, 255).astype(np.uint8))
    assert len(found) == 199
    assert {0}.union(*found) == set(range(200))


def test_images_without_structure_match_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 0)
    assert near_duplicates(np.full((30, 64, 64), 7, np.uint8)) == []


def test_blank_images_do_not_meet_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pair of them would meet in all tables, turns and shares: 150 zero vectors gave 8.6 million."""
    met = []

    def counted(*arguments: object) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first, second in duplicate_index.likely_pairs(*arguments):
            met.append(len(first))
            yield first, second

    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 0)
    monkeypatch.setattr(duplicates, "likely_pairs", counted)
    blank = np.full((300, 64, 64), 230, np.uint8)
    some = textures(6)
    pairs = near_duplicates(np.concatenate([blank[:150], some[:3], blank[150:], some[2:]]))
    assert pairs == [(152, 303)]
    assert sum(met) < 10_000
