"""Ctrl-C at every stage of `run` says what there is and what to do: never a promise that does not hold."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small import write_dataset

from segstudy.cli.studies import main
from segstudy.core.progress import Stages
from segstudy.study import run

QUICKLY = (
    *("--image-size", "32", "--width", "2", "--epochs", "2", "--batch-size", "4", "--workers", "1"),
    *("--architecture", "unet", "--loss", "bce", "--executor", "serial", "--out", "my study"),
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "discs", n=12)
    monkeypatch.setattr("segstudy.study.estimate.TIMING_SECONDS", 0.05)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts with &
    yield tmp_path
    signal.signal(signal.SIGINT, before)


def pressed_at(monkeypatch, stage: str) -> None:
    """Ctrl-C as soon as this is being done."""
    say = Stages.__call__

    def pressed(self, what: str, done: int = 0, total: int = 0) -> None:
        say(self, what, done, total)
        if what.startswith(stage):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Stages, "__call__", pressed)


def stopped(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr().err
    assert ended.value.code == 130, said
    assert "Traceback" not in said
    return said.splitlines()[-1]


@pytest.mark.parametrize(
    "stage", ["finding the images", "reading images", "checking the data", "timing a training step"]
)
def test_before_anything_is_written_it_says_so(here, capsys, monkeypatch, stage):
    before = set(here.rglob("*"))
    pressed_at(monkeypatch, stage)
    said = stopped(capsys, "run", "discs", *QUICKLY)
    assert said == "stopped: nothing was trained, and nothing was written"
    assert set(here.rglob("*")) == before


@pytest.mark.parametrize("stage", ["resizing the images", "scoring the baselines"])
def test_while_the_data_are_prepared_it_does_not_wait_for_them(here, capsys, monkeypatch, stage):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(here / "cache"))
    with monkeypatch.context() as patch:
        pressed_at(patch, stage)
        said = stopped(capsys, "run", "discs", *QUICKLY)
    assert said == "stopped: nothing was trained yet; continue with: segstudy run 'my study'"
    assert (here / "my study" / "study.toml").is_file()
    assert not list((here / "my study" / "runs").iterdir())


def test_while_the_report_is_written_it_says_how_to_write_it(here, capsys, monkeypatch):
    def interrupted(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "write_report", interrupted)
    said = stopped(capsys, "run", "discs", *QUICKLY)
    assert said == (
        "stopped: all trained runs are stored; the report is written by segstudy report 'my study'"
    )
    assert len(list((here / "my study" / "runs").iterdir())) == 1


AGAIN = "finished runs and saved states are kept; continue with: segstudy run 'my study'"
STORED = "all trained runs are stored; the report is written by segstudy report 'my study'"


@pytest.mark.parametrize(
    ("step", "note", "num_trained"),
    [
        ("tidy", "nothing was trained; the study is as it was", 0),
        (
            "write_plan",
            "nothing was trained; the plan may be stored; to continue, run the same command again",
            0,
        ),
        ("write_forecast", AGAIN, 0),
        ("_raise_stopped", AGAIN, 1),
        ("write_records", STORED, 1),
    ],
)
def test_between_the_stages_nothing_is_said_that_is_not_true(
    here, capsys, monkeypatch, step, note, num_trained
):
    real = getattr(run, step)

    def interrupted(*args: object, **more: object) -> None:
        real(*args, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, step, interrupted)
    assert stopped(capsys, "run", "discs", *QUICKLY) == f"stopped: {note}"
    assert (here / "my study" / "study.toml").is_file() == (step != "tidy")
    assert len(list((here / "my study").glob("runs/*"))) == num_trained


def test_while_data_are_checked(here, capsys, monkeypatch):
    pressed_at(monkeypatch, "checking the data")
    before = set(here.rglob("*"))
    said = stopped(capsys, "check", "discs")
    assert said.startswith("stopped at once: everything stored before is kept")
    assert set(here.rglob("*")) == before


SLOW_TO_LOAD = """
import runpy, sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "segstudy.cli.studies":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
sys.argv = ["segstudy", "check", "discs"]
runpy.run_module("segstudy", run_name="__main__")
"""


def test_while_the_program_is_loaded():
    ended = subprocess.run(
        [sys.executable, "-c", SLOW_TO_LOAD], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 130
    assert ended.stderr == "stopped: nothing was begun\n"
