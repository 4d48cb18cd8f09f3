"""Folds that are dealt several times: the runs, their keys, and both answers."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
from empty_reports import empty_reports
from fake_study import rewrite

import segstudy
from segstudy.analysis.compare import compare_configurations
from segstudy.analysis.empty_masks import empty_masks, penalties
from segstudy.analysis.results import gather
from segstudy.analysis.verdict import answer
from segstudy.cli.formatting import render_comparison
from segstudy.config.study import override
from segstudy.core.errors import UserError
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")

TINY = {
    "architecture": "unet",
    "loss": ["bce", "dice"],
    "folds": 3,
    "epochs": 1,
    "image_size": 32,
    "width": 2,
    "batch_size": 4,
    "workers": 1,
    "images": False,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> segstudy.Study:
    out = tmp_path_factory.mktemp("repeats") / "study"
    with empty_reports():
        return segstudy.run("synthetic:n=12", repeats=2, out=out, **TINY)


def test_repeats_are_the_folds_of_the_next_split_seeds(study):
    splits = json.loads((study.path / "split.json").read_text())["splits"]
    assert [(each["split_seed"], each["fold"]) for each in splits] == [
        (s, f) for s in (0, 1) for f in range(3)
    ]
    assert len(study.runs()) == 12
    results = gather(study.folder)
    scores = results.by_fold["unet-bce-b4", "test"]
    assert scores.scores.shape == (1, 2, 12)
    assert (scores.num_folds, scores.num_repeats) == (3, 2)
    joined = results.scores("unet-bce-b4")
    assert joined is not None
    assert np.allclose(joined, scores.scores.mean(1))


def test_a_lesion_that_one_repeat_of_several_misses_is_counted(study, tmp_path):
    """Means over repeats would hide it: their distance is no penalty."""
    copy = segstudy.Study(shutil.copytree(study.path, tmp_path / "study")).folder
    (row, _) = gather(copy).rows
    files = [copy.runs / record.key / "images.parquet" for record in row.records]
    for file in files:
        rewrite(file, pl.read_parquet(file).with_columns(native_hd95_frac=0.1, native_specificity=0.9))
    table = pl.read_parquet(files[0])
    here = (pl.col("part") == "test") & (pl.col("id") == table.filter(part="test")["id"][0])
    missed = {"native_iou": 0.0, "native_hd95_frac": 1.0, "native_specificity": 1.0}
    columns = {name: pl.when(here).then(value).otherwise(pl.col(name)) for name, value in missed.items()}
    rewrite(files[0], table.with_columns(**columns))
    found = gather(copy)
    each = empty_masks(found, row.name)
    assert (each.num_predictions, each.num_missed, each.num_spurious) == (2 * 12, 1, 0)
    assert penalties(found, row.name, "hd95_px") == (1, 24)


def test_their_runs_are_those_of_a_study_with_that_split_seed(study):
    """A run is found again, however the study names its split: its key has the images of the split alone."""
    changes = [{"repeats": [1], "split_seed": [split_seed]} for split_seed in (0, 1)]
    plans = [make_plan(override(study.folder.study(), change), SERIAL) for change in changes]
    keys = {run.key for plan in plans for run in plan.runs}
    assert keys == study.folder.finished()


def test_both_answers_are_given(study):
    found = compare_configurations((study.path, "unet-bce-b4"), (study.path, "unet-dice-b4"))
    assert found.across is not None
    assert (found.across.num_folds, found.across.num_repeats) == (3, 2)
    assert "For training sets like these" in render_comparison(found)
    results = gather(study.folder)
    epochs = study.folder.epochs([record.key for row in results.rows for record in row.records])
    said = answer(study.folder.study(), study.leaderboard(), results, epochs)
    assert said.training_sets is not None
    assert any(limit.startswith("For training sets like these") for limit in said.limits)
    assert "moves the score of a fold" in " ".join(said.training_sets.sentences)


def test_repeats_without_folds_or_over_split_seeds_are_refused():
    with pytest.raises(UserError, match="repeats needs folds"):
        segstudy.plan("synthetic:n=12", repeats=2, folds=0)
    with pytest.raises(UserError, match="leave one of them out"):
        segstudy.plan("synthetic:n=12", repeats=2, folds=3, split_seed=[0, 1])
