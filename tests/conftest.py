"""Fixtures: where real data lie, if they do, and a cache of the tests' own."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from not_tested import not_tested

import segstudy


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


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` leaves an empty report, for tests that do not look at it: writing one takes a second."""
    write = "segstudy.study.run.write_report"
    monkeypatch.setattr(write, lambda folder, _: (folder.path / "report.html").touch())


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
    folder = tmp_path_factory.mktemp("ph2") / "PH2Dataset"
    subprocess.run([sys.executable, unpack, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four small trained models, see ``model_study``; for reading only."""
    from model_study import train

    return train(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def exported_model(trained_study: Path) -> Path:
    """Its best one as an ONNX file; for reading only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return segstudy.export(trained_study, "onnx", out=trained_study.parent / "model.onnx").file


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last lines what was left out, and how to install what was missing."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for line in not_tested(str(report.longrepr[2]) for report in reporter.stats.get("skipped", ())):
        reporter.write_line(line, yellow=True)
