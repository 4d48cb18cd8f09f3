"""Probabilities at an image's own size, one class at a time."""

import numpy as np
import pytest

from segstudy.core.outputs import BINARY, Outputs
from segstudy.data.native_probabilities import NativeProbabilities
from segstudy.data.preprocess import prob_to_native

NAMES = ("background", "disc", "cup")
NATIVE = (50, 41)


@pytest.mark.parametrize("resize", ["squash", "pad"])
@pytest.mark.parametrize("outputs", [Outputs("multiclass", NAMES), Outputs("multilabel", NAMES[1:])])
def test_each_class_is_resized_by_itself(outputs, resize):
    prob = np.random.default_rng(0).random(outputs.prob_shape(32, 32), np.float32)
    found = NativeProbabilities(prob, NATIVE, resize, outputs)
    expected = np.stack([prob_to_native(each, NATIVE, resize) for each in prob])
    assert np.array_equal(found.all(), expected)
    assert np.array_equal(found.of(1), expected[1])
    assert np.array_equal(found.decided(0.4), outputs.decide(expected, 0.4))


def test_one_foreground_is_resized_once():
    prob = np.random.default_rng(0).random((32, 32), np.float32)
    found = NativeProbabilities(prob, NATIVE, "pad", BINARY)
    assert found.of(1) is found.all()
    assert np.array_equal(found.decided(), prob_to_native(prob, NATIVE, "pad") >= 0.5)
