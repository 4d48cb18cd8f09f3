"""Polygons and run lengths as pixels, against independent rasterisers: Matplotlib and pycocotools."""

import time
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_writers import counts_of, kaggle, png, rectangles
from matplotlib.path import Path as Outline
from pycocotools import mask as coco_tools

from segstudy.data.images import ImageError
from segstudy.data.shapes import (
    Drawing,
    ShapeError,
    circle,
    patch,
    polygon,
    rectangle,
    runs_of_counts,
    runs_of_pairs,
    unpacked_counts,
)


def painted(*shapes, size=(40, 50)) -> np.ndarray:
    return Drawing(Path("a.json"), "a.png", size, Path("a.png"), shapes).draw()


def centres(size):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.c_[x.ravel() + 0.5, y.ravel() + 0.5]


def by_matplotlib(points, size):
    closed = np.vstack([points, points[:1]])
    return Outline(closed).contains_points(centres(size)).reshape(size)


masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays.arrays(np.bool_, size))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_a_polygon_holds_the_pixels_whose_centres_matplotlib_finds_inside(seed, num_points):
    """Any polygon, also one that crosses itself or leaves the image: the even-odd rule."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-20, 70, (num_points, 2))
    points[0] = (10, 10)  # so that it touches the image
    inside = painted(polygon(1, [points.ravel().tolist()])) > 0
    assert (inside == by_matplotlib(points, (40, 50))).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_a_smooth_polygon_is_pycocotools_polygon_but_for_pixels_of_the_outline():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for k in range(10):
        radius = 30 + 5 * np.sin(3 * angle + k)
        points = np.c_[60 + radius * np.cos(angle), 50 + radius * np.sin(angle)].ravel().tolist()
        ours = painted(polygon(1, [points]), size=(100, 120)) > 0
        theirs = coco_tools.decode(coco_tools.frPyObjects([points], 100, 120))[..., 0] > 0
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.99
        inner = painted(
            polygon(1, [(0.97 * (np.reshape(points, (-1, 2)) - (60, 50)) + (60, 50))]), size=(100, 120)
        )
        outer = painted(
            polygon(1, [(1.03 * (np.reshape(points, (-1, 2)) - (60, 50)) + (60, 50))]), size=(100, 120)
        )
        assert (theirs[inner > 0]).all()
        assert not theirs[outer == 0].any()


@given(masks)
def test_rectangles_of_a_mask_are_that_mask_and_touch_without_overlap(mask):
    shapes = [polygon(1, [each]) for each in rectangles(mask)]
    assert (painted(*shapes, size=mask.shape) > 0).tolist() == mask.tolist()
    assert sum(int(painted(shape, size=mask.shape).sum()) for shape in shapes) == mask.sum()


@given(masks)
def test_run_lengths_of_coco_packed_and_plain_and_of_kaggle_are_the_mask(mask):
    packed = coco_tools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert unpacked_counts(packed) == counts_of(mask)
    assert (painted(runs_of_counts(1, counts_of(mask), mask.shape), size=mask.shape) == mask).all()
    pairs = [int(cell) for cell in kaggle(mask).split()]
    assert (painted(runs_of_pairs(1, pairs), size=mask.shape) == mask).all()


def test_rings_within_rings_are_holes_and_later_shapes_cover_earlier_ones():
    outer, hole = [[0, 0], [10, 0], [10, 10], [0, 10]], [[2, 2], [6, 2], [6, 6], [2, 6]]
    ring = painted(polygon(1, [outer, hole]))
    assert ring.sum() == 100 - 16
    assert ring[3, 3] == 0
    both = painted(polygon(1, [outer]), polygon(300, [hole]))
    assert both.dtype == np.uint16
    assert (both == 300).sum() == 16
    assert painted(polygon(2, [hole]), polygon(1, [outer])).max() == 1


def test_circles_and_rectangles_have_their_area():
    assert painted(circle(1, 200, 200, 150), size=(400, 400)).sum() == pytest.approx(np.pi * 150**2, rel=1e-3)
    assert painted(rectangle(1, 12, 9, 4, 3)).sum() == 8 * 6


def test_a_patch_lies_at_its_place_and_alpha_counts_where_there_is_any():
    part = np.array([[1, 0, 1], [0, 1, 1]], np.uint8)
    assert painted(patch(1, png(part), 5, 7))[5:7, 7:10].tolist() == part.tolist()
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[..., 3] = part * 255
    assert painted(patch(1, png(rgba), 5, 7))[5:7, 7:10].tolist() == part.tolist()


SQUARE = [0, 0, 9, 0, 9, 9]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: polygon(1, [[0, 0, float("nan"), 5, 5, 5]]), "hold NaN or infinity"),
        (lambda: polygon(1, [[0, 0, float("inf"), 5, 5, 5]]), "hold NaN or infinity"),
        (lambda: polygon(1, [[0, 0, 1e300, 5, 5, 5]]), "lies beyond"),
        (lambda: polygon(1, [[0, 0, 5, 5]]), "3 points or more"),
        (lambda: polygon(1, [[0, 0, 5, 5, 7]]), "3 points or more"),
        (lambda: polygon(1, [["a", 0, 5, 5, 7, 7]]), "must be numbers"),
        (lambda: polygon(1, [[[0, 0], [5], [7, 7]]]), "must be numbers"),
        (lambda: polygon(1, [{"x": 1}]), "must be numbers"),
        (lambda: polygon(1, [SQUARE * 100_000]), "more than 200,000 points"),
        (lambda: painted(polygon(1, [[500, 500, 510, 500, 510, 510]])), "lies outside the image"),
        (lambda: painted(polygon(1, [[-9, -9, -1, -9, -1, -1]])), "lies outside the image"),
        (lambda: runs_of_counts(1, [4, 4], (3, 3)), "cover 8 pixels, but the image has 9"),
        (lambda: runs_of_counts(1, [], (3, 3)), "cover no pixels"),
        (lambda: runs_of_counts(1, [12, -3], (3, 3)), "cover 9 pixels"),
        (lambda: runs_of_counts(1, [4.5, 4.5], (3, 3)), "must be whole numbers"),
        (lambda: runs_of_counts(1, [10**30, 4], (3, 3)), "must be whole numbers"),
        (lambda: unpacked_counts("\x7f\x80"), "packed as no COCO tool does"),
        (lambda: unpacked_counts("oooooooooooooooo"), "packed as no COCO tool does"),
        (lambda: unpacked_counts("o"), "end in the middle"),
        (lambda: runs_of_pairs(1, [1, 3, 5]), "pairs of a start and a length"),
        (lambda: runs_of_pairs(1, [0, 3]), "counted from 1"),
        (lambda: painted(runs_of_pairs(1, [1999, 3])), "reach pixel 2,001, but the image has 2,000"),
        (lambda: painted(patch(1, png(np.ones((5, 5), np.uint8)), 38, 0)), "leaves the image"),
        (lambda: patch(1, b"no png", 0, 0), "no whole PNG file"),
        (lambda: patch(1, png(np.ones((50, 50), np.uint8))[:60], 0, 0), "no whole PNG file"),
    ],
)
def test_what_is_no_shape_is_refused_in_a_line(make, line):
    with pytest.raises((ShapeError, ImageError), match=line) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_drawing_of_impossible_size_is_refused_before_it_is_made():
    for size in ((10**6, 10**6), (0, 5), (-4, -4)):
        with pytest.raises(ImageError, match="write the image's own size"):
            painted(size=size)


def test_an_outline_that_crosses_the_image_millions_of_times_is_refused_in_a_moment():
    points = np.random.default_rng(0).uniform(0, 4000, (100_000, 2))
    start = time.perf_counter()
    with pytest.raises(ImageError, match="millions of times"):
        painted(polygon(1, [points]), size=(4000, 6000))
    assert time.perf_counter() - start < 5
