"""Shares of the training images as a factor: splits, keys, and what plan and split.json say."""

import json

import pytest
from empty_reports import empty_reports

import segstudy
from segstudy.analysis.configurations import rows_of
from segstudy.analysis.results import gather
from segstudy.config.study import extend, override, preset_study
from segstudy.core.errors import UserError
from segstudy.evaluation.external_masks import scored_parts
from segstudy.store.folder import StudyFolder
from segstudy.store.preregistration import preregistration
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, write_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
TINY = {"image_size": [32], "width": [2], "epochs": [1], "architecture": ["unet"], "loss": ["bce"]}


def tiny(**fields):
    return override(preset_study("classic", "tiny", "synthetic:n=24"), {**TINY, "batch_size": [4], **fields})


def test_a_share_of_1_has_the_keys_of_before_and_others_have_their_own():
    before, shares = make_plan(tiny(), SERIAL), make_plan(tiny(train_frac=[".5", "1"]), SERIAL)
    described = {run.configuration.protocol.train_frac: run.description() for run in shares.runs}
    assert {run.key for run in before.runs} == {
        run.key for run in shares.runs if "train_frac" not in run.description()
    }
    assert "train_frac" not in described[1.0]
    assert described[0.5]["train_frac"] == 0.5
    assert described[0.5]["split"] != described[1.0]["split"]


def test_the_plan_counts_the_images_of_each_share():
    plan = make_plan(tiny(train_frac=[0.25, 0.5, 1]), SERIAL)
    assert plan.overview().parts == ((3, 6, 6), (6, 6, 6), (12, 6, 6))
    assert "with train_frac 0.25, 0.5 and 1" in plan.overview().grids
    assert sorted(plan.names().values()) == [f"unet-bce-b4-train_frac={each}" for each in (0.25, 0.5, 1.0)]
    only = make_plan(tiny(train_frac=[0.5]), SERIAL)
    assert only.overview().parts == ((6, 6, 6),)


def test_with_folds_and_repeats_each_has_its_share():
    plan = make_plan(tiny(train_frac=[0.5, 1], folds=[3], repeats=[2]), SERIAL)
    assert len(plan.runs) == 12
    whole = {key: split for key, split in plan.splits.items() if key.train_frac == 1}
    assert len(whole) == 6
    for key, split in whole.items():
        half = plan.splits[key._replace(train_frac=0.5)]
        assert set(half.train) < set(split.train)
        assert (half.validation, half.test) == (split.validation, split.test)
        assert len(half.train) * 2 == len(split.train)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ([0.5, 0.51], r"train_frac 0\.5 and 0\.51 give the same 6 training images: leave one of them out"),
        ([0.99, 1], r"train_frac 0\.99 and 1 give the same 12 training images"),
        ([0.05], "train_frac 0.05 would leave 1 of 12 training images"),
    ],
)
def test_shares_without_an_effect_are_refused(fractions, message):
    with pytest.raises(UserError, match=message):
        make_plan(tiny(train_frac=fractions), SERIAL)


@pytest.mark.parametrize("frac", [0, 1.5, -1, "half"])
def test_other_values_are_refused(frac):
    with pytest.raises(UserError, match="train_frac"):
        tiny(train_frac=[frac])


def test_the_stored_splits_and_the_preregistration_name_the_share(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    write_plan(make_plan(tiny(), SERIAL), folder)
    [whole] = json.loads((folder.path / "split.json").read_text())["splits"]
    assert "train_frac" not in whole  # as before there was one
    write_plan(make_plan(tiny(train_frac=[0.5]), SERIAL), folder)
    first, second = json.loads((folder.path / "split.json").read_text())["splits"]
    assert first == whole  # what the baselines are computed from
    assert second["train_frac"] == 0.5
    assert set(second["train"]) < set(whole["train"])


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> segstudy.Study:
    out = tmp_path_factory.mktemp("shares") / "study"
    with empty_reports():
        return segstudy.run(
            "synthetic:n=24",
            out=out,
            train_frac=[0.25, 0.5, 1],
            architecture="unet",
            loss="bce",
            epochs=1,
            image_size=32,
            width=2,
            batch_size=4,
            workers=1,
            images=False,
        )


def test_a_trained_study_finds_its_runs_again_and_scores_all_shares_on_the_same_images(study):
    rows = rows_of(study.folder)
    assert [row.name for row in rows] == [f"unet-bce-b4-train_frac={each}" for each in (0.25, 0.5, 1.0)]
    assert all(row.complete for row in rows)
    results = gather(study.folder)
    assert all(results.comparable(rows[0].name, row.name) for row in rows)
    assert segstudy.verify(study.path).num_elsewhere == 0
    found = preregistration(study.folder)
    assert found is not None
    assert [each.train_frac for each in found.splits] == [1.0, 0.25, 0.5]


def test_a_share_may_be_added_later_and_changes_no_other_run(study):
    more = make_plan(extend(study.folder.study(), {"train_frac": [0.75]}), SERIAL)
    assert {run.key for run in more.runs} > study.folder.finished()
    assert len(more.runs) == 4


def test_baselines_and_masks_of_other_tools_are_scored_once_for_all_shares(study):
    baselines = study.folder.baselines()
    assert baselines is not None
    [whole] = [each for each in study.folder.splits() if each.train_frac == 1]
    assert set(baselines["id"]) == {*whole.validation, *whole.test}
    assert not baselines.select("baseline", "part", "id").is_duplicated().any()
    assert scored_parts(study.folder) == {"validation": tuple(whole.validation), "test": tuple(whole.test)}
