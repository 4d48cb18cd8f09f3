"""Plug-ins: what an installed package offers by entry points is used like ours (tests/tiny_plugin)."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from places import TESTS
from small import write_dataset

from segstudy.data.datasets import READERS

SMALL = ["--batch-size", "4", "--image-size", "32", "--width", "2", "--epochs", "2"]
MORE = ["--workers", "1", "--no-images"]
ALL = ["--architecture", "tiny_net:kernel_px=5", "--loss", "tiny_loss:scale=2"]
ALL += ["--executor", "tiny_executor", "--tracker", "tiny_tracker"]

# Before it trains, `run` times a training step for a second; here a moment is enough.
COMMAND = """
import segstudy.study.estimate
segstudy.study.estimate.TIMING_SECONDS = 0.05
from segstudy.__main__ import main
main()
"""


def installed(place: Path, change=lambda _source: None) -> Path:
    """The tiny package, built and installed by pip into a folder of its own; nothing is downloaded."""
    source = shutil.copytree(TESTS / "tiny_plugin", place / "source")
    change(source)
    pip = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    words = [sys.executable, *pip, "--target", place / "site", source]
    subprocess.run(words, check=True, capture_output=True, cwd=place)
    return place / "site"


def unpacked(place: Path) -> Path:
    """The tiny package as pip would leave it, in less time."""
    shutil.copytree(TESTS / "tiny_plugin" / "src", place / "site")
    project = tomllib.loads((TESTS / "tiny_plugin" / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    about = place / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["entry-points"].items()
    texts = (f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in each.items()) for group, each in groups)
    (about / "entry_points.txt").write_text("\n".join(texts))
    files = [f"{file.relative_to(place / 'site')},,\n" for file in (place / "site").rglob("*.*")]
    (about / "RECORD").write_text("".join(files))
    return place / "site"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return installed(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Images in a layout that the plug-in's reader knows and none of ours."""
    folder = tmp_path_factory.mktemp("data")
    found = write_dataset(folder / "discs", n=16)
    (folder / "tiny").mkdir()
    for image in (found / "images").iterdir():
        image.rename(folder / "tiny" / f"{image.stem}.tiny.png")
    for mask in (found / "masks").iterdir():
        mask.rename(folder / "tiny" / f"{mask.stem}.tiny-mask.png")
    return folder / "tiny"


