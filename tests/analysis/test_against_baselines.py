"""A study's first configuration against masks that look at no image."""

from pathlib import Path

import polars as pl
import pytest
from fake_study import finish, make_study

import segstudy
from segstudy.analysis.against_baselines import baseline_note, networks_note
from segstudy.analysis.configurations import rows_of
from segstudy.analysis.leaderboard import leaderboard
from segstudy.reporting.page import read_report_data
from segstudy.store.folder import StudyFolder

NAME = "unet-bce-b8"
SPLIT = {"split": "auto", "split_seed": 0, "fold": None, "part": "test"}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    folder = make_study(tmp_path / "study", ("unet",), ("bce",))
    finish(folder, NAME, 0.9, 0.6)
    return folder


def with_baselines(folder: StudyFolder, **ious: float) -> str:
    rows = [
        {**SPLIT, "baseline": name.replace("_", " "), "id": f"i{i}", "native_iou": iou + shift}
        for name, iou in ious.items()
        for i, shift in enumerate((-0.1, 0.1))
    ]
    folder.write_table("baselines.parquet", pl.DataFrame(rows, schema_overrides={"fold": pl.Int64}))
    return baseline_note(folder, leaderboard(folder))


def test_nothing_is_said_where_it_is_better_than_all_of_them_or_none_is_known(folder: StudyFolder) -> None:
    assert baseline_note(folder, leaderboard(folder)) == ""
    assert with_baselines(folder, all_foreground=0.2, mean_mask=0.5) == ""


def test_one_that_is_no_better_is_named_with_the_best_baseline(folder: StudyFolder) -> None:
    note = with_baselines(folder, all_foreground=0.2, all_background=0.8, mean_mask=0.7)
    assert note == (
        f"{NAME} is no better on test than a mask that looks at no image: IoU 0.600, all background 0.800."
    )
    assert f"\n{note}\n" in segstudy.table(folder.path)
    assert note not in segstudy.table(folder.path, "markdown")
    assert read_report_data(folder, images=False).answers.limits[0] == note


def test_several_splits_have_baselines_of_their_own_and_nothing_is_said(folder: StudyFolder) -> None:
    with_baselines(folder, all_background=0.8)
    table = folder.baselines()
    assert table is not None
    other = table.with_columns(split_seed=pl.lit(1, pl.Int64))
    folder.write_table("baselines.parquet", pl.concat([table, other]))
    assert baseline_note(folder, leaderboard(folder)) == ""


def test_an_audit_with_networks_no_better_than_a_baseline_says_that_it_means_little(folder: StudyFolder):
    with_baselines(folder, mean_mask=0.85)
    rows = rows_of(folder)
    note = networks_note(folder, {row.name: row.keys for row in rows})
    assert note.startswith("These networks are no better on test than a mask that looks at no image: IoU ")
    assert "mean mask 0.85" in note
    assert "says little about a mask" in note
    with_baselines(folder, mean_mask=0.1)
    assert networks_note(folder, {row.name: row.keys for row in rows}) == ""
    (folder.path / "baselines.parquet").unlink()
    assert networks_note(folder, {row.name: row.keys for row in rows}) == ""
