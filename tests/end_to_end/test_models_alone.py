"""model.json and model.safetensors are a model wherever they lie; what else is known is used."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import segstudy
from segstudy.core.errors import UserError
from segstudy.deploy.predict.load import models_of
from segstudy.deploy.predict.predictor import Predictor

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
NOISE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
MODEL = ("model.json", "model.safetensors")


@pytest.fixture(scope="module")
def run(trained_study) -> Path:
    best = models_of(trained_study).best()
    return best.folder(best.records()[0])


@pytest.fixture(params=["the model's two files", pytest.param("the run's folder", marks=pytest.mark.slow)])
def copy(run, tmp_path, request) -> Path:
    if request.param == "the run's folder":
        return shutil.copytree(run, tmp_path / "elsewhere" / "any name")
    (tmp_path / "bare").mkdir()
    for name in MODEL:
        shutil.copy(run / name, tmp_path / "bare")
    return tmp_path / "bare"


def test_it_predicts_as_within_its_study(run, copy, trained_study, tmp_path):
    for engine in ("torch", "openvino"):
        expected = Predictor(run, engine=engine, precision="float32")(NOISE)
        assert np.array_equal(Predictor(copy, engine=engine, precision="float32")(NOISE).mask, expected.mask)
    image = trained_study.parent / "discs" / "images" / "disc00.png"
    (row,) = segstudy.predict(copy, image, tmp_path / "out")
    assert not row["error"]


def test_its_card_says_what_is_known(run, copy):
    about, whole = (json.loads(segstudy.card(each, "json")) for each in (copy, run))
    for name in ("key", "architecture", "loss", "seed", "selection"):
        assert about[name] == whole[name], name
    assert about["data"]["fingerprint"] == whole["data"]["fingerprint"]
    assert about["data"]["name"] is None
    has_tables = (copy / "run.json").exists()
    assert (about["environment"] == whole["environment"]) == has_tables
    for name, score in whole["scores"]["test"].items():
        assert about["scores"]["test"][name]["mean"] == pytest.approx(score["mean"], abs=1e-9), name
    text = segstudy.card(copy)
    assert "not a medical device" in text
    assert "None" not in text


def test_export_asks_for_images_and_is_never_without_them(copy, trained_study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"outside of its study, so say with --data"):
        segstudy.export(copy, "onnx")
    assert not list(tmp_path.glob("*.onnx"))
    made = segstudy.export(copy, "onnx", data=trained_study.parent / "discs")
    assert made.file.resolve().parent == tmp_path
    (found,) = made.parity
    assert found.passed
    if (copy / "run.json").exists():
        assert (found.images, found.num_images) == ("test images", 6)
    else:
        assert (found.images, found.num_images) == ("images of discs", 12)
    assert np.array_equal(Predictor(made.file)(NOISE).mask, Predictor(copy, precision="float32")(NOISE).mask)


def test_evaluate_needs_its_study_and_says_why(copy, trained_study):
    with pytest.raises(UserError, match=r"outside of its study, .*which images it was trained on.*runs/"):
        segstudy.evaluate(copy, trained_study.parent / "discs")


def test_run_json_of_another_run_is_refused(run, tmp_path):
    other = next(each for each in run.parent.iterdir() if each != run)
    copy = shutil.copytree(run, tmp_path / "mixed")
    shutil.copy(other / "run.json", copy)
    with pytest.raises(UserError, match="belong to different runs"):
        Predictor(copy)


def test_a_folder_without_a_model_says_what_a_model_is(tmp_path, run):
    with pytest.raises(UserError, match=r"model\.json and model\.safetensors"):
        Predictor(tmp_path)
    shutil.copy(run / "model.json", tmp_path)
    with pytest.raises(UserError, match=r"model\.safetensors: "):
        Predictor(tmp_path)