def called(*words: object, sites: tuple[Path, ...] = (), code: int = 0) -> str:
    """What the command line says, with these packages installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sites)), "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-c", COMMAND, *map(str, words)]
    run = subprocess.run(call, check=False, env=environment, capture_output=True, text=True)
    assert run.returncode == code, run.stderr
    return " ".join((run.stdout + run.stderr).split())


@pytest.fixture(scope="module")
def study(site, data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plugged") / "study"
    called("run", data, *ALL, *SMALL, *MORE, "--out", folder, sites=(site,))
    return folder


@pytest.fixture(scope="module")
def run(study) -> Path:
    (folder,) = (study / "runs").iterdir()
    return folder


@pytest.mark.slow
def test_help_names_one_of_every_kind(tmp_path):
    """Without pip and without training; `make test-slow` has both."""
    site = unpacked(tmp_path)
    text = called("run", "--help", sites=(site,))
    kinds = ("architecture tiny_net", "loss tiny_loss", "reader tiny_reader", "executor tiny_executor")
    for kind in (*kinds, "tracker tiny_tracker"):
        assert f"{kind}: segstudy-tiny 1.0" in text


@pytest.mark.slow
def test_a_study_of_them_is_planned(site, data):
    text = called("plan", data, *ALL[:4], *SMALL, sites=(site,))
    assert "tiny_net:kernel_px=5" in text
    assert "tiny_loss:scale=2" in text


@pytest.mark.slow
def test_a_run_with_a_plug_in_of_every_kind(study, run, site):
    record = json.loads((run / "run.json").read_text())
    assert record["name"] == "tiny_net:kernel_px=5-tiny_loss:scale=2.0-b4"
    numerics = record["description"]["numerics"]
    for kind in ("architecture", "loss"):
        package, version, content = numerics[kind].split()
        assert (package, version, len(content)) == ("segstudy-tiny", "1.0", 16), kind
    assert "tiny_metric" in record["metrics"]
    assert json.loads((study / "data.json").read_text())["reader"] == "tiny_reader"
    lines = (study / "tiny-tracker.txt").read_text().splitlines()
    assert lines == ["begins with 1", "run begins", "epoch 1", "epoch 2", "run finished", "ends"]
    assert "tiny_metric" in called("table", study, "--format", "csv", sites=(site,))


@pytest.mark.slow
def test_help_and_choices_name_them_beside_ours(site, data):
    text = called("run", "--help", sites=(site,))
    kinds = ("architecture tiny_net", "loss tiny_loss", "reader tiny_reader", "executor tiny_executor")
    for kind in (*kinds, "tracker tiny_tracker"):
        assert f"{kind}: segstudy-tiny 1.0" in text
    for option, choices in {
        "--architecture": "mednext, tiny_net, or name your own",
        "--loss": "hausdorff_dt, tiny_loss, or name your own",
        "--executor": "use one of serial, processes, ray, tiny_executor",
        "--tracker": "use one of terminal, tiny_tracker",
    }.items():
        assert choices in called("run", data, option, "nope", sites=(site,), code=2)
    assert f"use one of {', '.join(READERS)}, tiny_reader" in called(
        "check", data, "--reader", "nope", sites=(site,), code=2
    )


@pytest.mark.slow
def test_the_model_is_opened_by_its_name_and_without_the_plug_in_by_its_model_onnx(run, site, data, tmp_path):
    image = next(data.glob("*.tiny.png"))
    called("predict", run, image, "--out", tmp_path / "a", "--engine", "torch", sites=(site,))
    called("predict", run, image, "--out", tmp_path / "b")
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "model.onnx").unlink()
    (copy / "run.json").unlink()
    called("predict", copy, image, "--out", tmp_path / "c", sites=(site,))
    assert "unknown architecture 'tiny_net'" in called(
        "predict", copy, image, "--out", tmp_path / "d", code=2
    )


@pytest.mark.slow
def test_another_version_is_another_key_and_opens_no_model_of_the_first(run, data, tmp_path):
    def edit(source: Path) -> None:
        file = source / "src" / "segstudy_tiny" / "networks.py"
        file.write_text(file.read_text() + "# edited\n")

    edited = installed(tmp_path, edit)
    study = tmp_path / "study"
    called("run", data, *ALL, *SMALL, *MORE, "--out", study, sites=(edited,))
    (other,) = (study / "runs").iterdir()
    assert other.name != run.name
    said = called("predict", run, data, "--out", tmp_path / "m", "--engine", "torch", sites=(edited,), code=2)
    assert "tiny_net:kernel_px=5: the model was trained with segstudy-tiny 1.0" in said


@pytest.mark.slow
def test_two_of_one_name_are_refused_with_both_names(site, data, tmp_path):
    def rename(source: Path) -> None:
        file = source / "pyproject.toml"
        file.write_text(file.read_text().replace('"segstudy-tiny"', '"segstudy-tiny-too"'))

    sites = (site, installed(tmp_path, rename))
    said = called("plan", data, "--architecture", "tiny_net", "--set", "reader=folder", sites=sites, code=2)
    said += called("plan", "synthetic:n=24", "--architecture", "tiny_net", sites=sites, code=2)
    assert (
        "of segstudy-tiny 1.0 and segstudy_tiny.networks:TINY_NET of segstudy-tiny-too 1.0: uninstall" in said
    )


@pytest.mark.slow
def test_one_named_like_ours_is_refused_with_both_names_and_stops_nobody_else(data, tmp_path):
    def rename(source: Path) -> None:
        file = source / "pyproject.toml"
        file.write_text(file.read_text().replace("tiny_net =", "unet ="))

    place = installed(tmp_path, rename)
    said = called("plan", "synthetic:n=24", "--architecture", "unet", *SMALL, sites=(place,), code=2)
    assert (
        "'unet' is segstudy's own and also a plug-in, segstudy_tiny.networks:TINY_NET of segstudy-tiny"
        in said
    )
    called("plan", "synthetic:n=24", "--architecture", "segnet", *SMALL, sites=(place,))


@pytest.mark.slow
def test_one_that_cannot_be_imported_stops_only_those_who_use_it(data, tmp_path):
    def break_all(source: Path) -> None:
        for name in ("networks", "readers", "metrics"):
            (source / "src" / "segstudy_tiny" / f"{name}.py").write_text("import no_such_package\n")

    place = installed(tmp_path, break_all)
    said = called("plan", "synthetic:n=24", "--architecture", "tiny_net", sites=(place,), code=2)
    assert "plug-in 'tiny_net' (segstudy_tiny.networks:TINY_NET of segstudy-tiny 1.0) cannot be used" in said
    assert "No module named 'no_such_package'; install what it needs" in said
    words = ("--architecture", "unet", "--loss", "tiny_loss", *SMALL)
    said = called("plan", write_dataset(tmp_path / "d"), *words, sites=(place,))
    for name in ("tiny_reader", "tiny_metric"):
        assert said.count(f"left out: plug-in '{name}'") == 1
