"""Probabilities as the PNG of predictions.parquet."""

import io

import numpy as np
import pytest
from PIL import Image

from segstudy.core.classes import parse_classes
from segstudy.core.outputs import BINARY, outputs_of
from segstudy.store.probability_maps import probability_map, probability_png

OUTPUTS = {
    "binary": BINARY,
    "multiclass": outputs_of(parse_classes("background=0,disc=1,cup=2")),
    "multilabel": outputs_of(parse_classes("disc,cup")),
}


@pytest.mark.parametrize("task", OUTPUTS)
def test_a_map_comes_back_in_its_shape_and_in_256_steps(task):
    outputs = OUTPUTS[task]
    prob = np.random.default_rng(0).random(outputs.prob_shape(5, 7), np.float32)
    found = probability_map(probability_png(prob), outputs)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.round(prob * 255).astype(np.float32) / np.float32(255))


def test_classes_lie_one_below_the_other():
    prob = np.stack([np.full((2, 3), value, np.float32) for value in (0, 0.2, 1)])
    pixels = np.asarray(Image.open(io.BytesIO(probability_png(prob))))
    assert pixels.tolist() == [[value] * 3 for value in (0, 0, 51, 51, 255, 255)]


def test_a_map_of_other_classes_is_refused():
    with pytest.raises(ValueError, match="reshape"):
        probability_map(probability_png(np.zeros((2, 5, 7), np.float32)), OUTPUTS["multiclass"])
