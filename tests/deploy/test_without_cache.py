"""A cache that cannot be written or read never stops a prediction, and one line says what to do."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from failing_disk import FailingDisk

from segstudy.core import cache
from segstudy.core.errors import UserError
from segstudy.deploy.engines import ENGINES
from segstudy.deploy.predict import trained
from segstudy.deploy.predict.load import open_model

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
CONVERTED = [
    pytest.param(
        engine.name,
        marks=pytest.mark.skipif(not trained.can_convert(engine), reason=f"no {engine.name} here"),
    )
    for engine in ENGINES.values()
    if engine.converted_to
]
NO_CONVERSION = pytest.mark.skipif(len(trained.engines_for_runs()) < 2, reason="no OpenVINO here")


@pytest.fixture(autouse=True)
def forgetful():
    """Each test hears the line anew."""
    trained._say_once.cache_clear()


@pytest.fixture(scope="module")
def expected(trained_study):
    return open_model(trained_study, engine="torch", precision="float32")[0].forward(IMAGES)


def no_folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("a file, in which no folder can be made")
    return tmp_path / "file" / "cache"


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(found - expected).max() < 1e-3
    assert np.array_equal(found >= 0.5, expected >= 0.5)


@pytest.mark.parametrize("engine", CONVERTED)
def test_a_run_is_converted_all_the_same(trained_study, expected, tmp_path, monkeypatch, caplog, engine):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(no_folder(tmp_path)))
    (network,) = open_model(trained_study, engine=engine, precision="float32")
    assert_same(network.forward(IMAGES), expected)
    (said,) = [each for each in caplog.messages if "cache" in each]
    assert str(tmp_path / "file" / "cache") in said
    assert "Not a directory" in said
    assert "SEGSTUDY_CACHE" in said


@NO_CONVERSION
def test_of_many_networks_it_is_said_once(trained_study, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(no_folder(tmp_path)))
    for _ in range(3):
        open_model(trained_study, engine="onnxruntime")
    assert len([each for each in caplog.messages if "cache" in each]) == 1


@NO_CONVERSION
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_whenever_the_disk_of_the_cache_fails_the_masks_are_the_same(
    trained_study, expected, tmp_path, monkeypatch, error
):
    home = tmp_path / "cache"
    home.mkdir()
    monkeypatch.setenv("SEGSTUDY_CACHE", str(home))
    disk = FailingDisk(home, monkeypatch)
    for at in (0, 1, 3, 5):
        disk.fail(at, error)
        (network,) = open_model(trained_study, engine="onnxruntime", precision="float32")
        assert disk.mend()
        assert_same(network.forward(IMAGES), expected)


@NO_CONVERSION
def test_without_any_room_pytorch_predicts_if_no_other_engine_is_asked_for(
    trained_study, expected, tmp_path, monkeypatch
):
    def no_room() -> Path:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setenv("SEGSTUDY_CACHE", str(no_folder(tmp_path)))
    monkeypatch.setattr(trained, "temporary_folder", no_room)
    monkeypatch.setattr(trained, "has_gpu", lambda: False)
    (network,) = open_model(trained_study, precision="float32")
    assert network.engine.startswith("PyTorch")
    assert_same(network.forward(IMAGES), expected)
    with pytest.raises(OSError, match="temporary"):
        open_model(trained_study, engine="openvino")


def test_an_altered_model_is_refused_without_a_cache_too(trained_study, tmp_path, monkeypatch):
    import shutil

    from segstudy.deploy.predict.load import models_of

    best = models_of(trained_study).best()
    run = shutil.copytree(best.home.runs / best.keys[0], tmp_path / "run")
    weights = bytearray((run / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (run / "model.safetensors").write_bytes(weights)
    monkeypatch.setenv("SEGSTUDY_CACHE", str(no_folder(tmp_path)))
    with pytest.raises(UserError, match="altered"):
        open_model(run, engine="onnxruntime")


# Where the cache is


def test_a_home_in_the_variable_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SEGSTUDY_CACHE", "~/cache")
    assert cache.cache_folder() == tmp_path / "cache"


def test_a_user_without_a_home_gets_no_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGSTUDY_CACHE", raising=False)
    monkeypatch.setattr(cache.platformdirs, "user_cache_path", lambda name: Path("~/.cache") / name)
    assert cache.cache_folder().is_absolute()
    assert not list(tmp_path.iterdir())


def test_the_temporary_folder_is_gone_with_its_process():
    code = "from segstudy.core.cache import temporary_folder as t; (t() / 'x').touch(); print(t())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    assert not Path(done.stdout.strip()).exists()


def test_a_library_writes_where_it_can(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(no_folder(tmp_path)))
    folder = cache.writable_folder("matplotlib")
    assert os.access(folder, os.W_OK)
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "new"))
    assert cache.writable_folder("matplotlib") == tmp_path / "new" / "matplotlib"
