"""Small masks of several classes."""

import io

import numpy as np
import pytest
from PIL import Image

from segstudy.core.outputs import IGNORED, IGNORED_BITS, Outputs
from segstudy.data.thumbnails import read_small_mask

SEVERAL = Outputs("multiclass", ("background", "disc", "cup"), has_ignored=True)
OVERLAPPING = Outputs("multilabel", ("disc", "cup"), has_ignored=True)


def png(mask: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("outputs", "values"),
    [
        (Outputs(), [False, True, True]),
        (Outputs(has_ignored=True), [0, 1, IGNORED]),
        (SEVERAL, [0, 2, IGNORED]),
        (OVERLAPPING, [1, 3, IGNORED_BITS]),
    ],
)
def test_a_mask_comes_back_as_it_was_and_keeps_its_values_when_it_is_larger(outputs, values):
    mask = np.repeat(np.array([values], outputs.mask_dtype), 4, axis=1).repeat(6, axis=0)
    assert np.array_equal(read_small_mask(png(mask), outputs), mask)
    larger = read_small_mask(png(mask), outputs, (24, 12))
    assert larger.shape == (12, 24)
    assert larger.dtype == outputs.mask_dtype
    assert set(np.unique(larger)) == set(np.unique(mask))


def test_edges_between_classes_stay_where_they_are():
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 2
    larger = read_small_mask(png(mask), SEVERAL, (32, 32))
    assert (larger == 2).mean() == pytest.approx(0.5)
    assert set(np.unique(larger)) == {0, 2}
