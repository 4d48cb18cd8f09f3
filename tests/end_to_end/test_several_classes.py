"""A study of several classes from its folders to its stored runs, and what is done with these."""

import json
import shutil
import zipfile
from pathlib import Path

import polars as pl
import pytest
import torch
from empty_reports import empty_reports
from small import CLASSES, TINY, write_classes

import segstudy
from segstudy.core.errors import UserError
from segstudy.store.card import read_card
from segstudy.store.folder import StudyFolder
from segstudy.store.weights import load_model

GRID = {"architecture": "unet", "batch_size": 4, "executor": "serial", "images": False}
TASKS = {
    "multiclass": ({"void": True}, {"classes": CLASSES, "ignore": 255}),
    "multilabel": ({"overlapping": True}, {"classes": "disc,cup"}),
}


def trained(place, task, loss="bce"):
    how, fields = TASKS[task]
    data = place / "set"
    if not data.exists():
        write_classes(data, **how)
    with empty_reports():
        return segstudy.run(data, out=place / f"study-{loss}", loss=loss, **TINY, **GRID, **fields).path


@pytest.fixture(scope="module", params=TASKS)
def made(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    return request.param, place, trained(place, request.param)


@pytest.fixture
def study(made, tmp_path):
    return Path(shutil.copytree(made[2], tmp_path / "study"))


def run_of(study):
    (key,) = StudyFolder(study).finished()
    return StudyFolder(study).runs / key


def test_everything_stored_is_as_it_was_written(study):
    assert segstudy.verify(study).faults == ()
    run = run_of(study)
    assert "classes.parquet" in json.loads((run / "run.json").read_text())["sha256"]
    assert not (run / "probabilities.parquet").exists()
    rows = pl.read_parquet(run / "classes.parquet")
    rows.with_columns(native_iou=pl.lit(1.0)).write_parquet(run / "classes.parquet")
    (fault,) = segstudy.verify(study).faults
    assert (fault.state, fault.detail) == ("altered", "classes.parquet changed (checksum)")
    with pytest.raises(UserError, match=r"classes.parquet: damaged"):
        StudyFolder(study).classes([run.name])
    (run / "classes.parquet").unlink()
    (fault,) = segstudy.verify(study).faults
    assert (fault.state, fault.detail) == ("incomplete", "classes.parquet missing")


def test_the_record_has_the_means_of_each_class_where_it_is_present(made, study):
    run = run_of(study)
    (record,) = StudyFolder(study).run_records([run.name])
    rows = pl.read_parquet(run / "classes.parquet").filter(pl.col("in_truth") | pl.col("in_prediction"))
    for part in ("validation", "test"):
        for name in ("disc", "cup"):
            of_class = rows.filter((pl.col("part") == part) & (pl.col("class") == name))
            if of_class.height:
                mean = record.summary.class_scores[part][name]["native_iou"]
                assert mean == pytest.approx(of_class["native_iou"].mean())
    assert record.summary.tuned_threshold is None


def test_the_card_says_the_classes_and_the_weights_fit_them(made, study):
    card = read_card(run_of(study) / "model.json")
    assert card.outputs == StudyFolder(study).study().protocol.outputs()
    model, _ = load_model(run_of(study))
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, len(card.outputs.names), 32, 32)


def test_the_same_study_has_the_same_files(made, tmp_path):
    task, place, first = made
    again = trained(tmp_path, task)
    assert run_of(again).name == run_of(first).name  # the key does not know where the data lie
    for file in run_of(first).iterdir():
        if file.name != "run.json":
            assert file.read_bytes() == (run_of(again) / file.name).read_bytes(), file.name
    assert place != tmp_path


def test_a_call_that_changes_nothing_trains_nothing(made, capsys):
    task, place, study = made
    stamp = (run_of(study) / "run.json").stat().st_mtime_ns
    trained(place, task)
    assert (run_of(study) / "run.json").stat().st_mtime_ns == stamp


def test_rows_of_classes_are_packed_and_merged(made, study, tmp_path):
    task, place, _ = made
    other = trained(place, task, "dice")
    segstudy.pack(study, out=tmp_path / "study.zip")
    with zipfile.ZipFile(tmp_path / "study.zip") as archive:
        assert sum(name.endswith("classes.parquet") for name in archive.namelist()) == 1
    assert segstudy.verify(tmp_path / "study.zip").faults == ()
    segstudy.merge(study, other, out=tmp_path / "both")
    both = StudyFolder(tmp_path / "both")
    keys = sorted(both.finished())
    assert both.classes(keys)["key"].unique().sort().to_list() == keys
    assert len(keys) == 2


def test_baselines_and_small_masks_are_those_of_the_present_classes(tmp_path, no_report):
    place = trained(tmp_path, "multiclass")
    files = [place / name for name in ("baselines.parquet", "thumbnails.parquet")]
    before = [file.read_bytes() for file in files]
    fields = {"classes": "background=0,eye=1+2", "ignore": 255}
    segstudy.run(tmp_path / "set", out=place, loss="bce", **TINY, **GRID, **fields)
    assert "all eye" in set(StudyFolder(place).baselines()["baseline"])
    assert all(file.read_bytes() != old for file, old in zip(files, before, strict=True))
    trained(tmp_path, "multiclass")  # nothing is left to train
    assert [file.read_bytes() for file in files] == before


def test_an_audit_is_refused_with_how_one_class_is_audited(made, study):
    with pytest.raises(UserError, match="audit compares masks of one foreground") as refused:
        segstudy.audit(study)
    said = str(refused.value)
    if made[0] == "multilabel":
        assert said.endswith("with its masks alone in masks/ (disc and cup), and audit that")
        return
    assert said.endswith("/set --ignore 255` with --set foreground=1 for disc or --set foreground=2 for cup")
    plan, *_ = segstudy.plan(
        made[1] / "set", foreground=2, ignore=255, **TINY, architecture="unet", loss="bce"
    )
    assert plan.runs


def test_the_report_shows_every_class(study):
    page = segstudy.report(study, images=False).read_text()
    assert all(name in page for name in ("disc", "cup"))


OWN = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width, out_channels):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, out_channels, 1))
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
@pytest.mark.parametrize("task", TASKS)
def test_a_network_of_ones_own_gets_the_number_of_classes(tmp_path, task):
    (tmp_path / "own.py").write_text(OWN)
    how, fields = TASKS[task]
    data = write_classes(tmp_path / "set", **how)
    grid = GRID | {"architecture": f"{tmp_path / 'own.py'}:Net"}
    study = segstudy.run(data, out=tmp_path / "s", loss="bce", **TINY, **grid, **fields).path
    card = read_card(run_of(study) / "model.json")
    assert card.architecture == "own.py:Net"
    assert segstudy.verify(study).faults == ()


def test_a_network_with_another_number_of_outputs_is_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "own.py").write_text("from torch import nn\ndef net():\n    return nn.Conv2d(3, 1, 1)\n")
    data = write_classes(tmp_path / "set")
    grid = GRID | {"architecture": f"{tmp_path / 'own.py'}:net"}
    with pytest.raises(UserError, match="must give 3 logits per pixel, one for each of background, disc"):
        segstudy.run(data, out=tmp_path / "s", loss="bce", classes=CLASSES, **TINY, **grid)
    assert not (tmp_path / "s" / "runs").exists()
