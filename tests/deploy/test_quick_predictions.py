"""Few images are predicted without a conversion, and results are continued by the engine that began them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segstudy
from segstudy.core.cache import cache_folder
from segstudy.core.errors import UserError
from segstudy.deploy.predict import best_run, trained
from segstudy.deploy.predict.load import models_of, open_networks
from segstudy.deploy.predict.options import PredictOptions
from segstudy.store.folder import StudyFolder

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # exporters warn of what is none of ours
    pytest.mark.skipif(len(trained.engines_for_runs()) < 2, reason="no OpenVINO here"),
]


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    """No network is converted; there is no GPU."""
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(trained, "has_gpu", lambda: False)
    monkeypatch.setattr(best_run, "has_gpu", lambda: False)


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def engine_of(out: Path) -> str:
    return str(json.loads((out / "predictions.json").read_text())["engine"]).partition(",")[0]


def converted() -> list[Path]:
    return list(cache_folder().glob("networks/*/model.xml"))


def test_few_images_are_predicted_without_a_conversion(trained_study, images, tmp_path):
    segstudy.predict(trained_study, images, tmp_path / "out")
    assert engine_of(tmp_path / "out") == "PyTorch"
    assert not converted()


def test_many_images_are_worth_a_conversion_and_few_ones_use_it_afterwards(
    trained_study, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(trained, "FEW_IMAGES", 2)
    segstudy.predict(trained_study, images, tmp_path / "many")
    assert engine_of(tmp_path / "many") == "OpenVINO"
    assert converted()
    segstudy.predict(trained_study, images / "0.png", tmp_path / "one")
    assert engine_of(tmp_path / "one") == "OpenVINO"


def test_results_are_continued_by_their_engine(trained_study, images, tmp_path, monkeypatch):
    out = tmp_path / "out"
    segstudy.predict(trained_study, images / "0.png", out)
    monkeypatch.setattr(trained, "FEW_IMAGES", 0)  # now the same call would convert
    found = segstudy.predict(trained_study, images, out)
    assert engine_of(out) == "PyTorch"
    assert [row["error"] for row in found] == ["", "", ""]
    with pytest.raises(UserError, match=r"with another engine \(PyTorch, .*\); choose another folder"):
        segstudy.predict(trained_study, images, out, engine="openvino")
    assert not converted()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_results_of_another_rounding_are_not_continued(trained_study, images, tmp_path, engine):
    """An earlier version computed otherwise in bfloat16, under the same name of the engine."""
    out = tmp_path / "out"
    file = out / "predictions.json"
    call = {"engine": engine, "precision": "bfloat16"}
    segstudy.predict(trained_study, images / "0.png", out, **call)
    segstudy.predict(trained_study, images / "1.png", out, **call)
    settings = json.loads(file.read_text())
    if not settings["engine"].endswith("bfloat16"):
        pytest.skip("no bfloat16 here")
    assert settings.pop("arithmetic") == 2
    file.write_text(json.dumps(settings))  # as an earlier version wrote it
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"were rounded in another way, .* choose another folder with --out"):
        segstudy.predict(trained_study, images, out, **call)
    assert file.read_bytes() == before
    segstudy.predict(
        trained_study, images / "0.png", tmp_path / "float32", engine=engine, precision="float32"
    )
    assert "arithmetic" not in json.loads((tmp_path / "float32" / "predictions.json").read_text())


@pytest.mark.slow
def test_an_ensemble_is_of_one_engine(trained_study, tmp_path, monkeypatch):
    """Also if only some of its runs are converted."""
    models = models_of(trained_study)
    keys = tuple(sorted(models.home.finished()))[:2]
    some = replace(models, keys=keys)
    open_networks(models.home.runs / keys[0], PredictOptions("openvino"))
    networks = trained.open_trained(some, PredictOptions(num_images=1))
    assert [each.engine.partition(",")[0] for each in networks] == ["PyTorch", "PyTorch"]


def test_the_engine_is_printed(trained_study, images, tmp_path, capsys):
    from segstudy.cli.studies import main

    with pytest.raises(SystemExit):
        main(["predict", str(trained_study), str(images), "--out", str(tmp_path / "out")])
    assert " (PyTorch, " in capsys.readouterr().out


def test_a_conversion_is_said_while_the_command_waits_for_it(
    trained_study, images, tmp_path, monkeypatch, capsys
):
    from segstudy.cli.studies import main

    monkeypatch.setattr(trained, "FEW_IMAGES", 0)
    errors = []
    for number in range(2):
        with pytest.raises(SystemExit):
            main(["predict", str(trained_study), str(images), "--out", str(tmp_path / str(number))])
        errors.append(" ".join(capsys.readouterr().err.split()))
    assert " for OpenVINO; this takes some seconds, and once only" in errors[0]
    assert "converting" not in errors[1]


def test_the_best_run_is_converted_if_that_is_little_beside_the_training(
    trained_study, images, tmp_path, monkeypatch
):
    folder = StudyFolder(trained_study)
    best_run.convert_best(folder)
    assert not converted()  # a training of seconds
    monkeypatch.setattr(best_run, "LEAST_TRAINED_S", 0.0)
    stages: list[str] = []
    best_run.convert_best(folder, lambda what, *_: stages.append(what))
    best_run.convert_best(folder, lambda what, *_: stages.append(what))
    assert len(stages) == len(converted()) == 1
    segstudy.predict(trained_study, images / "0.png", tmp_path / "out")
    assert engine_of(tmp_path / "out") == "OpenVINO"
    assert len(converted()) == 1


def test_a_failed_conversion_costs_nothing(trained_study, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file, in which no folder can be made")
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(best_run, "LEAST_TRAINED_S", 0.0)
    best_run.convert_best(StudyFolder(trained_study))


def test_run_and_report_convert(trained_study, monkeypatch):
    """Both call it with the study's folder, once the report is there."""
    from segstudy.study import run as running

    assert running.convert_best is best_run.convert_best
    called: list[Path] = []
    monkeypatch.setattr(best_run, "convert_best", lambda folder, _: called.append(folder.path))
    monkeypatch.setattr("segstudy.reporting.page.write_report", lambda folder, _: folder.path)
    segstudy.report(trained_study)
    assert called == [Path(trained_study)]
