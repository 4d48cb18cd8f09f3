"""The leaderboard: what each number is the mean of, who may win, and every way to print it."""

import io
import json
import random

import polars as pl
import pytest
from fake_study import fail, finish, make_study

from segstudy.analysis.leaderboard import first_ranked, leaderboard
from segstudy.core.errors import UserError
from segstudy.reporting.tables import HEADINGS, render


@pytest.fixture
def folder(tmp_path):
    return make_study(tmp_path / "study")


def row(frame: pl.DataFrame, name: str) -> dict:
    return frame.row(by_predicate=pl.col("configuration") == name, named=True)


def test_the_highest_on_validation_stands_first_whatever_test_says(folder):
    finish(folder, "segnet-bce-b8", 0.80, 0.90)
    finish(folder, "unet-bce-b8", 0.85, 0.60)
    frame = leaderboard(folder)
    assert frame["configuration"].to_list()[:2] == ["unet-bce-b8", "segnet-bce-b8"]
    assert frame["rank"].to_list() == [1, 2, None, None]
    assert first_ranked(frame) == "unet-bce-b8"


def test_a_study_without_a_finished_run_has_rows_but_no_winner(folder):
    frame = leaderboard(folder)
    assert frame.height == 4
    assert frame["rank"].null_count() == 4
    assert frame["validation_iou"].null_count() == 4
    assert first_ranked(frame) is None


def test_scores_of_one_run_are_means_over_its_images(folder):
    key = finish(folder, "unet-dice-b8", 0.7, 0.6)
    images = pl.read_parquet(folder.runs / key / "images.parquet")
    found = row(leaderboard(folder), "unet-dice-b8")
    for name, part in (("validation_iou", "validation"), ("test_iou", "test"), ("test_dice", "test")):
        ious = images.filter(pl.col("part") == part)["native_iou"].to_list()
        assert found[name] == pytest.approx(sum(ious) / len(ious))


def test_seeds_weigh_the_same(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), seeds=3)
    for seed, iou in enumerate((0.6, 0.7, 0.9)):
        finish(folder, "unet-bce-b8", iou, iou - 0.1, seed=seed)
    found = row(leaderboard(folder), "unet-bce-b8")
    assert found["validation_iou"] == pytest.approx((0.6 + 0.7 + 0.9) / 3)
    assert found["test_iou"] == pytest.approx((0.5 + 0.6 + 0.8) / 3)
    assert found["seconds"] == pytest.approx(61)
    assert (found["num_finished"], found["num_planned"], found["rank"]) == (3, 3, 1)


def test_the_images_of_all_folds_of_a_seed_are_joined_before_the_mean(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), seeds=2, folds=3)
    for seed in range(2):
        for fold in range(3):
            finish(folder, "unet-bce-b8", 0.5 + 0.1 * fold, 0.4 + 0.2 * seed, seed=seed, fold=fold)
    found = row(leaderboard(folder), "unet-bce-b8")
    assert found["num_planned"] == 6
    assert found["validation_iou"] == pytest.approx(0.6)
    assert found["test_iou"] == pytest.approx(0.5)


def test_a_configuration_with_missing_runs_has_scores_but_cannot_win(tmp_path):
    folder = make_study(tmp_path / "study", ("segnet", "unet"), ("bce",), seeds=2)
    for seed in range(2):
        finish(folder, "segnet-bce-b8", 0.6, 0.6, seed=seed)
    finish(folder, "unet-bce-b8", 0.9, 0.9)
    fail(folder, "unet-bce-b8", seed=1)
    frame = leaderboard(folder)
    best = row(frame, "unet-bce-b8")
    assert (best["num_finished"], best["num_planned"], best["rank"]) == (1, 2, None)
    assert best["failures"] == "diverged"
    assert best["validation_iou"] == pytest.approx(0.9)
    assert row(frame, "segnet-bce-b8")["rank"] == 1
    assert first_ranked(frame) == "segnet-bce-b8"


def test_runs_that_the_study_no_longer_names_show_only_with_all(tmp_path):
    folder = make_study(tmp_path / "study", ("segnet", "unet"), ("bce",))
    finish(folder, "unet-bce-b8", 0.9, 0.9)
    make_study(tmp_path / "study", ("segnet",), ("bce",))
    assert leaderboard(folder)["configuration"].to_list() == ["segnet-bce-b8"]
    assert set(leaderboard(folder, show_all=True)["configuration"]) == {"segnet-bce-b8", "unet-bce-b8"}


