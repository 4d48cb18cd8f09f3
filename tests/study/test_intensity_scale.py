"""The scale of a study's images: found once, written down, in the key where it departs, and the model's."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save
from PIL import Image
from small import write_dataset

import segstudy
from segstudy.config.study import override, preset_study
from segstudy.data.images import decode_bytes
from segstudy.deploy.predict.predictor import Predictor
from segstudy.store.folder import StudyFolder
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, write_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
TINY = {
    "image_size": [32],
    "width": [2],
    "epochs": [1],
    "architecture": ["unet"],
    "loss": ["bce"],
    "batch_size": [8],
}


def twelve_bits(picture: np.ndarray, file: Path) -> Path:
    return save(file, np.rint(picture * (4095 / 255)).astype(np.uint16))


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twelve") / "set"
    for n in range(12):
        image, mask = disc(n)
        twelve_bits(image[..., 0], folder / f"images/t{n:02}.tif")
        save(folder / f"masks/t{n:02}.png", mask)
    return folder


def planned(data, stored=None, **fields):
    study = override(preset_study("classic", "tiny", str(data)), {**TINY, **fields})
    return make_plan(study, SERIAL, stored)


def test_the_scale_of_8_bits_is_written_down_and_changes_no_key(tmp_path):
    data = write_dataset(tmp_path / "set", n=12)
    plan = planned(data)
    assert plan.study.protocol.intensity == "full"
    assert "intensity" not in plan.runs[0].description()
    assert [run.key for run in plan.runs] == [run.key for run in planned(data, intensity=["full"]).runs]


def test_another_scale_is_found_written_down_and_in_the_key(twelve, tmp_path):
    plan = planned(twelve)
    assert plan.study.protocol.intensity == "0..4095"
    assert plan.runs[0].description()["intensity"] == "0..4095"
    assert plan.runs[0].key != planned(twelve, intensity=["full"]).runs[0].key
    folder = StudyFolder(tmp_path / "s")
    write_plan(plan, folder)
    assert 'intensity = "0..4095"' in (folder.path / "study.toml").read_text()
    again = planned(twelve, folder.data())
    assert again.findings == plan.findings
    assert not planned(twelve, folder.data(), intensity=["0..8191"]).findings.intensity.because.startswith(
        "values"
    )


def test_a_factor_of_scales_makes_configurations(twelve):
    plan = planned(twelve, intensity=["auto", "0..1000"])
    assert [c.protocol.intensity for c in plan.configurations()] == ["0..4095", "0..1000"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_predict_and_serve_use_the_scale_of_the_model_and_never_the_new_image_s(twelve, tmp_path):
    """One dark 12-bit image: at a scale of its own it would be a bright one."""
    study = tmp_path / "study"
    segstudy.run(
        str(twelve),
        out=study,
        architecture="unet",
        loss="bce",
        image_size=32,
        width=2,
        epochs=1,
        threads=1,
        batch_size=8,
    )
    (card,) = study.glob("runs/*/model.json")
    assert json.loads(card.read_text())["training"]["intensity"] == "0..4095"
    dark = disc(50)[0][..., 0] // 8
    file = twelve_bits(dark, tmp_path / "new/dark.tif")
    predictor = Predictor(study, engine="torch", precision="float32")
    found = predictor(file).probability
    assert (found == predictor(np.repeat(dark[..., None], 3, axis=2)).probability).all()
    assert (decode_bytes(file.read_bytes(), lambda _: None, predictor.scale)[1][..., 0] == dark).all()
    segstudy.predict(study, file.parent, tmp_path / "out", kinds=["probability"], engine="torch")
    written = np.asarray(Image.open(tmp_path / "out/probability/dark.png"))
    assert np.abs(written / 255 - found).max() < 1 / 255
