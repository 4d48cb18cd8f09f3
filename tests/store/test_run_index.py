"""The index of a study's runs: it saves time and changes no answer; it can be damaged or deleted any time."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fake_study
import pytest
from sealed_damage import DAMAGE

import segstudy
from segstudy.core import sealed_json
from segstudy.core.atomic_files import DiskError
from segstudy.store import run_index
from segstudy.store.folder import StudyFolder
from segstudy.store.run_index import INDEX
from segstudy.store.run_records import RECORD_SEAL, seal

OLDER = Path(__file__).parents[1] / "references" / "study-of-0.1"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Three of eight runs are finished, in two environments; an index is kept also of so few."""
    monkeypatch.setattr(run_index, "FEWEST", 1)
    monkeypatch.setattr(run_index, "UNSETTLED_NS", -(10**15))
    folder = fake_study.make_study(tmp_path / "s", seeds=2)
    for name, seed in (("unet-dice-b8", 0), ("unet-dice-b8", 1), ("segnet-bce-b8", 0)):
        fake_study.finish(folder, name, 0.8, 0.8, seed=seed)
    change(folder, max(folder.finished()), lambda record: record["environment"].update(threads=2))
    return folder


def change(folder, key, edit):
    """Alter a run's record in its place, as no command does; its size and time of writing stay."""
    file = folder.runs / key / "run.json"
    before, record = file.stat(), json.loads(file.read_text())
    edit(record)
    record[RECORD_SEAL] = seal({name: value for name, value in record.items() if name != RECORD_SEAL})
    file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def reading(monkeypatch):
    """Keys of the runs whose records are read from now on."""
    read, real = [], run_index.read_run_record
    monkeypatch.setattr(run_index, "read_run_record", lambda folder: read.append(folder.name) or real(folder))
    return read


def test_a_second_call_reads_no_run_and_says_the_same(study, monkeypatch):
    first = segstudy.status(study.path)
    assert (first.num_planned, first.num_finished, first.num_left) == (8, 3, 5)
    assert first.differing == "threads (1, 2)"
    assert first.hardware
    assert first.seconds_to_go == 3 * 60 + 2 * 60.5
    read = reading(monkeypatch)
    for name in ("named_configurations", "rows_of"):  # nothing is planned again
        monkeypatch.setattr(f"segstudy.analysis.progress.{name}", None)
    assert segstudy.status(study.path) == first
    assert not read
    (study.path / INDEX).unlink()
    monkeypatch.undo()
    assert segstudy.status(study.path) == first


def test_a_run_that_changed_is_read_again_and_no_other(study, monkeypatch):
    segstudy.status(study.path)
    read = reading(monkeypatch)
    key = min(study.finished())
    change(study, key, lambda record: record["environment"].update(threads=3))
    assert segstudy.status(study.path).differing == "threads (1, 2, 3)"
    assert read == [key]


def test_new_and_removed_runs_are_counted(study, monkeypatch):
    segstudy.status(study.path)
    read = reading(monkeypatch)
    key = fake_study.finish(study, "segnet-bce-b8", 0.8, 0.8, seed=1)
    assert segstudy.status(study.path).num_finished == 4
    assert read == [key]
    shutil.rmtree(study.runs / key)
    assert segstudy.status(study.path).num_finished == 3
    assert key not in (study.path / INDEX).read_text().split('"derived"')[0]


def test_a_damaged_run_is_refused_though_the_index_knew_it(study):
    segstudy.status(study.path)
    (study.runs / min(study.finished()) / "run.json").write_text("{")
    with pytest.raises(segstudy.UserError, match="damaged"):
        segstudy.status(study.path)


def test_another_plan_is_planned_again(study):
    assert segstudy.status(study.path).num_planned == 8
    file = study.path / "study.toml"
    file.write_text(file.read_text().replace("seeds = 2", "seeds = 3"))
    assert segstudy.status(study.path).num_planned == 12


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_index_is_made_again_without_a_word(study, damage, capsys):
    expected, file = segstudy.status(study.path), study.path / INDEX
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert segstudy.status(study.path) == expected
    assert file.read_bytes() == whole
    assert capsys.readouterr() == ("", "")


def crafted(file, edit):
    """Change an index as somebody could who knows how it is sealed."""
    content = json.loads(file.read_text().split("\n")[1])
    edit(content)
    text = json.dumps(content, separators=(",", ":"))
    file.write_text(f"{sealed_json.seal_of(run_index.VERSION, text.encode())}\n{text}\n")


