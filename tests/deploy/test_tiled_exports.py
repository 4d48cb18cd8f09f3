"""Exported files of models whose images are not resized: the same blended masks by every engine."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import CLASSES, write_channels, write_classes, write_dataset
from tiled_models import TILE, picture, tiled_model

import segstudy
from segstudy.core.errors import UserError
from segstudy.core.windowing import Windowing
from segstudy.data.windows import cut, whole
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.export import parity
from segstudy.deploy.predict.predictor import Predictor
from segstudy.store.card import read_card
from segstudy.store.trained_models import one_run

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiled")
    write_dataset(folder / "data", n=8)
    tiled_model(folder / "model")
    return folder


@pytest.fixture(scope="module")
def exported(place: Path) -> Path:
    return segstudy.export(place / "model", "onnx", data=place / "data", out=place / "m.onnx").file


def test_masks_are_compared_as_they_are_predicted(place: Path, exported: Path, monkeypatch) -> None:
    (found,) = json.loads(exported.with_name("m.onnx.parity.json").read_text())
    assert (found["num_images"], found["passed"]) == (4, True)
    ious = []
    for image in sorted((place / "data" / "images").iterdir())[::2]:
        mask = Predictor(exported)(image).mask
        truth = np.asarray(Image.open(place / "data" / "masks" / image.name)) > 0
        ious.append((mask & truth).sum() / (mask | truth).sum())
    assert found["iou"] == pytest.approx(np.mean(ious))
    honest = parity.open_exported

    def inverted(file, precision):
        network = honest(file, precision=precision)
        return replace(network, forward=lambda images: 1 - network.forward(images))

    monkeypatch.setattr(parity, "open_exported", inverted)
    with pytest.raises(UserError, match=r"not exported: .* of the pixels differ"):
        segstudy.export(place / "model", "onnx", data=place / "data", out=place / "n.onnx")
    assert not list(place.glob("n*"))


def test_the_file_says_how_its_graph_is_used(place: Path, exported: Path) -> None:
    network = open_exported(exported)
    package = network.package
    assert package.card == read_card(place / "model" / "model.json")
    assert package.input == (
        "RGB window at the image's own size, uint8, (N, H, W, 3); see card.image_size and card.overlap"
    )
    assert package.output == (
        "foreground probability, float32, (N, H, W); blend the windows as segstudy.data.windows does, then "
        "threshold"
    )
    assert "| overlap | 8 |" in package.text
    assert "segmented in windows at their own resolution" in package.text
    pixels = picture(75, 101)
    found = whole(
        Windowing(package.card.image_size, package.card.overlap).of((75, 101)),
        lambda places: network.forward(np.stack([cut(pixels, each, (TILE, TILE)) for each in places])),
    )
    np.testing.assert_allclose(found, Predictor(exported)(pixels).probability, atol=1e-6)


@pytest.mark.slow
def test_every_engine_gives_the_same_mask(place: Path, exported: Path) -> None:
    pixels = picture(75, 101)
    expected = Predictor(place / "model", engine="torch", precision="float32")(pixels)
    for model, engine in ((exported, "auto"), (exported, "openvino"), (place / "model", "openvino")):
        found = Predictor(model, engine=engine, precision="float32")(pixels)
        np.testing.assert_allclose(found.probability, expected.probability, atol=1e-4)
        assert (found.mask != expected.mask).mean() <= 1e-3


@pytest.mark.slow
def test_int8_is_calibrated_on_tiles(place: Path, monkeypatch) -> None:
    seen, honest = [], parity.calibration_images

    def calibration(samples, train):
        seen.append(honest(samples, train))
        return seen[-1]

    monkeypatch.setattr(parity, "calibration_images", calibration)
    monkeypatch.setattr(parity, "MAX_IOU_DROP", 1)  # weights of no training lose more than those of one
    found = segstudy.export(place / "model", "openvino", int8=True, data=place / "data", out=place / "i.xml")
    (tiles,) = seen
    models = one_run(place / "model")
    images = parity.gate_images(models, models.records()[0], place / "data")
    assert tiles.shape == (sum(len(images.samples.windows(i)) for i in images.calibration), TILE, TILE, 3)
    assert open_exported(found.file).package.precision == "int8"
    assert Predictor(found.file)(picture(75, 101)).mask.shape == (75, 101)


@pytest.mark.slow
def test_classes_and_channels_have_the_same_masks_too(tmp_path: Path) -> None:
    write_classes(tmp_path / "classes", n=8)
    write_channels(tmp_path / "four", 4, n=8)
    write_channels(tmp_path / "one", 1, n=8)
    training = {"numerics": {"preprocessing": 1, "architecture": 1}}
    named, deep = training | {"classes": CLASSES}, training | {"intensity": "0..4095"}
    models = {
        "classes": tiled_model(tmp_path / "m3", classes=CLASSES, training=named),
        "four": tiled_model(tmp_path / "m4", channels=4, training=deep),
        "one": tiled_model(tmp_path / "m1", channels=1, training=deep),
    }
    for name, model in models.items():
        for to, suffix in (("onnx", "onnx"), ("openvino", "xml")):
            found = segstudy.export(model, to, data=tmp_path / name, out=tmp_path / f"{name}.{suffix}")
            assert found.parity[0].passed, (name, to)
            image = next((tmp_path / name / "images").iterdir())
            ours, theirs = (Predictor(each, precision="float32")(image).mask for each in (found.file, model))
            assert (ours != theirs).mean() <= 1e-3, (name, to)
