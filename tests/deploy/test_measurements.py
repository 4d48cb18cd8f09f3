"""Measurements and clean-up of masks, against scikit-image-like slow references and drawn shapes."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from segstudy.data.mask_outline import outline
from segstudy.deploy.predict.clean_up import fill_holes, largest_component
from segstudy.deploy.predict.measurements import measured, polygons

EIGHT = np.ones((3, 3), int)
masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def probability(mask):
    return np.where(mask, np.float32(0.9), np.float32(0.2))


@settings(deadline=None)
@given(masks)
def test_numbers_agree_with_scipy(mask):
    found = measured(mask, probability(mask))
    assert found.area_px == mask.sum()
    assert found.num_parts == ndimage.label(mask, EIGHT)[1]
    if not mask.any():
        assert found.left_px is None
        assert found.centroid_x_px is None
        assert found.confidence == pytest.approx(0.8)
        return
    rows, columns = ndimage.find_objects(mask.astype(int))[0]
    assert (found.top_px, found.left_px) == (rows.start, columns.start)
    assert (found.height_px, found.width_px) == (rows.stop - rows.start, columns.stop - columns.start)
    assert (found.centroid_y_px, found.centroid_x_px) == pytest.approx(ndimage.center_of_mass(mask), abs=0.01)
    inner = np.pad(mask[1:-1, 1:-1], 1) if min(mask.shape) > 2 else np.zeros_like(mask)
    assert found.touches_border == bool((mask & ~inner).any() and (mask.sum() != inner.sum()))
    assert found.confidence == pytest.approx(0.9)


def of_the_whole_image(mask, prob):
    """The same numbers without a look at the bounding box alone: every bit is the same."""
    pixels = mask.view(np.uint8)
    contours, _ = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    moments = cv2.moments(pixels, binaryImage=True)
    return {
        "centroid_x_px": round(moments["m10"] / moments["m00"], 2),
        "centroid_y_px": round(moments["m01"] / moments["m00"], 2),
        "perimeter_px": round(sum(cv2.arcLength(each, closed=True) for each in contours), 1),
        "num_parts": int(cv2.connectedComponents(pixels, connectivity=8)[0]) - 1,
        "confidence": round(float(prob[mask].mean()), 4),
    }


@given(
    arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))),
    st.tuples(*[st.integers(0, 400)] * 4),
    st.integers(0, 99),
)
def test_the_bounding_box_has_all_numbers(inner, margins, seed):
    mask = np.pad(inner, (margins[:2], margins[2:]))
    prob = np.random.default_rng(seed).random(mask.shape, np.float32)
    found = measured(mask, prob)
    if inner.any():
        expected = of_the_whole_image(mask, prob)
        assert {name: getattr(found, name) for name in expected} == expected


@settings(deadline=None)
@given(masks)
def test_holes_are_what_the_border_does_not_reach(mask):
    assert np.array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


@settings(deadline=None)
@given(masks)
def test_the_largest_part_stays(mask):
    parts, count = ndimage.label(mask, EIGHT)
    sizes = ndimage.sum_labels(mask, parts, range(1, count + 1))
    kept = largest_component(mask)
    assert kept.sum() == (sizes.max() if count else 0)
    assert not (kept & ~mask).any()
    assert ndimage.label(kept, EIGHT)[1] == min(count, 1)


@settings(deadline=None)
@given(masks)
def test_polygons_drawn_again_give_the_mask(mask):
    import cv2

    drawn = np.zeros(mask.shape, np.uint8)
    for part in polygons(mask):
        cv2.fillPoly(drawn, [np.array(part["outer"], np.int32)], 1)
        # The points of a hole are the foreground around it.
        for hole in part["holes"]:
            inside = np.zeros(mask.shape, np.uint8)
            cv2.fillPoly(inside, [np.array(hole, np.int32)], 1)
            cv2.polylines(inside, [np.array(hole, np.int32)], isClosed=True, color=0)
            drawn[inside.view(np.bool_)] = 0
        for inner in polygons(mask):  # parts that lie in holes of others
            cv2.fillPoly(drawn, [np.array(inner["outer"], np.int32)], 1) if not inner["holes"] else None
    assert not (mask & ~drawn.view(np.bool_)).any()


def test_a_rectangle_in_numbers():
    mask = np.zeros((20, 30), np.bool_)
    mask[5:15, 10:25] = True
    found = measured(mask, probability(mask))
    assert (found.left_px, found.top_px, found.width_px, found.height_px) == (10, 5, 15, 10)
    assert (found.centroid_x_px, found.centroid_y_px) == (17.0, 9.5)
    assert found.perimeter_px == 2 * 14 + 2 * 9
    assert found.area_frac == pytest.approx(0.25)
    assert not found.touches_border
    assert polygons(mask) == [{"outer": [[10, 5], [10, 14], [24, 14], [24, 5]], "holes": []}]


def test_a_ring_has_one_hole():
    mask = np.zeros((20, 20), np.bool_)
    mask[3:17, 3:17] = True
    mask[8:12, 8:12] = False
    (part,) = polygons(mask)
    assert len(part["holes"]) == 1
    assert (
        measured(mask, probability(mask)).perimeter_px
        > measured(fill_holes(mask), probability(mask)).perimeter_px
    )


def test_an_outline_is_the_foreground_beside_the_background():
    mask = np.zeros((20, 20), np.bool_)
    mask[:10, 4:16] = True
    drawn = outline(mask)
    assert drawn[9, 4:16].all()
    assert drawn[:10, 4].all()
    assert not drawn[0, 5:15].any()  # the image's border is no background
    assert not (drawn & ~mask).any()
