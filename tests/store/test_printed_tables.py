"""Tables that are kept as they were printed: they save time, change no answer, and are checked each time."""

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
from segstudy.api import table as api
from segstudy.core.atomic_files import DiskError
from segstudy.core.cache import cache_folder
from segstudy.core.plugins import GROUPS
from segstudy.store import printed_tables

OLDER = Path(__file__).parents[1] / "references" / "study-of-0.1"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Two of four runs are finished; a table is kept at once."""
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(printed_tables, "UNSETTLED_NS", -(10**15))
    folder = fake_study.make_study(tmp_path / "s", seeds=1)
    for name, score in (("unet-dice-b8", 0.8), ("segnet-bce-b8", 0.7)):
        fake_study.finish(folder, name, score, score)
    return folder


def kept() -> list[Path]:
    return sorted(cache_folder().glob("printed-tables/*"))


def install_plugin(site: Path, group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that declares a plug-in; it cannot be imported, and nothing here needs it."""
    about = site / "extra-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\nextra = no_such_module:RECORD\n")
    monkeypatch.syspath_prepend(site)


def computing(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The studies whose table is computed from now on."""
    from segstudy.reporting import leaderboard_text as module

    real, found = module.leaderboard_text, []
    monkeypatch.setattr(
        module, "leaderboard_text", lambda folder, *rest: found.append(folder) or real(folder, *rest)
    )
    return found


def test_a_second_call_computes_nothing_and_says_the_same(study, monkeypatch):
    found = computing(monkeypatch)
    first = segstudy.table(study.path, width=100)
    assert "unet-dice-b8" in first
    assert segstudy.table(study.path, width=100) == first
    assert found == [study.path]
    assert not [file for file in study.path.rglob("*") if "printed" in file.name]  # the study stays as it is


CALLS = ("text",), ("csv",), ("json",), ("text", True), ("text", False, 60), ("text", False, None, 1)


def test_each_call_has_its_own(study):
    first = [segstudy.table(study.path, *call) for call in CALLS]
    assert len(kept()) == len(CALLS)
    assert [segstudy.table(study.path, *call) for call in CALLS] == first


def rewrite(file: Path) -> None:
    file.write_bytes(file.read_bytes())


CHANGES = {
    "a run is new": lambda study: fake_study.finish(study, "unet-bce-b8", 0.9, 0.9),
    "a run is gone": lambda study: shutil.rmtree(study.runs / min(study.finished())),
    "a run failed": lambda study: study.write_failure("0" * 16, {"name": "x", "reason": "diverged"}),
    "a record was written again": lambda study: rewrite(study.runs / min(study.finished()) / "run.json"),
    "a table was written again": lambda study: rewrite(study.runs / min(study.finished()) / "images.parquet"),
    "the study was edited": lambda study: rewrite(study.path / "study.toml"),
    "baselines are new": lambda study: (study.path / "baselines.parquet").write_bytes(b""),
    "masks were scored": lambda study: (
        (study.external / "x").mkdir(parents=True) or (study.external / "x" / "record.json").write_text("{}")
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_any_change_it_is_not_used(study, change):
    segstudy.table(study.path)
    call = ["table", str(study.path), "text", False, None, None]
    state = printed_tables.state_of(study.path)
    assert printed_tables.read_printed(study.path, call, state) is not None
    change(study)
    assert printed_tables.read_printed(study.path, call, printed_tables.state_of(study.path)) is None


def test_a_change_in_place_of_equal_size_and_time_is_noticed(study, monkeypatch):
    segstudy.table(study.path)
    file = study.runs / min(study.finished()) / "images.parquet"
    before, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(segstudy.UserError, match="damaged"):
        segstudy.table(study.path)


def test_another_program_and_other_libraries_compute_again(study, monkeypatch):
    segstudy.table(study.path)
    found = computing(monkeypatch)
    monkeypatch.setattr(printed_tables, "__version__", "99")
    segstudy.table(study.path)
    monkeypatch.setattr(printed_tables, "LIBRARIES", ("numpy", "polars"))
    segstudy.table(study.path)
    assert len(found) == 2


@pytest.mark.parametrize("kind", ["architecture", "loss", "metric"])
def test_with_a_plug_in_nothing_is_kept_or_used(study, tmp_path, monkeypatch, kind):
    """Its record has titles, units and digits of a table, and its code may be anywhere."""
    segstudy.table(study.path)
    assert len(kept()) == 1
    install_plugin(tmp_path / "site", GROUPS[kind], monkeypatch)
    found = computing(monkeypatch)
    segstudy.table(study.path)
    segstudy.table(study.path, width=100)
    assert len(found) == 2
    assert len(kept()) == 1


def test_a_plug_in_of_another_kind_changes_no_table(study, tmp_path, monkeypatch):
    install_plugin(tmp_path / "site", GROUPS["tracker"], monkeypatch)
    segstudy.table(study.path)
    assert len(kept()) == 1


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_made_again_without_a_word(study, damage, capsys):
    expected, (file,) = segstudy.table(study.path), kept()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert segstudy.table(study.path) == expected
    assert file.read_bytes() == whole
    assert capsys.readouterr() == ("", "")


def test_a_deleted_file_is_made_again(study):
    expected, (file,) = segstudy.table(study.path), kept()
    file.unlink()
    assert segstudy.table(study.path) == expected
    assert kept() == [file]


def test_where_nothing_can_be_written_the_answer_is_the_same(study, monkeypatch):
    expected = segstudy.table(study.path)
    shutil.rmtree(cache_folder())

    def refuse(file, _text):
        raise DiskError(file, OSError(30, "Read-only file system"))

    monkeypatch.setattr(printed_tables, "write_text", refuse)
    assert segstudy.table(study.path) == expected
    assert not kept()


def test_of_files_that_changed_just_now_nothing_is_kept(study, monkeypatch):
    monkeypatch.setattr(printed_tables, "UNSETTLED_NS", 10**12)
    segstudy.table(study.path)
    assert not kept()


def test_a_change_during_the_computation_is_not_missed(study, monkeypatch):
    from segstudy.reporting import leaderboard_text as module

    real = module.leaderboard_text

    def changed_meanwhile(*call):
        text = real(*call)
        fake_study.finish(study, "unet-bce-b8", 0.9, 0.9)
        return text

    monkeypatch.setattr(module, "leaderboard_text", changed_meanwhile)
    before = segstudy.table(study.path)
    monkeypatch.setattr(module, "leaderboard_text", real)
    assert segstudy.table(study.path) != before


def test_of_a_study_whose_plan_follows_from_other_files_nothing_is_kept(tmp_path, study):
    """Version 0.1 wrote no numerics.json, so that its plan follows from more than its folder."""
    copy = shutil.copytree(OLDER, tmp_path / "older")
    assert segstudy.table(copy) == segstudy.table(copy)
    assert not kept()


def test_a_folder_that_is_no_study_is_refused(tmp_path, study):
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(segstudy.UserError, match="is not a study"):
            segstudy.table(place)
    assert not kept()


def test_a_kept_table_needs_no_statistics(study):
    code = (
        "import sys, segstudy; from segstudy.store import printed_tables\n"
        "printed_tables.UNSETTLED_NS = -10**15\n"
        "print(len(segstudy.table(sys.argv[1])))\n"
        "print(*{'scipy', 'polars', 'numpy', 'pydantic', 'torch'} & set(sys.modules))"
    )
    said = [
        subprocess.run([sys.executable, "-c", code, study.path], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    first, second = (each.stdout.split("\n") for each in said)
    assert first[0] == second[0]
    assert "scipy" in first[1]
    assert not second[1]


def test_content_is_plain_json(study):
    text, (file,) = segstudy.table(study.path), kept()
    assert json.loads(file.read_text().split("\n")[1])["text"] == text
    assert api.table is segstudy.table
