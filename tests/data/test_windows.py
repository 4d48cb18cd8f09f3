"""Windows of an image, and the blending of their probabilities."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.config.protocol import Protocol
from segstudy.core.windowing import Windowing, starts
from segstudy.data.windows import blocks, cut, whole


@given(st.integers(1, 700), st.integers(32, 96), st.integers(0, 48))
def test_windows_cover_all_and_share_what_is_asked(length: int, tile: int, overlap: int) -> None:
    overlap = min(overlap, tile // 2)
    found = starts(length, tile, overlap)
    assert found[0] == 0
    assert found[-1] == max(0, length - tile)
    for first, second in pairwise(found):
        assert 0 < second - first <= tile - overlap
    assert all(begin % 16 == 0 for begin in found[:-1])


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([0, 8, 16, 24]), st.booleans())
def test_blending_what_agrees_changes_nothing(height: int, width: int, overlap: int, classes: bool) -> None:
    windows = Windowing((64, 48), overlap).of((height, width))
    rng = np.random.default_rng(0)
    prob = rng.random((2, height, width) if classes else (height, width), np.float32)
    padded = prob.transpose(1, 2, 0) if classes else prob

    def forward(places):  # a network that sees every pixel alone
        found = np.stack([cut(padded, place, (64, 48)) for place in places])
        return found.transpose(0, 3, 1, 2) if classes else found

    found = whole(windows, forward)
    assert found.shape == prob.shape
    np.testing.assert_allclose(found, prob, atol=2e-7)


def test_blocks_follow_each_other_and_are_as_high_as_the_steps() -> None:
    windows = Windowing((64, 64), 16).of((200, 1000))
    found = list(blocks(windows, lambda places: np.ones((len(places), 64, 64), np.float32)))
    assert [(top, left) for top, left, _ in found] == [
        (top, left) for top in (0, 48, 96, 136) for left in (0, 768)
    ]
    covered = np.zeros((200, 1000), int)
    for top, left, block in found:
        assert block.shape[0] == (48 if top < 96 else 40 if top == 96 else 64)
        covered[top : top + block.shape[0], left : left + block.shape[1]] += 1
    assert (covered == 1).all()


def test_a_window_counts_nothing_near_its_border_inside_of_the_image() -> None:
    windows = Windowing((64, 64), 32).of((64, 96))

    def forward(places):
        found = np.full((len(places), 64, 64), 0.5, np.float32)
        for prob, (_, left) in zip(found, places, strict=True):
            if left == 0:
                prob[:, -8:] = 1  # the outer quarter of what it shares
            else:
                prob[:, :8] = 1
        return found

    np.testing.assert_allclose(whole(windows, forward), 0.5, atol=1e-7)


def test_a_single_window_is_what_the_network_gives() -> None:
    prob = np.random.default_rng(1).random((1, 32, 32), np.float32)
    found = whole(Windowing((32, 32), 8).of((32, 32)), lambda _: prob)
    assert (found == prob[0]).all()


def test_an_image_smaller_than_a_tile_is_mirrored() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = cut(image, (0, 0), (4, 8))
    assert found.tolist() == [
        [0, 1, 2, 2, 1, 0, 0, 1],
        [3, 4, 5, 5, 4, 3, 3, 4],
        [3, 4, 5, 5, 4, 3, 3, 4],
        [0, 1, 2, 2, 1, 0, 0, 1],
    ]


def test_the_overlap_is_a_quarter_of_the_tile_unless_it_is_chosen() -> None:
    assert Protocol(image_size=128, resize="tiles").windowing() == Windowing((128, 128), 32)
    assert Protocol(image_size=128, resize="tiles", overlap=8).windowing() == Windowing((128, 128), 8)
    assert Protocol(image_size=128).windowing() is None
    with pytest.raises(ValueError, match="at most half"):
        Protocol(image_size=128, resize="tiles", overlap=65)


def test_equal_windows_have_equal_numbers_in_the_key() -> None:
    chosen, left_out = (Protocol(image_size=128, resize="tiles", overlap=each) for each in (32, None))
    assert chosen.numbers() == left_out.numbers()
    assert chosen.numbers()["overlap"] == 32
    assert "overlap" not in Protocol(overlap=8).numbers()
