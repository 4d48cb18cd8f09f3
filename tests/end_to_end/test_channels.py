"""A study on images with other numbers of channels, from their TIFFs to predictions and exported files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from empty_reports import empty_reports
from PIL import Image
from small import TINY, write_channels, write_dataset

import segstudy
from segstudy.config.protocol import Protocol
from segstudy.core.errors import UserError
from segstudy.deploy.engines.pytorch import open_run
from segstudy.deploy.export import onnx
from segstudy.deploy.predict.predictor import Predictor
from segstudy.store.card import read_card
from segstudy.store.folder import StudyFolder
from segstudy.store.weights import load_model

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
GRID = {"architecture": "unet", "loss": "bce", "batch_size": 4, "executor": "serial"}


@pytest.fixture(scope="module", params=[1, 4])
def made(request, tmp_path_factory) -> tuple[int, Path]:
    """The number of channels, and a folder with data and study."""
    place = tmp_path_factory.mktemp(f"channels{request.param}")
    write_channels(place / "data", request.param)
    options = TINY | GRID | {"epochs": 25, "lr": 0.01, "augmentation": "full"}
    with empty_reports():
        segstudy.run(place / "data", out=place / "study", channels=request.param, **options)
    return request.param, place


def run_of(place: Path) -> Path:
    (key,) = StudyFolder(place / "study").finished()
    return StudyFolder(place / "study").runs / key


def test_a_run_says_its_channels_and_has_a_first_layer_for_them(made):
    channels, place = made
    assert segstudy.verify(place / "study").faults == ()
    assert f"channels = {channels}\n" in (place / "study" / "study.toml").read_text()
    card = read_card(run_of(place) / "model.json")
    assert (card.channels, card.scale.channels, str(card.scale)) == (channels, channels, "0..4095")
    model, _ = load_model(run_of(place))
    assert next(model.parameters()).shape[1] == channels
    assert json.loads((run_of(place) / "run.json").read_text())["description"]["channels"] == channels


def test_it_is_up_to_date_when_it_is_run_again(made, no_report):
    channels, place = made
    before = run_of(place).stat().st_mtime_ns
    segstudy.run(place / "study")
    assert run_of(place).stat().st_mtime_ns == before
    if channels != 1:
        with pytest.raises(UserError, match="channels"):
            segstudy.run(place / "study", channels=1)


def test_the_last_channel_is_seen(made):
    _, place = made
    (record,) = StudyFolder(place / "study").run_records([run_of(place).name])
    assert record.summary.scores["test"]["native_iou"] > 0.5


def test_predictions_of_files_and_of_arrays_are_equal(made):
    channels, place = made
    predictor = Predictor(run_of(place), engine="torch")
    file = place / "data" / "images" / "disc00.tif"
    from segstudy.data.images import read_image

    pixels = read_image(file, scale=predictor.scale)
    assert pixels.shape[2] == channels
    np.testing.assert_array_equal(predictor(file).mask, predictor.of_pixels(pixels, pixels.shape[:2]).mask)
    with pytest.raises(UserError, match=rf"give pixels of {channels} channels, .*\(H, W, {channels}\)"):
        predictor(np.zeros((40, 40, 3), np.uint8))


def test_images_of_other_channels_are_refused_by_name(made, tmp_path):
    channels, place = made
    write_dataset(tmp_path / "colour", 4)
    rows = segstudy.predict(run_of(place), tmp_path / "colour" / "images", tmp_path / "out", engine="torch")
    wanted = f"has 3 channels, and the model takes images with {channels}"
    assert all(wanted in row["error"] for row in rows)


def test_overlays_and_the_report_show_a_stated_choice(made, tmp_path):
    channels, place = made
    images = place / "data" / "images"
    segstudy.predict(run_of(place), images, tmp_path, kinds=["overlay", "probability"], engine="torch")
    (first, *_) = sorted(tmp_path.rglob("*.jpg"))
    assert Image.open(first).mode == "RGB"
    page = segstudy.report(place / "study").read_text()
    assert "scale, brightness and contrast" in page
    said = "Images of 4 channels (pictures show the first three as red, green and blue)"
    assert (said if channels == 4 else "Images of 1 channel were resized") in page


@pytest.mark.slow
def test_the_exported_graph_takes_as_many_channels(made):
    channels, place = made
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx.onnx_of(run_of(place)))
    assert session.get_inputs()[0].shape[3] == channels
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 48, channels), np.uint8)
    (found,) = session.run(None, {"image": pixels})
    network = open_run(run_of(place), "n", precision="float32")
    np.testing.assert_allclose(found, network.probabilities(pixels), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("to", "int8"), [("onnx", False), ("openvino", False), ("openvino", True)])
def test_exported_files_give_the_same_masks(made, to, int8, tmp_path):
    channels, place = made
    file = tmp_path / ("m.onnx" if to == "onnx" else "m.xml")
    segstudy.export(place / "study", to=to, int8=int8, out=file)
    predictor = Predictor(file)
    assert predictor.scale.channels == channels
    assert predictor.networks[0].package.input.startswith(f"image of {channels} channels")
    mask = predictor(place / "data" / "images" / "disc00.tif").mask
    theirs = Predictor(run_of(place), engine="torch")(place / "data" / "images" / "disc00.tif").mask
    assert (mask == theirs).mean() > (0.95 if int8 else 0.995)


def test_three_channels_are_not_named_anywhere():
    assert Protocol(channels=3) == Protocol()
    assert Protocol(channels=3).channels is None
    assert Protocol(channels=4).numbers()["channels"] == 4


@pytest.mark.slow
def test_networks_that_are_not_ours_train_on_them(tmp_path):
    write_channels(tmp_path / "data", 4, 8)
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self, in_channels=3):\n"
        "        super().__init__(nn.Conv2d(in_channels, 1, 3, padding=1))\n"
    )
    options = TINY | GRID | {"architecture": f"{tmp_path / 'own.py'}:Net", "epochs": 1}
    study = segstudy.run(tmp_path / "data", out=tmp_path / "study", channels=4, images=False, **options)
    (key,) = StudyFolder(study.path).finished()
    model, _ = load_model(StudyFolder(study.path).runs / key, network=f"{tmp_path / 'own.py'}:Net")
    assert model(torch.rand(1, 4, 32, 32)).shape == (1, 1, 32, 32)
