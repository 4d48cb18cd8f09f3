"""The light distribution: the files it lists are enough to predict and to serve."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from places import ROOT

import segstudy

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
ABSENT = ("torch", "polars", "scipy", "kornia", "safetensors", "altair", "statsmodels", "pandas", "tomlkit")
CODE = """
import sys
for name in {absent}: sys.modules[name] = None
from segstudy.cli.models import main
main({words})
"""


def described() -> dict:
    return tomllib.loads((ROOT / "runtime" / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def place(tmp_path_factory, trained_study, exported_model) -> Path:
    """The distribution's files as they would be installed, and an exported model."""
    folder = tmp_path_factory.mktemp("runtime")
    listed = described()["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, target in listed.items():
        found, wanted = ROOT / "runtime" / source, folder / "site" / target
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            shutil.copytree(found, wanted, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(found, wanted)
    shutil.copy(exported_model, folder / "model.onnx")
    shutil.copytree(trained_study, folder / "study")
    shutil.copytree(trained_study.parent / "discs", folder / "discs")
    return folder


def call(place: Path, *words: str) -> subprocess.CompletedProcess:
    code = CODE.format(absent=ABSENT, words=list(words))
    environment = {**os.environ, "PYTHONPATH": str(place / "site")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_predicts(place, tmp_path):
    images = place / "discs" / "images"
    done = call(place, "predict", str(place / "model.onnx"), str(images), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    expected = segstudy.predict(place / "model.onnx", images, tmp_path / "expected")
    assert len(expected) == 24
    for file in (tmp_path / "expected" / "masks").iterdir():
        assert (tmp_path / "out" / "masks" / file.name).read_bytes() == file.read_bytes()


def test_it_shows_the_card(place):
    done = call(place, "card", str(place / "model.onnx"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["card"]["format"] == 1


def test_it_has_the_server(place):
    code = "import segstudy.deploy.serving.server, segstudy; print(segstudy.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(place / "site")}
    blocked = f"import sys\nfor name in {ABSENT}: sys.modules[name] = None\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", blocked], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(place / "site") in done.stdout


def test_what_it_cannot_do_is_said(place, tmp_path):
    done = call(place, "predict", str(place / "study"), str(place), "--out", str(tmp_path))
    assert done.returncode == 2
    assert "pip install segstudy" in done.stderr
    done = call(place, "run")
    assert done.returncode == 2


def test_its_version_and_bounds_are_those_of_segstudy():
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    light = described()["project"]
    assert light["version"] == whole["version"] == segstudy.__version__
    extras = [each for listed in whole["optional-dependencies"].values() for each in listed]
    assert set(light["dependencies"]) <= {*whole["dependencies"], *extras}
