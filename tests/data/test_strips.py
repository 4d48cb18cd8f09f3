"""Large images are converted strip by strip, smaller ones at once: both give the same bits."""

import numpy as np
import pytest
from PIL import Image

from segstudy.data import images, preprocess

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
PICTURES = {
    "RGB": Image.fromarray(PIXELS[..., :3]),
    "RGBA": Image.fromarray(PIXELS),
    "L": Image.fromarray(PIXELS[..., 0]),
    "LA": Image.fromarray(PIXELS).convert("LA"),
    "P": Image.fromarray(PIXELS[..., :3]).quantize(16),
    "1": Image.fromarray(PIXELS[..., 0]).convert("1"),
    "16 bits": Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257),
    "CMYK": Image.fromarray(PIXELS[..., :3]).convert("CMYK"),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_an_image_at_once_is_the_same_as_in_strips(tmp_path, monkeypatch, picture):
    file = tmp_path / ("x.tif" if picture == "CMYK" else "x.png")
    PICTURES[picture].save(file)
    whole = images.read_image(file)
    monkeypatch.setattr(images, "STRIP_PIXELS", 100)
    assert np.array_equal(images.read_image(file), whole)
    assert whole.flags.writeable


def test_a_transparent_colour_at_once_is_the_same_as_in_strips(tmp_path, monkeypatch):
    picture = Image.fromarray(PIXELS[..., :3])
    picture.save(tmp_path / "x.png", transparency=tuple(map(int, PIXELS[0, 0, :3])))
    whole = images.read_image(tmp_path / "x.png")
    assert not whole[0, 0].any()
    monkeypatch.setattr(images, "STRIP_PIXELS", 100)
    assert np.array_equal(images.read_image(tmp_path / "x.png"), whole)


def test_probabilities_at_once_are_the_same_as_in_strips(monkeypatch):
    prob = np.random.default_rng(0).random((16, 16), np.float32)
    whole = preprocess.prob_to_native(prob, (50, 70), "squash")
    monkeypatch.setattr(preprocess, "STRIP_PIXELS", 100)
    assert np.array_equal(preprocess.prob_to_native(prob, (50, 70), "squash"), whole)
    assert whole.flags.writeable
