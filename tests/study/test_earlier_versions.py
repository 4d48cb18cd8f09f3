"""Runs that an earlier version of segstudy finished are counted before this one trains them again."""

import io
import shutil
from dataclasses import replace

import pytest
from rich.console import Console

import segstudy
from segstudy.models import MODELS
from segstudy.store.folder import StudyFolder
from segstudy.study.trackers.terminal import Display
from segstudy.training import loop

CALL = {
    **{"architecture": ["unet", "segnet"], "loss": ["bce"], "precision": ["bfloat16"], "image_size": [32]},
    **{"width": [2], "epochs": [1], "batch_size": [2], "device": "cpu", "executor": "serial"},
}


@pytest.mark.usefixtures("no_report")
def test_runs_of_another_arithmetic_are_counted_and_said(tmp_path, monkeypatch):
    out = tmp_path / "study"
    with monkeypatch.context() as earlier:
        earlier.setitem(MODELS, "unet", replace(MODELS["unet"], numerics_bfloat16=1))
        segstudy.run("synthetic:n=8", out=out, **CALL)
    made, missing, *_ = segstudy.plan(out)
    assert ([run.configuration.architecture for run in missing], made.num_earlier) == (["unet"], 1)
    monkeypatch.setattr(loop, "NUMERICS", 3)
    made, missing, *_ = segstudy.plan(out)
    assert (len(missing), made.num_earlier) == (2, 2)
    display = Display(Console(file=io.StringIO(), width=80, soft_wrap=True))
    segstudy.run(out, executor="serial", display=display)
    said = display.console.file.getvalue()
    assert "note: of these, 2 are finished by an earlier version" in said
    assert "also stored" not in said
    made, missing, *_ = segstudy.plan(out)
    assert (missing, made.num_earlier) == ([], 0)
    display.console.file.seek(0)
    segstudy.run(out, executor="serial", display=display)
    again = display.console.file.getvalue()
    assert (
        "also stored: 2 finished runs with other options or earlier data, or of an earlier version" in again
    )


@pytest.mark.usefixtures("no_report")
def test_begun_runs_of_another_arithmetic_are_counted_too(tmp_path, monkeypatch):
    out = tmp_path / "study"
    segstudy.run("synthetic:n=8", out=out, **CALL)
    folder = StudyFolder(out)
    begun, *_ = sorted(folder.finished())
    shutil.rmtree(folder.runs / begun)
    (out / "checkpoints" / begun).mkdir(parents=True)
    (out / "checkpoints" / begun / "0001.state").touch()
    monkeypatch.setattr(loop, "NUMERICS", 3)
    made, missing, *_ = segstudy.plan(out)
    assert (len(missing), made.num_earlier, made.num_earlier_begun) == (2, 1, 1)
    display = Display(Console(file=io.StringIO(), width=80, soft_wrap=True))
    display.plan(made.overview(), len(missing))
    assert "of these, 1 is finished and 1 is begun by an earlier" in display.console.file.getvalue()
