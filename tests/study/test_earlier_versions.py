"""Runs that an earlier version of segstudy finished are counted before this one trains them again."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

import segstudy
from segstudy.models import MODELS
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
    assert "note: 2 of these are finished by an earlier version" in said
    assert "also stored" not in said
    made, missing, *_ = segstudy.plan(out)
    assert (missing, made.num_earlier) == ([], 0)
