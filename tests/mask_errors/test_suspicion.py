"""The number that masks are ordered by: high where networks agree with each other, but not with the mask."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.mask_errors.predictions import ImagePredictions
from segstudy.mask_errors.suspicion import agreement_of, expected_iou

SIDE = (16, 16)


def square(top: int, left: int, side: int = 6) -> np.ndarray:
    mask = np.zeros(SIDE, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def image_with(mask: np.ndarray, *predicted: np.ndarray) -> ImagePredictions:
    return ImagePredictions("a", np.stack(predicted).astype(np.float32), mask)


def test_a_wrong_mask_is_more_suspicious_than_a_hard_image_and_a_right_one_is_not_suspicious():
    right, wrong = square(4, 4), square(4, 8)
    of_wrong = agreement_of(image_with(wrong, right, right))
    hard = agreement_of(image_with(wrong, square(4, 0), square(8, 8)))
    assert of_wrong.suspicion > 0.5 > hard.suspicion
    assert agreement_of(image_with(right, right, right)).suspicion == 0


def test_an_empty_mask_and_a_mask_of_nothing_are_suspicious_to_networks_that_agree():
    nothing = np.zeros(SIDE, bool)
    assert agreement_of(image_with(nothing, square(4, 4), square(4, 4))).suspicion == 1
    assert agreement_of(image_with(square(4, 4), nothing, nothing)).suspicion == 1
    assert agreement_of(image_with(square(4, 4), nothing)).suspicion == 1
    assert agreement_of(image_with(nothing, nothing)).suspicion == 0


def test_agreement_is_the_mean_iou_of_all_pairs():
    masks = [square(4, 4), square(4, 5), square(2, 2)]
    pairs = [(a & b).sum() / (a | b).sum() for a, b in itertools.combinations(masks, 2)]
    assert agreement_of(image_with(masks[0], *masks)).agreement == pytest.approx(np.mean(pairs))


@given(st.integers(0, 2**32 - 1))
def test_the_expected_iou_is_near_the_mean_over_masks_drawn_by_the_probabilities(seed):
    rng = np.random.default_rng(seed)
    prob = rng.beta(0.4, 0.4, (24, 24)).astype(np.float32)
    drawn = rng.random((200, 24, 24)) < prob
    predicted = prob >= 0.5
    ious = (drawn & predicted).sum((1, 2)) / (drawn | predicted).sum((1, 2))
    assert expected_iou(prob) == pytest.approx(ious.mean(), abs=0.01)
