"""A stored run belongs to the configuration whose planned run has its key, also in studies of version 0.1."""

import json

import pytest
from fake_study import fail, finish, make_study

from segstudy.analysis.configurations import rows_of


def found(folder, show_all=False):
    return {row.name: (len(row.records), len(row.failures)) for row in rows_of(folder, show_all)}


def test_the_key_decides_and_not_what_the_record_says(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"))
    key = finish(folder, "unet-bce-b8", 0.7, 0.6)
    assert found(folder) == {"unet-bce-b8": (1, 0), "unet-dice-b8": (0, 0)}
    record = json.loads((folder.runs / key / "run.json").read_text())
    other = folder.runs / ("0" * 16)
    (folder.runs / key).rename(other)
    (other / "run.json").write_text(json.dumps({**record, "key": other.name}))
    assert found(folder) == {"unet-bce-b8": (0, 0), "unet-dice-b8": (0, 0)}
    assert found(folder, show_all=True)["unet-bce-b8 (older)"] == (1, 0)


@pytest.mark.parametrize("folds", [0, 3])
def test_a_study_of_version_0_1_has_its_runs_and_failures(tmp_path, folds):
    """It wrote no numerics.json, and failures without a description."""
    folder = make_study(tmp_path / "s", ("unet", "segnet"), ("bce",), seeds=2, folds=folds)
    (folder.path / "numerics.json").unlink()
    fold = 2 if folds else None
    finish(folder, "unet-bce-b8", 0.7, 0.6, fold=fold)
    fail(folder, "unet-bce-b8", seed=1, fold=fold)
    fail(folder, "segnet-bce-b8", fold=fold)
    assert found(folder) == {"unet-bce-b8": (1, 1), "segnet-bce-b8": (0, 1)}


def test_without_numerics_json_the_newest_run_says_which_code_counts(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce",), seeds=2)
    (folder.path / "numerics.json").unlink()
    finish(folder, "unet-bce-b8", 0.7, 0.6, version=2, started="2026-03-01T00:00:00+00:00")
    finish(folder, "unet-bce-b8", 0.7, 0.6, seed=1, started="2026-02-01T00:00:00+00:00")
    assert found(folder, show_all=True) == {"unet-bce-b8": (1, 0), "unet-bce-b8 (older)": (1, 0)}
    (row, older) = rows_of(folder, show_all=True)
    assert row.records[0].description.numerics["training"] == 2
    assert older.records[0].description.numerics["training"] == 1


def test_a_component_that_was_written_into_study_toml_has_its_runs_again(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"))
    finish(folder, "unet-dice-b8", 0.7, 0.6)
    versions = json.loads((folder.path / "numerics.json").read_text())
    del versions["loss"]["dice"]
    folder.write_json("numerics.json", versions)
    assert found(folder) == {"unet-bce-b8": (0, 0), "unet-dice-b8": (1, 0)}
    folder.write_json("numerics.json", {**versions, "training": 2})  # the rest of it holds
    assert found(folder) == {"unet-bce-b8": (0, 0), "unet-dice-b8": (0, 0)}


def test_a_study_in_bfloat16_keeps_the_runs_of_the_arithmetic_it_was_planned_with(tmp_path):
    """Its runs of before have no version of bfloat16; ``numerics.json`` says which keys count."""
    folder = make_study(tmp_path / "s", ("unet",), ("bce",), factors={"precision": ["bfloat16", "float32"]})
    finish(folder, "unet-bce-b8-precision=bfloat16", 0.7, 0.6)
    finish(folder, "unet-bce-b8-precision=float32", 0.7, 0.6)
    both = {"unet-bce-b8-precision=bfloat16": (1, 0), "unet-bce-b8-precision=float32": (1, 0)}
    assert found(folder) == both
    versions = json.loads((folder.path / "numerics.json").read_text())
    folder.write_json("numerics.json", {**versions, "bfloat16": {"unet": 2}})  # planned again
    assert found(folder) == {**both, "unet-bce-b8-precision=bfloat16": (0, 0)}
    older = found(folder, show_all=True)
    assert older["unet-bce-b8-precision=bfloat16 (older)"] == (1, 0)
