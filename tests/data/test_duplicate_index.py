"""The index of near-duplicates against the comparison of each image with each."""

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
    expected = [np.diag(turn) for turn in duplicate_index.correlations(first, second, duplicates._SECTIONS)]
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


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs met in the index, and how many were compared, part by part."""
    numbers = []
    signs, compared = duplicate_index._alike_in_signs, duplicates._in_every_way

    def counted_signs(all_signs: object, share: float, meeting: tuple) -> tuple:
        numbers.append(len(meeting[0]))
        return signs(all_signs, share, meeting)

    def counted(magnitudes: dict, first: np.ndarray, second: np.ndarray) -> object:
        numbers.append(len(first))
        return compared(magnitudes, first, second)

    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 0)
    monkeypatch.setattr(duplicate_index, "_alike_in_signs", counted_signs)
    monkeypatch.setattr(duplicates, "_in_every_way", counted)
    return numbers


def test_blank_images_do_not_meet_each_other(met: list[int]) -> None:
    """Each pair of them would meet in all tables, turns and shares: 150 zero vectors gave 8.6 million."""
    blank, some = np.full((5000, 64, 64), 230, np.uint8), textures(6)
    pairs = near_duplicates(np.concatenate([blank[:150], some[:3], blank[150:], some[2:]]))
    assert pairs == [(152, 5003)]
    assert sum(met) < 10_000


def frames(num: int) -> np.ndarray:
    """A still scene with the noise of a camera."""
    noise = np.random.default_rng(0).normal(0, 3, (num, 64, 64)).astype(np.float32)
    return (textures(1) + noise).clip(0, 255).astype(np.uint8)


NUM_FRAMES = 3000
MOST_MET = 2000  # of a frame, in all tables and shares together


@pytest.mark.slow
def test_frames_of_a_still_scene_do_not_meet_pair_by_pair(met: list[int]) -> None:
    """They met 285 million times, some 32 times each with each."""
    found = near_duplicates(frames(NUM_FRAMES))
    assert len(found) == NUM_FRAMES - 1
    assert {0}.union(*found) == set(range(NUM_FRAMES))
    assert sum(met) < MOST_MET * NUM_FRAMES


def test_known_frames_do_not_meet_each_other(met: list[int]) -> None:
    known = frames(400)
    assert near_duplicates(np.concatenate([known, textures(40)[1:]]), len(known)) == []
    assert sum(met) < MOST_MET * len(known), "of 5 million"


def test_vectors_of_one_group_meet_in_no_crowded_bucket() -> None:
    buckets = np.repeat(np.uint32([[5]]), duplicate_index.CROWDED, axis=0)  # four turns of each
    buckets = np.repeat(buckets, 4, axis=1)
    order = duplicate_index._ordered(buckets, np.arange(len(buckets)) // 32)
    rows = np.arange(len(buckets))
    starts, counts = duplicate_index._ranges(rows, np.full(len(rows), 5, np.uint32), order)
    for row, (first, last), (many, more) in zip(rows, starts, counts, strict=True):
        places = [*order.places[first : first + many], *order.places[last : last + more]]
        assert sorted(places) == [i for i in range(4 * len(rows)) if (i // 4) // 32 != row // 32]


@pytest.mark.parametrize(
    ("num_images", "num_known", "expected"),
    [(8, 0, False), (9, 0, True), (20, 16, False), (21, 16, True), (65, 1, False)],
)
def test_an_index_looks_for_pairs_of_many_images(
    num_images: int, num_known: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 8)
    assert duplicates.is_by_index(num_images, num_known) is expected


def test_few_new_images_are_compared_with_each_known_one(
    with_copies: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index, which may miss some, is only for more pairs of known and new images."""
    expected = near_duplicates(with_copies, 40)
    monkeypatch.setattr(duplicates, "BLOCK", 8)
    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 26)  # squared, 676: of 40 x 16 pairs
    monkeypatch.setattr(duplicates, "likely_pairs", None)
    assert near_duplicates(with_copies, 40) == expected == [(i, 40 + i) for i in range(16)]
    monkeypatch.setattr(duplicates, "MOST_EACH_WITH_EACH", 25)
    with pytest.raises(TypeError, match="not callable"):
        near_duplicates(with_copies, 40)
