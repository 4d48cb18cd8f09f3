"""Run folders: whole or not at all, equal bytes for equal content, read back as tables."""

import json
import os
import shutil

import polars as pl
import pytest
import torch
from places import TESTS

import segstudy
from segstudy.config.runs import Configuration, Run
from segstudy.core.atomic_files import write_text
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.store.folder import StudyFolder
from segstudy.store.tidying import tidy
from segstudy.store.verify_runs import _checksum
from segstudy.store.weights import load_model, model_files

TABLES = {
    "epochs": pl.DataFrame({"epoch": [1, 2], "train_loss": [0.5, 0.4]}),
    "images": pl.DataFrame({"id": ["a"], "part": ["test"], "native_iou": [0.8]}),
    "predictions": pl.DataFrame({"id": ["a"], "part": ["test"], "prob": [b"png"]}),
}
WEIGHTS = {"w": torch.arange(6.0).view(2, 3), "b": torch.zeros(2)}


@pytest.fixture
def folder(tmp_path):
    made = StudyFolder(tmp_path / "study")
    made.create()
    return made


def write(folder, key="k1", **record):
    folder.write_run(key, {"name": "unet-bce-b8", **record}, TABLES, model_files(WEIGHTS, {"key": key}))


def test_a_run_is_there_only_once_it_is_complete(folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("segstudy.core.atomic_files._sync_folder", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(folder)
    assert folder.finished() == set()
    assert [path.name for path in folder.runs.iterdir()] == ["k1.partial"]
    monkeypatch.undo()
    write(folder)
    assert folder.finished() == {"k1"}
    assert [path.name for path in folder.runs.iterdir()] == ["k1"]


def test_equal_content_gives_equal_bytes(folder):
    write(folder, "k1")
    write(folder, "k2")
    for name in ("epochs.parquet", "images.parquet", "predictions.parquet", "model.safetensors"):
        assert (folder.runs / "k1" / name).read_bytes() == (folder.runs / "k2" / name).read_bytes()


def test_checksums_of_all_other_files_stand_in_run_json(folder):
    write(folder)
    record = json.loads((folder.runs / "k1" / "run.json").read_text())
    assert set(record["sha256"]) == {path.name for path in (folder.runs / "k1").iterdir()} - {"run.json"}


def test_tables_of_several_runs_come_back_as_one(folder):
    write(folder, "k1")
    write(folder, "k2")
    epochs = folder.epochs(["k1", "k2"])
    assert epochs["key"].to_list() == ["k1", "k1", "k2", "k2"]
    assert folder.images([]).height == 0
    assert folder.predictions("k1").equals(TABLES["predictions"])


CLASSES = pl.DataFrame(
    {
        "id": ["a", "a"],
        "part": ["test", "test"],
        "class": ["disc", "cup"],
        "predicted_px": pl.Series([[3, 1], None], dtype=pl.List(pl.UInt32)),
    }
)


def test_rows_of_classes_come_back_of_the_runs_that_have_them(folder):
    write(folder, "k1")
    files = model_files(WEIGHTS, {"key": "k2"})
    folder.write_run("k2", {"name": "unet-bce-b8"}, {**TABLES, "classes": CLASSES}, files)
    found = folder.classes(["k1", "k2"])
    assert found.drop("key").equals(CLASSES)
    assert found["key"].unique().to_list() == ["k2"]
    file = folder.runs / "k2" / "classes.parquet"
    CLASSES.with_columns(pl.lit("rim").alias("class")).write_parquet(file)
    with pytest.raises(UserError, match=r"k2/classes.parquet: damaged \(its checksum differs"):
        folder.classes(["k2"])


def test_external_scores_may_have_rows_of_classes(folder):
    folder.write_external("one", {"kind": "masks"}, TABLES["images"])
    folder.write_external("several", {"kind": "masks"}, TABLES["images"], CLASSES)
    assert folder.external_classes_in("one") is None
    assert folder.external_classes_in("several").equals(CLASSES)
    folder.write_external("several", {"kind": "masks"}, TABLES["images"])
    assert folder.external_classes_in("several") is None


def test_a_failure_is_gone_once_the_run_finished(folder):
    identity = {"architecture": "unet", "loss": "bce", "protocol": {}, "seed": 0, "fold": None}
    said = {"reason": "crashed", "detail": "no luck", "remedy": "try again"}
    folder.write_failure("k1", {"name": "unet-bce-b8", **identity, **said})
    assert folder.failed()["k1"].reason == "crashed"
    write(folder)
    assert folder.failed() == {}
    assert not list(folder.failures.iterdir())


def test_a_text_that_stands_there_already_is_left_alone(tmp_path):
    file = tmp_path / "split.json"
    write_text(file, "a")
    os.utime(file, (1, 1))
    write_text(file, "a")
    assert file.stat().st_mtime == 1
    write_text(file, "b")
    assert file.read_text() == "b"
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_no_study_here(tmp_path):
    with pytest.raises(UserError, match=r"is not a study.*segstudy run"):
        StudyFolder(tmp_path).study()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        StudyFolder(tmp_path / "file" / "study").create()


OLDER = TESTS / "references" / "study-of-0.1"  # written by commit 6991eb1, before resuming


def test_a_study_of_an_older_version_is_read_as_its_own(tmp_path):
    """Its runs have neither cost nor boundary metrics, its protocol no micro-batches: all of them count."""
    study = shutil.copytree(OLDER, tmp_path / "study")
    now = segstudy.status(study)
    assert (now.num_finished, now.num_left, now.num_unnamed) == (2, 0, 0)
    assert segstudy.table(study).count("1 of 1") == 2
    assert segstudy.report(study, images=False).is_file()
    for record in StudyFolder(study).run_records(StudyFolder(study).finished()):
        configuration = Configuration(
            architecture=record.architecture, loss=record.loss, protocol=record.protocol
        )
        run = Run(
            configuration=configuration,
            numerics=record.description.numerics,
            **{name: getattr(record.description, name) for name in ("data", "split", "seed")},
            fold=None,
        )
        assert run.key == record.key
        assert load_model(study / "runs" / run.key)[1]["width"] == 1


def test_a_study_of_a_newer_version_is_refused_in_a_line(tmp_path):
    study = shutil.copytree(OLDER, tmp_path / "study")
    key = min(StudyFolder(study).finished())
    record = json.loads((study / "runs" / key / "run.json").read_text())
    (study / "runs" / key / "run.json").write_text(json.dumps({"format": 2, "everything": record}))
    for read in (segstudy.status, segstudy.table, segstudy.report):
        with pytest.raises(UserError, match=rf"{key}/run.json: format 2 is not known .* update segstudy"):
            read(study)


def test_what_processes_that_died_left_is_tidied_away_and_what_others_hold_stays(folder):
    write(folder, "done")
    for path in ("checkpoints/done", "checkpoints/half", "runs/half.partial", "runs/held.partial", "locks"):
        (folder.path / path).mkdir(parents=True, exist_ok=True)
    left = ["study.toml.new", "checkpoints/done/000001.state", "checkpoints/half/000002.state.new"]
    left += ["runs/half.partial/run.json", "failures/half.json.new", "failures/done.json", "locks/half"]
    kept = ["checkpoints/half/000001.state", "runs/held.partial/run.json", "failures/half.json"]
    for path in left + kept:
        (folder.path / path).write_text("{}")
    with hold(folder.run_lock("held"), "a run"):
        tidy(folder)
        there = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert not there & set(left)
    assert there >= set(kept)
    assert folder.finished() == {"done"}


def test_a_table_over_which_the_reader_panics_is_damaged(folder, monkeypatch):
    """A panic of polars is no ``Exception``; it was seen over a single altered byte."""

    def panic(*_, **__):
        raise pl.exceptions.PanicException("Thrift out of range")

    write(folder)
    monkeypatch.setattr(pl, "scan_parquet", panic)
    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(UserError, match=r"predictions.parquet: damaged \(Thrift out of range\)"):
        folder.predictions("k1")
    with pytest.raises(UserError, match=r"k1/images.parquet: damaged"):
        folder.images(["k1"])


@pytest.mark.parametrize("name", ["epochs", "images"])
def test_a_table_that_was_altered_is_not_read(folder, name):
    """A row less or another number is a table as good as any: only its checksum tells."""
    write(folder)
    read = getattr(folder, name)
    assert read(["k1"]).height == TABLES[name].height
    TABLES[name].head(0).write_parquet(folder.runs / "k1" / f"{name}.parquet")
    with pytest.raises(UserError, match=rf"k1/{name}\.parquet: damaged .* verify DIR --repair"):
        read(["k1"])


def test_predictions_that_were_altered_are_not_shown(folder):
    write(folder)
    TABLES["predictions"].head(0).write_parquet(folder.runs / "k1" / "predictions.parquet")
    with pytest.raises(UserError, match=r"k1/predictions\.parquet: damaged"):
        folder.predictions("k1", ["id"])


def test_tables_of_runs_without_checksums_are_read(folder):
    write(folder)
    record = json.loads((folder.runs / "k1" / "run.json").read_text())
    del record["sha256"]
    (folder.runs / "k1" / "run.json").write_text(json.dumps(record))
    assert folder.images(["k1"]).height == 1


def test_a_pipe_in_a_run_does_not_hold_verify_up(folder):
    write(folder)
    (folder.runs / "k1" / "model.safetensors").unlink()
    os.mkfifo(folder.runs / "k1" / "model.safetensors")
    assert _checksum(folder.runs / "k1" / "model.safetensors") == ""


def test_a_path_with_brackets_and_stars_is_no_pattern(tmp_path):
    folder = StudyFolder(tmp_path / "scans [2024] *")
    folder.create()
    for key in ("k1", "k2"):
        write(folder, key)
    assert folder.images(["k1", "k2"])["key"].to_list() == ["k1", "k2"]
    assert folder.predictions("k1", ["id"]).height == 1


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        StudyFolder(tmp_path / "nowhere").study()
    for name in ("demo-data", "demo-study"):
        (tmp_path / name).mkdir()
    (tmp_path / "demo-study" / "study.toml").touch()
    with pytest.raises(UserError, match=r"no such folder; did you mean .*/demo-study\?\); `segstudy run`"):
        StudyFolder(tmp_path / "demo-studi").study()
    with pytest.raises(UserError, match="there is no such folder\\)"):
        StudyFolder(tmp_path / "demo-dato").study()
