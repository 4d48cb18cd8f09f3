"""Fixtures: where real data lie, if they do, and a cache of the tests' own."""

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from empty_reports import empty_reports
from made_once import made_once, traced_once
from not_tested import not_tested
from rendered_once import render_again, rendered_once

import segstudy

# Beside other programs, an example may take any time.
hypothesis.settings.register_profile("any time", deadline=None)
hypothesis.settings.load_profile("any time")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The tests' networks are tiny: on two cores with two test workers, more threads only get in the way."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared data go to a temporary folder, never to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSTUDY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _short_timing() -> Iterator[None]:
    """Before it trains, `run` times a training step for a second; here a moment is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segstudy.study.estimate.TIMING_SECONDS", 0.05)
        yield


@pytest.fixture(autouse=True, scope="session")
def _made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Equal charts are rendered once, and equal networks exported once."""
    with rendered_once(), traced_once(tmp_path_factory):
        yield


@pytest.fixture
def rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the rendering itself."""
    render_again(monkeypatch)


@pytest.fixture
def no_report() -> Iterator[None]:
    """`run` leaves an empty report, see ``empty_reports``."""
    with empty_reports():
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with ``ph2/``, ``isic2017_fullsize/`` and so on: SEGSTUDY_DATA, or ../shared/data."""
    named = os.environ.get("SEGSTUDY_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there; SEGSTUDY_DATA may name their folder")
    return folder


@pytest.fixture(scope="session")
def ph2_folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``PH2Dataset`` as published, unpacked for this session."""
    unpack = shared_data / "unpack_ph2.py"
    if not unpack.is_file():
        pytest.skip(f"no PH2: {unpack} is not there")

    def make(folder: Path) -> None:
        words = [sys.executable, unpack, folder / "PH2Dataset"]
        subprocess.run(words, check=True, capture_output=True)

    return made_once("ph2", make, tmp_path_factory) / "PH2Dataset"


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four small trained models, see ``model_study``; for reading only."""
    from model_study import train

    with empty_reports():
        return made_once("trained", train, tmp_path_factory) / "study"


def exported(study: Path, to: str, name: str, factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn of what is none of ours
            segstudy.export(study, to, out=folder / name)

    return made_once(to, make, factory) / name


@pytest.fixture(scope="session")
def exported_model(trained_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its best one as an ONNX file; for reading only."""
    return exported(trained_study, "onnx", "model.onnx", tmp_path_factory)


@pytest.fixture(scope="session")
def exported_openvino(trained_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its best one as OpenVINO's files, alone in their folder; for reading only."""
    return exported(trained_study, "openvino", "m.xml", tmp_path_factory)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last lines what was left out, and how to install what was missing."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for line in not_tested(str(report.longrepr[2]) for report in reporter.stats.get("skipped", ())):
        reporter.write_line(line, yellow=True)


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector need not look at it again and again."""
    gc.freeze()
