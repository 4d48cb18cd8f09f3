"""Predictions and masks of images that are not resized: both at one size, and not too large."""

from pathlib import Path

import numpy as np
import pytest
from fake_data import save

from segstudy.core.intensity import FULL
from segstudy.core.mask_rules import USUAL, MaskMeaning
from segstudy.core.windowing import Windowing
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.samples import Sample
from segstudy.mask_errors import predictions
from segstudy.mask_errors.predictions import _tested
from segstudy.store.probability_maps import probability_png


def tiled(folder: Path, mask: np.ndarray, meaning: MaskMeaning = USUAL):
    image = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), np.uint8)
    sample = Sample("a", save(folder / "a.png", image), save(folder / "a_mask.png", mask), "a")
    made = prepare([sample], fingerprint([sample]), (32, 32), "tiles", meaning, FULL)
    return open_prepared(made, Windowing((32, 32), 8))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))


def half(size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[:, : size[1] // 2] = 255
    return mask


def test_a_small_image_is_compared_at_its_own_size(tmp_path: Path) -> None:
    mask = half((40, 61))
    prob = np.where(mask > 0, np.float32(1), np.float32(0))
    found = _tested("a", [probability_png(prob)] * 2, tiled(tmp_path, mask), 0)
    assert found.probs.shape == (2, 40, 61)
    assert np.array_equal(found.mask, mask > 0)
    assert np.array_equal(found.predicted, found.mask)


def test_a_large_one_is_reduced_with_the_probabilities(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(predictions, "MOST_PX", 50)
    stored = np.where(half((30, 100)) > 0, np.float32(1), np.float32(0))  # smaller than the image, too
    found = _tested("a", [probability_png(stored)], tiled(tmp_path, half((60, 200))), 0)
    assert found.probs.shape == (1, 15, 50)
    assert np.array_equal(found.mask, half((15, 50)) > 0)
    assert np.array_equal(found.predicted, found.mask)


def test_pixels_to_ignore_are_foreground_of_nobody(tmp_path: Path) -> None:
    mask = half((40, 60))
    mask[:10] = 7
    prob = np.ones((40, 60), np.float32)
    found = _tested(
        "a", [probability_png(prob)], tiled(tmp_path, mask, MaskMeaning(foreground=(255,), ignore=(7,))), 0
    )
    assert not found.predicted[:10].any()
    assert found.predicted[10:].all()
    assert not found.mask[:10].any()
