"""Models of several classes as exported files: the same masks by every engine, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from empty_reports import empty_reports
from small import TINY, write_classes
from torch import nn

import segstudy
from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY, Outputs
from segstudy.deploy.engines.exported import open_exported
from segstudy.deploy.engines.pytorch import Deployed
from segstudy.deploy.export import onnx, parity
from segstudy.deploy.predict.predictor import Predictor
from segstudy.store.folder import StudyFolder

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
EXCLUSIVE = Outputs("multiclass", ("background", "disc", "cup"), has_ignored=True)
OVERLAPPING = Outputs("multilabel", ("disc", "cup"))


@pytest.mark.parametrize("outputs", [BINARY, EXCLUSIVE, OVERLAPPING], ids=lambda each: each.task)
def test_the_activation_is_within_the_deployed_network(outputs):
    logits = nn.Conv2d(3, outputs.num_channels, 1)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    with torch.inference_mode():
        found = Deployed(logits, outputs)(torch.from_numpy(pixels)).numpy()
        expected = logits(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255).numpy()
    assert found.shape == (2, *outputs.prob_shape(5, 7))
    assert found.dtype == np.float32
    if outputs.task == "multiclass":
        expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    else:
        expected = 1 / (1 + np.exp(-expected))
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-6)


def trained(folder: Path, **options: object) -> Path:
    options = (
        TINY
        | {"architecture": ["unet"], "loss": ["bce"], "batch_size": [4], "epochs": 12, "lr": [0.01]}
        | options
    )
    out = folder / "study"
    with empty_reports():
        segstudy.run(folder / "data", protocol="classic", out=out, images=False, workers=1, **options)
    return out


@pytest.fixture(scope="module", params=["multiclass", "multilabel"])
def study(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    overlapping = request.param == "multilabel"
    write_classes(folder / "data", overlapping=overlapping, void=not overlapping)
    classes = (
        {"classes": "disc,cup"} if overlapping else {"classes": "background=0,disc=1,cup=2", "ignore": "255"}
    )
    return trained(folder, **classes)


@pytest.fixture(scope="module")
def exported(study) -> Path:
    return segstudy.export(study, "onnx", out=study / "m.onnx").file


@pytest.mark.slow
def test_every_engine_gives_the_same_masks(study, exported):
    segstudy.export(study, "openvino", out=study / "m.xml")
    image = next((study.parent / "data" / "images").iterdir())
    expected = Predictor(study, engine="torch", precision="float32")(image)
    assert expected.probability.ndim == 3
    for model, engine in (
        (exported, "auto"),
        (exported, "openvino"),
        (study / "m.xml", "auto"),
        (study, "openvino"),
    ):
        found = Predictor(model, engine=engine, precision="float32")(image)
        assert found.mask.dtype == expected.mask.dtype
        assert (found.mask != expected.mask).mean() <= 1e-3
        np.testing.assert_allclose(found.probability, expected.probability, atol=1e-4)


@pytest.mark.slow
def test_predicted_masks_score_as_the_run_did(study):
    home = StudyFolder(study)
    (record,) = home.run_records(home.finished())
    images = study.parent / "data" / "images"
    segstudy.predict(study, images, study.parent / "p", engine="torch", precision="float32")
    (found,) = segstudy.score(study.parent / "data", study.parent / "p" / "masks", study, "own")
    for part in ("validation", "test"):
        expected = record.summary.scores[part]
        assert found["scores"][part]["iou"]["mean"] == pytest.approx(expected["native_iou"], abs=1e-9)


@pytest.mark.slow
def test_the_file_says_what_its_classes_are(study, exported):
    package = json.loads(segstudy.card(exported, "json"))
    overlapping = "multilabel" in str(study)
    assert package["classes"] == (["disc", "cup"] if overlapping else ["background", "disc", "cup"])
    assert (
        package["metric"] == f"mean per-image IoU over {'classes' if overlapping else 'foreground classes'}"
    )
    assert "(N, K, H, W)" in package["output"]
    assert ("threshold" in package["output"]) == overlapping
    card = segstudy.card(study)
    assert card == package["text"]
    assert "Test scores of each class" in card
    assert ("| ignored mask values | 255 |" in card) != overlapping


@pytest.mark.slow
def test_int8_is_calibrated_and_compared(study, monkeypatch):
    monkeypatch.setattr(parity, "MAX_IOU_DROP", 1.0)  # a network of two channels may lose more than the limit
    done = segstudy.export(study, "onnx", int8=True, out=study / "small.onnx")
    assert [each.engine for each in done.parity] == ["ONNX Runtime, int8"]
    assert done.parity[0].flipped_frac < 0.2


@pytest.mark.slow
def test_a_file_with_its_classes_in_another_order_is_refused(study, monkeypatch, tmp_path):
    real = onnx.load_model

    def turned(*arguments, **options):
        model, card = real(*arguments, **options)
        with torch.no_grad():
            for each in model.head.parameters():
                each.copy_(each.flip(0))
        return model, card

    monkeypatch.setattr(onnx, "load_model", turned)
    with pytest.raises(UserError, match=r"not exported: ONNX Runtime, float32: .* of the pixels differ"):
        segstudy.export(study, "onnx", out=tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_model_of_one_foreground_and_ignored_pixels_gives_plain_masks(tmp_path):
    write_classes(tmp_path / "data", void=True)
    study = trained(tmp_path, foreground="1+2", ignore="255")
    file = segstudy.export(study, "onnx", out=tmp_path / "m.onnx").file
    mask, probability = Predictor(file)(next((tmp_path / "data" / "images").iterdir()))
    assert mask.dtype == np.bool_
    assert np.array_equal(mask, probability >= 0.5)
    network = open_exported(file)
    assert network.card.outputs.has_ignored
    assert not network.outputs.has_ignored
    assert "| ignored mask values | 255 |" in segstudy.card(file)
