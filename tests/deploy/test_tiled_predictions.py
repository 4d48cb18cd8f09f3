"""Predictions of models whose images are not resized: windows at native size, blended."""

import csv
from pathlib import Path

import numpy as np
import pytest
from class_networks import EXCLUSIVE, OVERLAPPING, eye, network
from PIL import Image
from tiled_models import OVERLAP, TILE, picture, tiled_model

from segstudy.core.errors import UserError
from segstudy.core.windowing import Windowing
from segstudy.data.windows import cut, whole
from segstudy.deploy.engines.base import Network
from segstudy.deploy.predict.folder import predict_files
from segstudy.deploy.predict.inputs import find_images
from segstudy.deploy.predict.predictor import Predictor, Settings

TILED = {"resize": "tiles", "overlap": OVERLAP}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiled_model(tmp_path_factory.mktemp("tiled") / "model")


def torch_predictor(model: Path, **options: object) -> Predictor:
    return Predictor(model, engine="torch", precision="float32", **options)


def test_probabilities_are_the_blended_ones_of_all_windows(model: Path) -> None:
    predictor = torch_predictor(model)
    pixels = picture(75, 101)
    (net,) = predictor.networks

    def one_by_one(places):
        return np.concatenate([net.probabilities(cut(pixels, place, (TILE, TILE))[None]) for place in places])

    expected = whole(Windowing((TILE, TILE), OVERLAP).of((75, 101)), one_by_one)
    found = predictor(pixels)
    np.testing.assert_allclose(found.probability, expected, atol=1e-6)
    assert np.array_equal(found.mask, found.probability >= 0.5)
    assert found.probability.std() > 0.02  # else it says nothing


def test_an_image_smaller_than_a_tile_has_a_mask_of_its_own_size(model: Path) -> None:
    found = torch_predictor(model)(picture(20, 27))
    assert found.mask.shape == found.probability.shape == (20, 27)


def test_files_and_arrays_are_one_and_keep_every_pixel(model: Path, tmp_path: Path) -> None:
    pixels = picture(400, 300)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    decoded = np.asarray(Image.open(tmp_path / "a.jpg"))
    predictor = torch_predictor(model)
    assert np.array_equal(predictor(tmp_path / "a.jpg").probability, predictor(decoded).probability)


@pytest.mark.parametrize(("classes", "shape"), [(EXCLUSIVE, (3, 64, 96)), (OVERLAPPING, (2, 64, 96))])
def test_a_network_that_sees_pixels_alone_gives_the_classes_of_each_pixel(classes: str, shape) -> None:
    found = Predictor([network(classes, **TILED)])(eye())
    pixels = eye().astype(np.float32)
    if classes == EXCLUSIVE:
        expected = np.moveaxis((pixels + 1) / (pixels + 1).sum(axis=2, keepdims=True), -1, 0)
    else:
        expected = np.moveaxis(pixels[..., 1:] / 255, -1, 0)
    assert found.probability.shape == shape
    np.testing.assert_allclose(found.probability, expected, atol=1e-6)


def test_flips_and_turns_of_each_window_come_back_in_place() -> None:
    plain, turned = (Predictor([network(EXCLUSIVE, **TILED)], Settings(tta=tta)) for tta in (False, True))
    np.testing.assert_allclose(turned(eye()).probability, plain(eye()).probability, atol=1e-6)


@pytest.mark.parametrize("other", [{}, TILED | {"overlap": 4}, TILED | {"image_size": 48}])
def test_models_of_other_windows_are_no_ensemble(other) -> None:
    with pytest.raises(UserError, match=r"windows, .* cannot be an ensemble"):
        Predictor([network(EXCLUSIVE, **TILED), network(EXCLUSIVE, **other)])
    both = Predictor([network(EXCLUSIVE, **TILED)] * 2)
    assert both(eye()).probability.shape == (3, 64, 96)


def test_few_windows_pass_the_network_at_a_time() -> None:
    def numbers(size: int) -> set[int]:
        seen: set[int] = set()
        plain = network(EXCLUSIVE, **TILED, image_size=size)

        def forward(images):
            seen.add(len(images))
            return plain.forward(images)

        Predictor([Network(plain.card, "x", "y", forward)])(eye(100, 2100))
        return seen

    assert numbers(32) == {4, 3}
    assert numbers(1024) == {1}


@pytest.mark.parametrize("threads", [1, 3])
def test_files_of_a_folder_get_masks_of_their_size(model: Path, tmp_path: Path, threads: int) -> None:
    (tmp_path / "in").mkdir()
    for name, size in (("a.png", (75, 101)), ("b.jpg", (20, 27)), ("c.png", (40, 200))):
        Image.fromarray(picture(*size)).save(tmp_path / "in" / name)
    out, predictor = tmp_path / "out", torch_predictor(model)
    predict_files(
        predictor, find_images([tmp_path / "in"]), out, ("probability", "overlay", "objects"), threads
    )
    with (out / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["error"] for row in rows] == [""] * 3
    for name in ("a.png", "b.jpg", "c.png"):
        expected = predictor(tmp_path / "in" / name)
        mask = np.asarray(Image.open(out / "masks" / f"{name[0]}.png"))
        assert np.array_equal(mask, 255 * expected.mask.astype(np.uint8))
        prob = np.asarray(Image.open(out / "probability" / f"{name[0]}.png"))
        assert np.array_equal(prob, np.rint(expected.probability * 255))


def test_an_interrupted_prediction_ends_within_an_image(tmp_path: Path) -> None:
    seen = []
    plain = network(EXCLUSIVE, **TILED)

    def forward(images):
        seen.append(len(images))
        return plain.forward(images)

    def stop(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    Image.fromarray(eye(40, 40)).save(tmp_path / "a.png")
    Image.fromarray(eye(2000, 1000)).save(tmp_path / "b.png")
    predictor = Predictor([Network(plain.card, "x", "y", forward)])
    all_windows = sum(len(predictor.windowing.of(size)) for size in ((40, 40), (2000, 1000)))
    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, find_images([tmp_path]), tmp_path / "out", (), 2, progress=stop)
    assert sum(seen) < all_windows
