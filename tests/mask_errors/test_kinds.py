"""Kinds of wrong masks: each planted kind is named, and a mask that is merely inexact is not."""

import numpy as np
import planted
import pytest

from segstudy.mask_errors.audit import _with_partners
from segstudy.mask_errors.kinds import KINDS, Case, best_kind

SIDE = (60, 80)
Y, X = np.mgrid[: SIDE[0], : SIDE[1]]


def blob(y: float, x: float, radius_y: float, radius_x: float) -> np.ndarray:
    """An ellipse with a bulge on one side, so that it is unlike its mirror images."""
    body = ((Y - y) / radius_y) ** 2 + ((X - x) / radius_x) ** 2 < 1
    return body | (((Y - y - radius_y) / 5) ** 2 + ((X - x - radius_x) / 9) ** 2 < 1)


TRUE = blob(22, 26, 12, 18)


def case(predicted: np.ndarray, mask: np.ndarray) -> Case:
    return Case(predicted, mask, planted.iou(predicted, mask))


def named(predicted: np.ndarray, mask: np.ndarray) -> str:
    kind, _ = best_kind(case(predicted, mask))
    return kind.name if kind else ""


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["mirrored", "shifted", "half missing"])
def test_a_planted_error_is_named(kind, seed):
    make = {"mirrored": planted.mirrored, "shifted": planted.shifted, "half missing": planted.half}[kind]
    mask = make(TRUE, np.random.default_rng(seed))
    near = blob(22, 26, 11, 19)  # networks are not exact
    assert named(near, mask) == kind


def test_an_empty_mask_is_named_and_a_full_agreement_is_not():
    assert named(TRUE, np.zeros(SIDE, bool)) == "empty"
    assert named(TRUE, TRUE) == ""
    assert named(np.zeros(SIDE, bool), TRUE) == ""
    assert named(np.zeros(SIDE, bool), np.zeros(SIDE, bool)) == ""


@pytest.mark.parametrize("radii", [(9, 14), (15, 22)])
def test_a_mask_that_is_too_small_or_too_large_all_around_has_no_kind(radii):
    assert named(TRUE, blob(22, 26, *radii)) == ""


def test_a_shift_is_found_over_all_distances():
    for y, x in ((-9, 0), (7, 12), (20, -10), (30, 40)):
        mask = np.zeros(SIDE, bool)
        inside = (slice(max(0, y), SIDE[0] + min(0, y)), slice(max(0, x), SIDE[1] + min(0, x)))
        origin = (slice(max(0, -y), SIDE[0] + min(0, -y)), slice(max(0, -x), SIDE[1] + min(0, -x)))
        mask[inside] = TRUE[origin]
        assert KINDS["shifted"].explained(case(TRUE, mask)) == pytest.approx(1)


def test_two_masks_are_swapped_only_if_both_would_fit_better():
    other, third = blob(38, 50, 8, 20), blob(30, 30, 20, 10)
    swapped = {"a": case(TRUE, other), "b": case(other, TRUE), "c": case(third, blob(30, 31, 18, 10))}
    found = _with_partners(swapped)
    assert (found["a"].partner, found["b"].partner, found["c"].partner) == ("b", "a", "")
    assert {name: best_kind(each)[0].name for name, each in found.items() if name != "c"} == {
        "a": "swapped",
        "b": "swapped",
    }
    copied = _with_partners({"a": case(TRUE, other), "b": case(other, other)})
    assert copied["a"].partner == "", "the other mask is right where it is"
