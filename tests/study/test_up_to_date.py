"""A finished study asked for again: recognised at a glance, and only where nothing has changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small import write_dataset

import segstudy
from segstudy.core.cache import cache_folder
from segstudy.study import run as running
from segstudy.study import up_to_date
from segstudy.study.options import described
from segstudy.study.trackers.terminal import Display

OPTIONS = {"image_size": 32, "width": 2, "epochs": 1, "batch_size": 8, "architecture": "unet", "loss": "bce"}
LOSS = "def mine(logits, target):\n    return ((logits.sigmoid() - target) ** 2).mean()\n"
# In a process of its own: what it imports; scipy.stats and pandas take 0.7 s.
AGAIN = """
import sys, segstudy
segstudy.run(sys.argv[1])
assert "torch" not in sys.modules, "PyTorch was imported"
segstudy.table(sys.argv[1]), segstudy.status(sys.argv[1])
heavy = {"torch", "scipy.stats", "pandas"} & set(sys.modules)
assert not heavy, f"imported for a look: {heavy}"
"""


def run_in(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setenv("SEGSTUDY_CACHE", str(folder / "cache"))
    patch.chdir(folder)
    segstudy.run("discs", **{**OPTIONS, "loss": "mine.py:mine"}, out="study", executor="serial")
    return folder / "study"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of one run, with a loss of one's own, and the data beside."""
    folder = tmp_path_factory.mktemp("trained")
    write_dataset(folder / "discs", n=12)
    (folder / "mine.py").write_text(LOSS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        run_in(folder, patch)
    return folder


@pytest.fixture
def study(trained, tmp_path, monkeypatch):
    """The same in a folder of its own: nothing is left to train there, and it is recognised there too."""
    for name in ("discs", "study", "cache"):
        shutil.copytree(trained / name, tmp_path / name)
    shutil.rmtree(tmp_path / "cache" / "finished-plans")
    shutil.copy(trained / "mine.py", tmp_path)
    return run_in(tmp_path, monkeypatch)


def settled(path: Path, **options: object) -> up_to_date.Overview | None:
    return up_to_date.settled(*described(path, options))


def test_a_finished_study_needs_no_torch_and_leaves_every_file_alone(study):
    before = {file: file.stat().st_mtime_ns for file in study.rglob("*") if file.is_file()}
    done = subprocess.run([sys.executable, "-c", AGAIN, study], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {file: file.stat().st_mtime_ns for file in study.rglob("*") if file.is_file()} == before


def test_it_is_recognised_by_its_folder_and_by_the_call_that_made_it(study):
    overview = settled(study)
    assert overview is not None
    assert (overview.num_runs, overview.num_samples, overview.parts) == (1, 12, ((6, 3, 3),))
    again = {**OPTIONS, "loss": "mine.py:mine", "out": "study"}
    assert up_to_date.settled(*described("discs", again)) == overview


def touch_later(file: Path) -> None:
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


def change_mask(study: Path) -> None:
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(study.parent / "discs" / "masks" / "disc00.png")


CHANGES = {
    "a mask is another": change_mask,
    "an image was touched": lambda study: touch_later(study.parent / "discs" / "images" / "disc01.png"),
    "an image is gone": lambda study: (study.parent / "discs" / "images" / "disc01.png").unlink(),
    "the data are gone": lambda study: (study.parent / "discs").rename(study.parent / "elsewhere"),
    "the study file was edited": lambda study: (study / "study.toml").write_text(
        (study / "study.toml").read_text(encoding="utf-8").replace("lr = 0.001", "lr = 0.002"),
        encoding="utf-8",
    ),
    "the split was edited": lambda study: (study / "split.json").write_text("{}", encoding="utf-8"),
    "the loss was edited": lambda study: (study.parent / "mine.py").write_text(LOSS + "\n", encoding="utf-8"),
    "the run is gone": lambda study: next((study / "runs").iterdir()).rename(study / "aside"),
    "the report is gone": lambda study: (study / "report.html").unlink(),
    "the records are gone": lambda _: [
        file.unlink() for file in (cache_folder() / "finished-plans").iterdir()
    ],
    "the records are torn": lambda _: [
        file.write_text(file.read_text(encoding="utf-8")[:-9], encoding="utf-8")
        for file in (cache_folder() / "finished-plans").iterdir()
    ],
}


@pytest.mark.parametrize("what", CHANGES)
def test_after_any_change_the_study_is_planned_again(study, what):
    assert settled(study) is not None
    CHANGES[what](study)
    assert settled(study) is None


def test_another_program_plans_again(study, monkeypatch):
    monkeypatch.setattr(up_to_date, "__version__", "99")
    assert settled(study) is None


def test_another_call_plans_again(study):
    assert settled(study, seeds=2) is None
    assert settled(study, loss="bce") is None


def test_a_run_that_is_gone_is_trained_again(study):
    run = next((study / "runs").iterdir())
    run.rename(study / "aside")
    segstudy.run(study, executor="serial")
    assert run.is_dir()


def test_wrong_options_of_the_machine_are_refused_all_the_same(study):
    wrongs = ({"threads": -1}, {"executor": "telepathy"}, {"device": "abacus"}, {"checkpoint_every": -1})
    for wrong in wrongs:
        with pytest.raises(segstudy.UserError):
            segstudy.run(study, **wrong)


def record_files() -> set[Path]:
    return set((cache_folder() / "finished-plans").iterdir())


class Meanwhile(Display):
    """Changes something while the study is trained."""

    def __init__(self, change: Callable[[], object]):
        super().__init__(Console(quiet=True))
        self.study_begins = lambda *_: change()


def test_an_unfinished_study_gets_no_record(study):
    before = record_files()
    (study.parent / "bad.py").write_text(
        "def bad(logits, target):\n    return logits.sum() * nan\n", encoding="utf-8"
    )
    with pytest.raises(segstudy.UserError):  # the trial step fails
        segstudy.run(study, loss="bad.py:bad", executor="serial")
    diverging = "def bad(logits, target):\n    return logits.sum() * float('nan')\n"
    (study.parent / "bad.py").write_text(diverging, encoding="utf-8")
    segstudy.run(study, loss=["mine.py:mine", "bad.py:bad"], executor="serial")
    assert segstudy.status(study).num_failed == 1
    assert record_files() == before


@pytest.mark.slow
def test_a_study_file_edited_while_it_is_trained_is_trained_next_time(study):
    def add_a_loss() -> None:
        file = study / "study.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace('loss = ["', 'loss = ["focal", "'), encoding="utf-8")

    segstudy.run(study, loss="dice", executor="serial", display=Meanwhile(add_a_loss))
    assert "focal" in (study / "study.toml").read_text(encoding="utf-8")
    assert settled(study) is None


@pytest.mark.parametrize("what", ["a mask is another", "the loss was edited"])
def test_what_changes_while_a_study_is_trained_is_seen_next_time(study, what):
    segstudy.run(study, seeds=2, executor="serial", display=Meanwhile(lambda: CHANGES[what](study)))
    assert settled(study) is None


def test_what_changed_while_the_study_was_planned_leaves_no_record(study, monkeypatch):
    before = record_files()
    write_plan = running.write_plan

    def late(*arguments: object) -> None:
        write_plan(*arguments)
        CHANGES["a mask is another"](study)

    monkeypatch.setattr(running, "write_plan", late)
    segstudy.run(study, loss="dice", executor="serial")
    assert record_files() == before


def test_another_machine_plans_again(study, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert settled(study) is None
