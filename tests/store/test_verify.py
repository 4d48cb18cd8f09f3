"""`segstudy verify`: what is wrong is found and named, a repair moves it, and the next run mends the rest."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from small import TINY, write_dataset

import segstudy
from segstudy.cli.formatting import verification_text
from segstudy.cli.studies import app
from segstudy.config.runs import key_of
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.store.folder import StudyFolder

OPTIONS = {**TINY, "architecture": "unet", "loss": ["bce", "dice"], "batch_size": 4, "executor": "serial"}
OPTIONS |= {"threads": 1, "images": False}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    return segstudy.run(dataset, out=tmp_path_factory.mktemp("whole") / "study", **OPTIONS).path


@pytest.fixture
def study(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "study"))


def first_run(study):
    return study / "runs" / min(StudyFolder(study).finished())


def changed(file, **fields):
    """A JSON file with other fields; ``a__b`` is field b of a."""
    content = json.loads(file.read_text())
    for name, value in fields.items():
        *outer, last = name.split("__")
        place = content
        for each in outer:
            place = place[each]
        place[last] = value
    file.write_text(json.dumps(content))


def resealed(run, **fields):
    """As someone who knows how run.json is sealed would change it."""
    from segstudy.store.run_records import RECORD_SEAL, seal

    changed(run / "run.json", **fields)
    record = json.loads((run / "run.json").read_text())
    record[RECORD_SEAL] = seal(record)
    (run / "run.json").write_text(json.dumps(record))


def test_a_study_as_it_was_written_has_nothing_wrong(study):
    found = segstudy.verify(study)
    assert (found.num_runs, found.num_elsewhere, found.faults) == (2, 0, ())
    assert verification_text(found, study) == "2 runs checked: nothing wrong"


RUN_DAMAGES = {
    "a byte of a table": (
        lambda run: flip(run / "images.parquet"),
        "altered",
        "images.parquet changed",
    ),
    "a byte of the weights": (
        lambda run: flip(run / "model.safetensors"),
        "altered",
        "model.safetensors changed",
    ),
    "two files": (
        lambda run: [flip(run / n) for n in ("epochs.parquet", "model.json")],
        "altered",
        "epochs.parquet, mo",
    ),
    "cut short": (
        lambda run: cut(run / "predictions.parquet"),
        "altered",
        "predictions.parquet changed",
    ),
    "a file gone": (lambda run: (run / "epochs.parquet").unlink(), "incomplete", "epochs.parquet missing"),
    "the record gone": (lambda run: (run / "run.json").unlink(), "incomplete", "run.json is missing"),
    "the record cut short": (lambda run: cut(run / "run.json"), "altered", "damaged (not JSON)"),
    "no record but a list": (lambda run: (run / "run.json").write_text("[]"), "altered", "damaged"),
    "a better score": (
        lambda run: changed(run / "run.json", summary__scores__test__native_iou=0.99),
        "altered",
        "run.json changed",
    ),
    "a better score, sealed": (
        lambda run: resealed(run, summary__scores__test__native_iou=0.99),
        "altered",
        "differ in the results",
    ),
    "a shorter time": (
        lambda run: changed(run / "run.json", seconds__total=0.0),
        "altered",
        "run.json changed",
    ),
    "another seed, sealed": (lambda run: resealed(run, seed=7), "altered", "contradicts its own description"),
    "another rate, sealed": (
        lambda run: resealed(run, protocol__lr=0.5),
        "altered",
        "contradicts its own description",
    ),
    "no protocol, sealed": (lambda run: resealed(run, protocol={"lr": "x"}), "altered", "contradicts"),
    "another description, sealed": (
        lambda run: resealed(run, description__lr=0.5, protocol__lr=0.5),
        "altered",
        "to another key",
    ),
    "not a number in the description": (
        lambda run: resealed(run, description__lr=float("nan")),
        "altered",
        "cannot be read",
    ),
}


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("damage", RUN_DAMAGES)
def test_a_run_that_is_not_as_written_is_found_moved_and_trained_again(dataset, whole, study, damage):
    do, state, detail = RUN_DAMAGES[damage]
    run = first_run(study)
    do(run)
    (fault,) = segstudy.verify(study).faults
    assert (fault.state, fault.path) == (state, Path("runs") / run.name)
    assert detail in fault.detail
    damaged = {path.name: path.read_bytes() for path in run.iterdir()}

    repaired = segstudy.verify(study, repair=True)
    assert repaired.moved == ((Path("runs") / run.name, Path("quarantine/1/runs") / run.name),)
    assert {p.name: p.read_bytes() for p in (study / repaired.moved[0][1]).iterdir()} == damaged
    assert not segstudy.verify(study).faults
    if damage == "a byte of a table":
        segstudy.run(study, executor="serial", threads=1, images=False)
        for path in run.iterdir():
            assert (
                path.name == "run.json"
                or path.read_bytes() == (whole / "runs" / run.name / path.name).read_bytes()
            )


def test_a_stray_file_goes_and_its_run_stays(study):
    """Finder and Windows leave files behind wherever one looks."""
    run = first_run(study)
    (run / ".DS_Store").write_bytes(b"stray")
    found = segstudy.verify(study, repair=True)
    assert [(fault.state, fault.path) for fault in found.faults] == [
        ("orphaned", Path("runs") / run.name / ".DS_Store")
    ]
    assert (study / "quarantine" / "1" / "runs" / run.name / ".DS_Store").is_file()
    assert not segstudy.verify(study).faults
    assert segstudy.status(study).num_finished == 2


def test_a_run_under_anothers_key_is_found(study):
    run = first_run(study)
    shutil.copytree(run, study / "runs" / ("0" * 16))
    (fault,) = segstudy.verify(study).faults
    assert fault.path.name == "0" * 16
    assert "to another key" in fault.detail


def test_anothers_model_is_found_even_with_its_checksums(study):
    one, other = sorted((study / "runs").iterdir())
    record = json.loads((one / "run.json").read_text())
    for name in ("model.json", "model.safetensors"):
        shutil.copy(other / name, one / name)
        record["sha256"][name] = json.loads((other / "run.json").read_text())["sha256"][name]
    resealed(one, sha256=record["sha256"])
    (fault,) = segstudy.verify(study).faults
    assert fault.detail == "model.json belongs to another run"


BESIDE = {
    "split.json": (lambda study: cut(study / "split.json"), "split.json", "altered", "damaged (not JSON)"),
    "overlapping parts": (
        lambda study: overlap(study / "split.json"),
        "split.json",
        "altered",
        "a sample is in two subsets",
    ),
    "data.json of another kind": (
        lambda study: (study / "data.json").write_text('{"samples": 3}'),
        "data.json",
        "altered",
        "damaged",
    ),
    "data.json gone": (lambda study: (study / "data.json").unlink(), "data.json", "incomplete", "missing"),
    "thumbnails": (
        lambda study: cut(study / "thumbnails.parquet"),
        "thumbnails.parquet",
        "altered",
        "damaged",
    ),
    "baselines": (
        lambda study: cut(study / "baselines.parquet"),
        "baselines.parquet",
        "altered",
        "damaged",
    ),
    "reports": (
        lambda study: (study / "reports.json").write_text("{}"),
        "reports.json",
        "altered",
        "damaged",
    ),
    "half a run": (
        lambda study: (study / "runs" / "ab.partial").mkdir(),
        "runs/ab.partial",
        "incomplete",
        "incomplete, because",
    ),
    "half a file": (
        lambda study: (study / "split.json.new").touch(),
        "split.json.new",
        "incomplete",
        "incomplete, because",
    ),
    "a stranger": (
        lambda study: (study / "runs" / "notes.txt").touch(),
        "runs/notes.txt",
        "orphaned",
        "not the folder of a run",
    ),
    "a failure of nothing": (
        lambda study: (study / "failures" / "a.json").write_text("{}"),
        "failures/a.json",
        "altered",
        "damaged",
    ),
    "half a score": (
        lambda study: (study / "external" / ".x.old").mkdir(parents=True),
        "external/.x.old",
        "incomplete",
        "interrupted",
    ),
    "half a new score": (
        lambda study: (study / "external" / "x.partial").mkdir(parents=True),
        "external/x.partial",
        "incomplete",
        "interrupted",
    ),
    "an empty score": (
        lambda study: (study / "external" / "x").mkdir(parents=True),
        "external/x",
        "altered",
        "missing",
    ),
    "a dead lock": (lambda study: (study / "study.lock").touch(), "study.lock", "orphaned", "dead process"),
    "a torn state": (
        lambda study: state(study, "cd", b"torn"),
        "checkpoints/cd/000001.state",
        "altered",
        "incomplete or altered",
    ),
    "a done state": (
        lambda study: state(study, first_run(study).name, b""),
        "checkpoints/RUN",
        "orphaned",
        "finished",
    ),
}


def overlap(file):
    content = json.loads(file.read_text())
    content["splits"][0]["train"].append(content["splits"][0]["test"][0])
    file.write_text(json.dumps(content))


def state(study, key, data):
    (study / "checkpoints" / key).mkdir(parents=True)
    (study / "checkpoints" / key / "000001.state").write_bytes(data)


@pytest.mark.parametrize("damage", BESIDE)
def test_what_lies_beside_the_runs_is_checked_too(study, damage):
    do, path, what, detail = BESIDE[damage]
    do(study)
    path = Path(path.replace("RUN", first_run(study).name))
    faults = [fault for fault in segstudy.verify(study).faults if fault.path == path]
    assert [fault.state for fault in faults] == [what]
    assert detail in faults[0].detail
    segstudy.verify(study, repair=True)
    if what != "incomplete" or (study / "quarantine").exists():
        assert (study / "quarantine" / "1" / path).exists() or path.name == "study.lock"


def test_study_toml_is_reported_and_left_to_its_owner(study):
    (study / "study.toml").write_text("name = 1\n")
    found = segstudy.verify(study, repair=True)
    assert [str(fault.path) for fault in found.faults] == ["study.toml"]
    assert found.moved == ()
    assert (study / "study.toml").is_file()


def test_runs_of_other_data_are_no_fault_but_counted(study):
    changed(study / "data.json", fingerprint="f" * 16)
    found = segstudy.verify(study)
    assert (found.num_runs, found.num_elsewhere, found.faults) == (2, 2, ())
    assert "2 of them with other data" in verification_text(found, study)


def test_every_repair_has_a_place_of_its_own(study):
    for number in (1, 2, 3):
        (study / "runs" / "notes.txt").write_text(str(number))
        segstudy.verify(study, repair=True)
        assert (study / "quarantine" / str(number) / "runs" / "notes.txt").read_text() == str(number)


def test_no_repair_while_the_study_is_trained(study):
    cut(first_run(study) / "epochs.parquet")
    with hold(StudyFolder(study).lock, "this study"):
        assert len(segstudy.verify(study).faults) == 1  # whose lock is alive
        with pytest.raises(UserError, match="is working on this study"):
            segstudy.verify(study, repair=True)
    assert not (study / "quarantine").exists()


def test_a_newer_versions_run_is_for_a_newer_version_to_judge(study):
    changed(first_run(study) / "run.json", format=2)
    with pytest.raises(UserError, match="format 2 belongs to a newer version; update segstudy"):
        segstudy.verify(study, repair=True)


def test_no_study_there(tmp_path):
    with pytest.raises(UserError, match="is not a study"):
        segstudy.verify(tmp_path)
    with pytest.raises(UserError, match=r"paper.zip: no such file or folder$"):
        segstudy.verify(tmp_path / "paper.zip")
    (tmp_path / "papers.zip").touch()
    with pytest.raises(UserError, match=r"paper.zip: no such file or folder; did you mean .*/papers\.zip\?"):
        segstudy.verify(tmp_path / "paper.zip")


def test_a_run_that_may_not_be_read_is_named(study, monkeypatch):
    """Root reads everything; here the layer below says no in its stead."""
    real, file = os.open, first_run(study) / "epochs.parquet"

    def refuse(path, *args, **kwargs):
        if str(path) == str(file):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    (fault,) = segstudy.verify(study, repair=True).faults
    assert fault.state == "unreadable"
    assert "Permission denied" in fault.detail
    assert first_run(study).is_dir()  # it may well be good: nothing moves it


def test_the_command_says_it_and_exits_with_1(study, capsys):
    assert app(["verify", str(study)], result_action="return_value") == 0
    cut(first_run(study) / "epochs.parquet")
    assert app(["verify", str(study)], result_action="return_value") == 1
    assert "1 fault; `segstudy verify" in " ".join(capsys.readouterr().out.split())
    assert app(["verify", str(study), "--repair", "--json"], result_action="return_value") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["num_runs"] == 2
    assert said["faults"][0]["state"] == "altered"
    assert app(["verify", str(study)], result_action="return_value") == 0


def test_a_description_hashes_to_its_key(study):
    record = json.loads((first_run(study) / "run.json").read_text())
    assert key_of(record["description"]) == record["key"]
    assert pl.read_parquet(first_run(study) / "images.parquet").height
