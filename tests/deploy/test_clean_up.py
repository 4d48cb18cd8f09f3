"""The clean-up of masks with several classes, each by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segstudy.core.outputs import Outputs
from segstudy.deploy.predict.clean_up import can_clean_up, fill_holes, largest_component

TWO = Outputs("multiclass", ("background", "disc"))
THREE = Outputs("multiclass", ("background", "disc", "cup"))
OVERLAPPING = Outputs("multilabel", ("disc", "cup"))
masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))
numbers = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2))


@pytest.mark.parametrize("clean", [fill_holes, largest_component])
@given(mask=masks)
def test_two_classes_are_cleaned_up_as_foreground_and_background(clean, mask):
    assert np.array_equal(clean(mask.astype(np.uint8), TWO), clean(mask))


@pytest.mark.parametrize("clean", [fill_holes, largest_component])
@given(mask=numbers)
def test_overlapping_classes_are_cleaned_up_one_by_one(clean, mask):
    found = clean(mask.astype(np.uint16), OVERLAPPING)
    for number in range(2):
        assert np.array_equal(OVERLAPPING.plane(found, number), clean((mask >> number & 1).astype(np.bool_)))


@given(numbers)
def test_the_largest_part_of_each_class_stays(mask):
    found = largest_component(mask, THREE)
    for number in (1, 2):
        assert np.array_equal(found == number, largest_component(mask == number))


@given(numbers)
def test_a_hole_is_background_that_a_class_encloses(mask):
    found = fill_holes(mask, THREE)
    assert np.array_equal(found[mask > 0], mask[mask > 0])  # classes within others stay
    for number in (1, 2):
        inside = fill_holes(mask == number) & (mask == 0)
        assert (found[inside] > 0).all()
        assert (fill_holes(mask == number) >= (found == number)).all()


def test_of_two_classes_around_a_hole_the_inner_one_fills_it():
    mask = np.zeros((11, 11), np.uint8)
    mask[1:10, 1:10] = 1
    mask[3:8, 3:8] = 2
    mask[5, 5] = 0
    mask[2, 2] = 0
    found = fill_holes(mask, THREE)
    assert found[5, 5] == 2
    assert found[2, 2] == 1
    assert np.array_equal(found == 0, np.pad(np.zeros((9, 9), bool), 1, constant_values=True))


def test_exclusive_classes_without_background_cannot_be_cleaned_up():
    assert not can_clean_up(Outputs("multiclass", ("disc", "cup")))
    assert can_clean_up(THREE)
    assert can_clean_up(OVERLAPPING)
