"""The decision of masks from probabilities, for every task."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.core.outputs import BINARY, Outputs

NAMES = ("background", "disc", "cup")
TASKS = (BINARY, Outputs("multiclass", NAMES), Outputs("multilabel", NAMES[1:]))


def probabilities(outputs, seed):
    """With equal ones among them."""
    drawn = np.random.default_rng(seed).integers(0, 5, outputs.prob_shape(6, 7))
    return (drawn / 4).astype(np.float32)


@given(st.integers(0, 50))
def test_the_most_probable_class_is_decided_and_of_equal_ones_the_first(seed):
    prob = probabilities(TASKS[1], seed)
    assert np.array_equal(TASKS[1].decide(prob), prob.argmax(axis=0))
    assert TASKS[1].decide(prob).dtype == np.uint8


@given(st.integers(0, 50), st.sampled_from([0.25, 0.5]))
def test_overlapping_classes_are_decided_each_by_the_threshold(seed, threshold):
    prob = probabilities(TASKS[2], seed)
    mask = TASKS[2].decide(prob, threshold)
    for number in range(2):
        assert np.array_equal(TASKS[2].plane(mask, number), prob[number] >= threshold)


@pytest.mark.parametrize("outputs", TASKS, ids=lambda each: each.task)
def test_further_axes_may_stand_in_front(outputs):
    prob = np.stack([probabilities(outputs, seed) for seed in range(3)])
    assert np.array_equal(outputs.decide(prob), np.stack([outputs.decide(each) for each in prob]))


def test_a_prediction_ignores_nothing():
    ignoring = Outputs("binary", BINARY.names, has_ignored=True)
    assert ignoring.mask_dtype is np.uint8
    assert ignoring.without_ignored == BINARY
