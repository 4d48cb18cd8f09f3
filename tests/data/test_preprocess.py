"""The way to the network's size and back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segstudy.data.datasets.ph2 import read as read_ph2
from segstudy.data.masks import read_mask
from segstudy.data.preprocess import (
    Resize,
    image_to_network,
    mask_to_network,
    placement,
    prob_to_native,
    prob_to_store,
)
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou

SIDES = st.integers(8, 60)
SIZES = st.tuples(SIDES, SIDES)
NETWORK = st.tuples(st.integers(32, 48), st.integers(32, 48))
RESIZE = st.sampled_from(["squash", "pad"])


def box_mean_mask(mask: np.ndarray, factor: int) -> np.ndarray:
    """The slow reference: every output pixel counts its own block."""
    out = np.zeros((mask.shape[0] // factor, mask.shape[1] // factor), bool)
    for y, x in np.ndindex(out.shape):
        block = mask[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        out[y, x] = 2 * int(block.sum()) >= block.size
    return out


def ellipse(height: int, width: int, radius_frac: float = 0.35) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    across = ((y - height / 2) / (radius_frac * height)) ** 2 + ((x - width / 2) / (radius_frac * width)) ** 2
    return across < 1


@given(SIZES, NETWORK)
def test_squash_fills_the_whole_input(native, size) -> None:
    assert placement(native, size, "squash") == (0, 0, *size)


@given(SIZES, NETWORK)
def test_pad_keeps_the_shape_in_the_middle_and_touches_two_edges(native, size) -> None:
    top, left, height, width = placement(native, size, "pad")
    assert (height == size[0] and top == 0) or (width == size[1] and left == 0)
    assert 0 <= size[0] - height - 2 * top <= 1
    assert 0 <= size[1] - width - 2 * left <= 1
    scale = min(size[0] / native[0], size[1] / native[1])
    assert abs(height - native[0] * scale) <= 0.5
    assert abs(width - native[1] * scale) <= 0.5


def test_a_sliver_keeps_at_least_one_pixel() -> None:
    assert placement((8, 5000), (32, 32), "pad") == (15, 0, 1, 32)


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 8])
@given(data=st.data())
@settings(max_examples=20)
def test_a_mask_is_foreground_where_half_of_its_block_is(factor: int, data) -> None:
    """Exactly, ties included; at factors such as 6, whose sixths are rounded, a tie may fall either way."""
    mask = data.draw(hnp.arrays(np.bool_, (32 * factor, 33 * factor), fill=st.booleans()))
    assert np.array_equal(mask_to_network(mask, (32, 33), "squash"), box_mean_mask(mask, factor))


def test_a_tie_is_foreground() -> None:
    stripes = np.zeros((64, 64), bool)
    stripes[::2] = True
    assert mask_to_network(stripes, (32, 32), "squash").all()


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_nothing_changes_at_the_networks_own_size(resize: Resize) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3), np.uint8)
    mask, prob = rng.random((40, 50)) < 0.5, rng.random((40, 50), np.float32)
    assert np.array_equal(image_to_network(image, (40, 50), resize), image)
    assert np.array_equal(mask_to_network(mask, (40, 50), resize), mask)
    assert np.array_equal(prob_to_native(prob, (40, 50), resize), prob)


def test_an_image_is_averaged_not_sampled() -> None:
    """A chessboard of single pixels is grey at a quarter of its size, not black or white."""
    board = np.indices((128, 128)).sum(0) % 2 * 255
    small = image_to_network(np.stack([board.astype(np.uint8)] * 3, 2), (32, 32), "squash")
    assert abs(small.astype(int) - 127).max() <= 2


@given(SIZES, NETWORK, RESIZE)
def test_one_colour_stays_that_colour_and_padding_is_black_background(native, size, resize: Resize) -> None:
    top, left, height, width = placement(native, size, resize)
    inside = np.zeros(size, bool)
    inside[top : top + height, left : left + width] = True
    image = image_to_network(np.full((*native, 3), 201, np.uint8), size, resize)
    assert np.array_equal(image, np.where(inside[..., None], 201, 0).repeat(3, 2))
    assert np.array_equal(mask_to_network(np.ones(native, bool), size, resize), inside)
    assert not mask_to_network(np.zeros(native, bool), size, resize).any()


@given(SIZES, NETWORK, RESIZE)
def test_padding_never_leaks_into_the_native_mask(native, size, resize: Resize) -> None:
    """Foreground all over the padding, none on the image: nothing arrives; and the other way round."""
    top, left, height, width = placement(native, size, resize)
    prob = np.ones(size, np.float32)
    prob[top : top + height, left : left + width] = 0
    back = prob_to_native(prob, native, resize)
    assert back.shape == native
    assert back.dtype == np.float32
    assert not back.any()
    assert np.allclose(prob_to_native(1 - prob, native, resize), 1)


@given(SIZES, NETWORK, RESIZE, st.integers(0, 99))
def test_probabilities_stay_probabilities(native, size, resize: Resize, seed: int) -> None:
    prob = np.random.default_rng(seed).random(size, np.float32)
    back = prob_to_native(prob, native, resize)
    assert prob.min() - 1e-6 <= back.min()
    assert back.max() <= prob.max() + 1e-6


@given(st.tuples(st.integers(64, 300), st.integers(64, 300)), RESIZE)
@settings(max_examples=25)
def test_a_smooth_mask_survives_the_way_there_and_back(native, resize: Resize) -> None:
    mask = ellipse(*native)
    back = prob_to_native(mask_to_network(mask, (64, 64), resize).astype(np.float32), native, resize) >= 0.5
    assert iou(confusion(back, mask)) > 0.93


@pytest.mark.parametrize(
    ("side", "ceiling"), [(128, 0.9865), pytest.param(256, 0.9933, marks=pytest.mark.slow)]
)
def test_the_resolution_ceiling_on_ph2_is_the_published_one(
    ph2_folder: Path, side: int, ceiling: float
) -> None:
    """Mean IoU of mask -> size -> back over every eighth image; over all 200 it is the figure itself."""
    masks = [read_mask(sample.mask) for sample in read_ph2(ph2_folder).samples[::8]]
    ious = []
    for mask in masks:
        small = mask_to_network(mask, (side, side), "squash").astype(np.float32)
        ious.append(iou(confusion(prob_to_native(small, mask.shape, "squash") >= 0.5, mask)))
    assert np.mean(ious) == pytest.approx(ceiling, abs=0.002)


@pytest.mark.parametrize("native", [(90_000, 9), (9, 90_000)])
def test_a_long_strip_is_resized_as_any_image_with_less_memory(
    native: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (*native, 3), np.uint8)
    prob = rng.random((32, 32), np.float32)
    found = []
    for most in (2**26, 2**18):
        monkeypatch.setattr("segstudy.data.preprocess.MAX_BETWEEN_PIXELS", most)
        found.append(
            (
                image_to_network(image, (32, 32), "squash"),
                mask_to_network(image[..., 0] > 127, (32, 32), "squash"),
                prob_to_native(prob, native, "squash"),
            )
        )
    (whole_image, whole_mask, whole_prob), (image_parts, mask_parts, prob_parts) = found
    assert np.abs(whole_image.astype(int) - image_parts).max() <= 1
    assert (whole_mask == mask_parts).all()
    assert np.abs(whole_prob - prob_parts).max() < 1e-5


def test_probabilities_of_large_images_are_stored_smaller_if_these_were_not_resized():
    prob = np.linspace(0, 1, 2048 * 1000, dtype=np.float32).reshape(2048, 1000)
    found = prob_to_store(prob, "tiles")
    assert found.shape == (1024, 500)
    np.testing.assert_allclose(found, prob.reshape(1024, 2, 500, 2).mean((1, 3)), atol=1e-6)
    assert prob_to_store(np.stack([prob, prob]), "tiles").shape == (2, 1024, 500)
    assert prob_to_store(prob, "squash") is prob
    assert prob_to_store(prob[:1024], "tiles").shape == (1024, 1000)
    assert prob_to_native(found, (2048, 1000), "tiles").shape == (2048, 1000)