def test_a_run_on_other_data_does_not_count(folder):
    finish(folder, "unet-bce-b8", 0.9, 0.9, data="fedcba9876543210")
    assert row(leaderboard(folder), "unet-bce-b8")["num_finished"] == 0
    finish(folder, "unet-bce-b8", 0.6, 0.5)
    assert row(leaderboard(folder), "unet-bce-b8")["validation_iou"] == pytest.approx(0.6)
    everything = leaderboard(folder, show_all=True)
    assert row(everything, "unet-bce-b8")["rank"] == 1
    older = row(everything, "unet-bce-b8 (older)")
    assert (older["num_planned"], older["rank"]) == (0, None)
    assert older["validation_iou"] == pytest.approx(0.9)


def test_a_run_of_older_code_does_not_count(folder):
    finish(folder, "unet-bce-b8", 0.9, 0.9, version=0, started="2026-02-01T00:00:00+00:00")
    finish(folder, "unet-bce-b8", 0.6, 0.5, started="2026-01-01T00:00:00+00:00")
    found = row(leaderboard(folder), "unet-bce-b8")
    assert (found["num_finished"], found["rank"]) == (1, 1)
    assert found["validation_iou"] == pytest.approx(0.6)


def test_a_run_on_another_split_does_not_count(folder):
    finish(folder, "unet-bce-b8", 0.9, 0.9, ids="other{:02}")
    assert row(leaderboard(folder), "unet-bce-b8")["num_finished"] == 0


def test_a_run_that_the_study_no_longer_names_never_wins(tmp_path):
    folder = make_study(tmp_path / "study", ("segnet", "unet"), ("bce",))
    finish(folder, "segnet-bce-b8", 0.6, 0.6)
    finish(folder, "unet-bce-b8", 0.9, 0.9)
    make_study(tmp_path / "study", ("segnet",), ("bce",))
    frame = leaderboard(folder, show_all=True)
    assert first_ranked(frame) == "segnet-bce-b8"
    assert row(frame, "unet-bce-b8")["rank"] is None
    assert "1, not in study.toml" in render(frame, "text")


def test_a_failure_of_older_code_is_none_of_the_studys(folder):
    fail(folder, "unet-bce-b8", version=0)
    assert row(leaderboard(folder), "unet-bce-b8")["failures"] == ""
    finish(folder, "unet-bce-b8", 0.7, 0.6)
    assert row(leaderboard(folder), "unet-bce-b8")["failures"] == ""


def test_the_order_in_which_runs_ended_changes_nothing(tmp_path):
    frames = []
    for attempt in range(2):
        folder = make_study(tmp_path / f"study{attempt}", seeds=2)
        runs = [(name, seed) for name in leaderboard(folder)["configuration"] for seed in range(2)]
        random.Random(attempt).shuffle(runs)
        for name, seed in runs:
            finish(folder, name, 0.5 + len(name) / 100 + seed / 100, 0.5, seed=seed)
        frames.append(leaderboard(folder))
    assert frames[0].equals(frames[1])


@pytest.fixture
def frame(folder):
    finish(folder, "segnet-bce-b8", 0.81234, 0.7)
    fail(folder, "unet-bce-b8")
    return leaderboard(folder)


def test_csv_and_json_hold_every_column_and_value(frame):
    assert pl.read_csv(io.StringIO(render(frame, "csv"))).columns == frame.columns
    rows = json.loads(render(frame, "json"))
    assert [found["configuration"] for found in rows] == frame["configuration"].to_list()
    assert rows[0]["validation_iou"] == frame["validation_iou"][0]


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_tables_for_people_hold_every_row_and_say_what_is_missing(frame, form):
    text = render(frame, form)
    for name in frame["configuration"]:
        assert sum(name in line for line in text.splitlines()) == 1
    assert "0.812" in text
    assert "1 of 1" in text
    assert "0 of 1 (diverged)" in text
    assert "None" not in text


def test_every_line_of_a_markdown_table_has_the_same_number_of_bars(frame):
    lines = [line for line in render(frame, "markdown").splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}


def test_latex_has_as_many_columns_in_every_row_and_no_bare_underscore(tmp_path):
    folder = make_study(tmp_path / "study", ("dilated_unet",), ("bce",))
    lines = [line for line in render(leaderboard(folder), "latex").splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in lines} == {len(HEADINGS) - 1}
    assert r"dilated\_unet-bce-b8" in lines[1]


def test_an_unknown_format_is_refused_with_the_choices(frame):
    with pytest.raises(UserError, match="text, markdown, csv, json, latex"):
        render(frame, "xml")