def first(content):
    return next(iter(content["runs"].values()))


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.update(derived=[]),
        lambda content: content.update(derived={"plan": [], "hardware": 1}),
        lambda content: content["derived"]["plan"].pop("runs"),
        lambda content: content["derived"]["plan"].update(runs=[["unet", {}, ["a"]]]),
        lambda content: content["derived"]["plan"].update(runs=[[]]),
        lambda content: content["derived"]["hardware"].pop("sentences"),
        lambda content: content.pop("networks"),
        lambda content: content["networks"][0][1].pop("epochs"),
        lambda content: content["networks"][0][1].update(epochs=0),
        lambda content: content["networks"][0].pop(),
        lambda content: content.update(environments=[1]),
        lambda content: content.update(runs=[1]),
        lambda content: first(content).__setitem__(4, 99),
        lambda content: first(content).__setitem__(4, -1),
        lambda content: first(content).__setitem__(5, "long"),
        lambda content: first(content).__setitem__(6, [99]),
        lambda content: first(content).pop(),
    ],
)
def test_an_index_that_is_sealed_and_cannot_be_believed_is_made_again(study, edit):
    expected, file = segstudy.status(study.path), study.path / INDEX
    whole = file.read_bytes()
    crafted(file, edit)
    assert file.read_bytes() != whole
    assert segstudy.status(study.path) == expected
    assert file.read_bytes() == whole


def test_a_sealed_index_of_many_levels_is_made_again(study):
    expected, file = segstudy.status(study.path), study.path / INDEX
    text = b'{"derived":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    file.write_bytes(sealed_json.seal_of(run_index.VERSION, text).encode() + b"\n" + text + b"\n")
    assert segstudy.status(study.path) == expected


def test_where_nothing_can_be_written_the_answer_is_the_same(study, monkeypatch):
    expected = segstudy.status(study.path)
    (study.path / INDEX).unlink()

    def refuse(file, _text):
        raise DiskError(file, OSError(30, "Read-only file system"))

    monkeypatch.setattr(run_index, "write_text", refuse)
    assert segstudy.status(study.path) == expected
    assert not (study.path / INDEX).exists()


def test_runs_of_the_last_moments_are_not_stored(study, monkeypatch):
    monkeypatch.setattr(run_index, "UNSETTLED_NS", 10**12)
    segstudy.status(study.path)
    assert not any(key in (study.path / INDEX).read_text().split('"derived"')[0] for key in study.finished())


def test_of_few_runs_there_is_none(study, monkeypatch):
    monkeypatch.setattr(run_index, "FEWEST", 9)
    segstudy.status(study.path)
    assert not (study.path / INDEX).exists()


def test_a_moved_or_copied_study_is_read_again(study, tmp_path, monkeypatch):
    expected = segstudy.status(study.path)
    copy = StudyFolder(shutil.copytree(study.path, tmp_path / "copy"))
    read = reading(monkeypatch)
    assert segstudy.status(copy.path).num_finished == expected.num_finished
    assert sorted(read) == sorted(copy.finished())


def test_keys_that_follow_from_the_runs_are_not_kept(tmp_path, monkeypatch):
    """Version 0.1 wrote no numerics.json, so that its plan follows from the stored runs."""
    monkeypatch.setattr(run_index, "FEWEST", 1)
    study = shutil.copytree(OLDER, tmp_path / "study")
    before = segstudy.status(study)
    assert before.num_finished == 2
    assert json.loads((study / INDEX).read_text().split("\n")[1])["derived"] == {}
    assert segstudy.status(study) == before


def test_it_is_no_fault_and_no_foreign_file(study):
    segstudy.status(study.path)
    assert (study.path / INDEX).exists()
    assert not [fault for fault in segstudy.verify(study.path).faults if fault.path.name == INDEX]


@pytest.mark.slow
def test_two_processes_at_once_leave_a_whole_index(study):
    code = (
        "import sys, segstudy; from segstudy.store import run_index\n"
        "run_index.FEWEST, run_index.UNSETTLED_NS = 1, -10**15\n"
        "for _ in range(20): print(segstudy.status(sys.argv[1]).num_finished)"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", code, study.path], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for _ in range(20):
        (study.path / INDEX).unlink(missing_ok=True)
        assert segstudy.status(study.path).num_finished == 3
    for other in others:
        assert set(other.communicate()[0].split()) == {"3"}
        assert other.returncode == 0
    expected = segstudy.status(study.path)
    (study.path / INDEX).unlink()
    assert segstudy.status(study.path) == expected


def test_it_imports_no_statistics_and_no_tables(study):
    code = (
        "import sys, segstudy; segstudy.status(sys.argv[1])\n"
        "print(*{'scipy', 'torch', 'statsmodels', 'polars', 'numpy'} & set(sys.modules))"
    )
    change(study, max(study.finished()), lambda record: record["environment"].update(threads=1))
    command = [sys.executable, "-c", code, study.path]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not found.stdout.strip()
