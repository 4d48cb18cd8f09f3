"""What a report claims, on studies whose truth is known: the verdict, comparisons and the five questions."""

import json

import polars as pl
import pytest
from fake_study import fail, finish, make_study, masks, sample_ids

import segstudy
from segstudy.analysis.compare import compare_configurations, sides
from segstudy.analysis.confidence_set import may_be_best
from segstudy.analysis.contrasts import contrast
from segstudy.analysis.design import design_of
from segstudy.analysis.factorials import factorials
from segstudy.analysis.formatting import comparison_text
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.report_history import look_notes, record
from segstudy.analysis.results import gather
from segstudy.analysis.verdict import Answers, answer
from segstudy.cli.formatting import render_comparison
from segstudy.core import plugins, registry
from segstudy.core.errors import UserError
from segstudy.core.quantities import percent
from segstudy.losses import Loss, bce
from segstudy.models import Model
from segstudy.models.unet import UNet
from segstudy.reporting.tables import render
from segstudy.stats.comparisons import Difference

SEEDS = 4


def filled(path, means: dict[str, float], *, seeds: int = SEEDS, noise: float = 0.01, **fields):
    """A study in which these configurations have all their runs, with these means on both parts."""
    names = [name.rsplit("-", 2) for name in means]
    folder = make_study(
        path,
        tuple(dict.fromkeys(architecture for architecture, _, _ in names)),
        tuple(dict.fromkeys(loss for _, loss, _ in names)),
        batch_size=sorted({int(size[1:]) for _, _, size in names}),
        seeds=seeds,
        **fields,
    )
    for name, mean in means.items():
        for seed in range(seeds):
            finish(folder, name, mean, mean, seed=seed, noise=noise)
    return folder


def said(folder) -> Answers:
    results = gather(folder)
    epochs = folder.epochs([each.key for row in results.rows for each in row.records])
    return answer(folder.study(), leaderboard(folder, results=results), results, epochs)


FAR = {"unet-dice-b8": 0.9, "unet-bce-b8": 0.8, "segnet-dice-b8": 0.7, "segnet-bce-b8": 0.6}
NEAR = dict.fromkeys(FAR, 0.8)


def test_a_clear_winner_wins(tmp_path):
    found = said(filled(tmp_path / "s", FAR))
    assert found.winner == "unet-dice-b8"
    assert "it wins" in found.verdict
    assert may_be_best(found.contenders) == ["unet-dice-b8"]
    assert found.contenders["unet-dice-b8"].against.best
    assert found.resolution == ""


def test_among_equals_there_is_none(tmp_path):
    found = said(filled(tmp_path / "s", NEAR))
    assert "it wins" not in found.verdict
    assert "none can be excluded" in found.verdict
    assert may_be_best(found.contenders) == list(found.contenders)


def test_a_difference_inside_the_margin_is_no_win(tmp_path):
    folder = filled(tmp_path / "s", {"unet-bce-b8": 0.804, "segnet-bce-b8": 0.8}, noise=0.0001)
    assert "practically equal to segnet-bce-b8" in said(folder).verdict


@pytest.mark.parametrize(("margin", "equal"), [(0.002, False), (0.01, True)])
def test_the_margin_is_that_of_the_study(tmp_path, margin, equal):
    folder = filled(tmp_path / "s", {"unet-bce-b8": 0.804, "segnet-bce-b8": 0.8}, noise=0.0001, margin=margin)
    assert ("practically equal to segnet-bce-b8" in said(folder).verdict) == equal
    found = compare_configurations((folder.path, "unet-bce-b8"), (folder.path, "segnet-bce-b8"))
    assert (f"within the margin of {margin:g}" in found.sentence) == equal
    assert found.as_dict()["difference"]["margin"] == margin


def test_of_two_studies_the_smaller_margin_decides_and_both_are_named(tmp_path):
    means = {"unet-bce-b8": 0.804, "segnet-bce-b8": 0.8}
    one = filled(tmp_path / "one", means, noise=0.0001, margin=0.01)
    other = filled(tmp_path / "other", means, noise=0.0001, margin=0.002)
    found = compare_configurations((one.path, "unet-bce-b8"), (other.path, "segnet-bce-b8"))
    assert found.difference.conclusion == "a"
    assert "margins of the two studies differ (0.01 and 0.002)" in render_comparison(found)


def test_a_single_seed_claims_nothing_however_far_apart(tmp_path):
    folder = filled(tmp_path / "s", FAR, seeds=1)
    found = said(folder)
    assert "no winner is claimed" in found.verdict
    assert "images only; training noise not measured" in found.limits[0]
    assert {each.p_adjusted for each in found.versus.values()} == {None}
    assert found.contenders == {}
    assert leaderboard(folder)["among_best"].to_list() == [None] * len(FAR)
    assert all(not effects.effects for _, effects in found.factorials)


def test_what_is_better_on_test_than_the_winner_takes_the_win_away(tmp_path):
    folder = make_study(tmp_path / "s", ("segnet", "unet"), ("bce",), seeds=SEEDS)
    for seed in range(SEEDS):
        finish(folder, "unet-bce-b8", 0.9, 0.6, seed=seed, noise=0.01)
        finish(folder, "segnet-bce-b8", 0.7, 0.8, seed=seed, noise=0.01)
    found = said(folder)
    assert "there is no winner" in found.verdict
    assert "Its test mean is not the highest: segnet-bce-b8 has 0.8" in found.verdict


def test_whom_any_other_beats_is_out_also_when_the_winner_does_not(tmp_path):
    """The winner on validation is in the middle on test; the last is excluded by the first on test."""
    folder = make_study(tmp_path / "s", ("segnet", "unet"), ("bce", "dice"), seeds=SEEDS)
    on_test = {"unet-dice-b8": 0.79, "unet-bce-b8": 0.80, "segnet-dice-b8": 0.80, "segnet-bce-b8": 0.765}
    for name, mean in on_test.items():
        for seed in range(SEEDS):
            finish(folder, name, 0.9 if name == "unet-dice-b8" else 0.7, mean, seed=seed, noise=0.0125)
    found = said(folder)
    assert found.winner == "unet-dice-b8"
    assert "segnet-bce-b8" not in may_be_best(found.contenders)
    row = leaderboard(folder).row(by_predicate=pl.col("configuration") == "segnet-bce-b8", named=True)
    assert row["among_best"] is False
    assert row["beaten_by"] in ("unet-bce-b8", "segnet-dice-b8")
    assert row["to_best_high"] < 0
    assert "2 have a higher test mean than it" in found.verdict


def test_a_configuration_with_a_failed_replicate_cannot_win_and_is_counted(tmp_path):
    folder = make_study(tmp_path / "s", ("segnet", "unet"), ("bce",), seeds=2)
    for seed in range(2):
        finish(folder, "segnet-bce-b8", 0.7, 0.7, seed=seed, noise=0.01)
    finish(folder, "unet-bce-b8", 0.9, 0.9, seed=0, noise=0.01)
    fail(folder, "unet-bce-b8", seed=1)
    found = said(folder)
    assert found.winner == "segnet-bce-b8"
    assert "1 configuration has not finished all runs and cannot win." in found.limits
    frame = leaderboard(folder)
    row = frame.row(by_predicate=pl.col("configuration") == "unet-bce-b8", named=True)
    assert (row["rank"], row["num_finished"], row["num_planned"], row["failures"]) == (None, 1, 2, "diverged")


def test_before_the_first_run_there_is_nothing_to_say(tmp_path):
    found = said(make_study(tmp_path / "s"))
    assert found.verdict == "No run has finished yet."
    assert found.questions == ()


def test_skip_connections_are_asked_where_there_are_networks_with_and_without(tmp_path):
    first = said(filled(tmp_path / "s", FAR)).questions[0]
    assert first.sentences[0].startswith("unet is better than segnet by 0.2")
    assert "--architecture unet:skips=false" in first.sentences[1]


def test_with_unet_without_skips_the_comparison_is_clean(tmp_path):
    means = {"segnet-bce-b8": 0.6, "unet:skips=false-bce-b8": 0.7, "unet-bce-b8": 0.8}
    first = said(filled(tmp_path / "s", means)).questions[0]
    assert first.sentences[0].startswith("unet is better than unet:skips=false by 0.1")
    assert len(first.tables[0].rows) == 3


def test_a_question_whose_factor_does_not_vary_is_one_line(tmp_path):
    questions = said(filled(tmp_path / "s", {"unet-bce-b8": 0.8, "unet2-bce-b8": 0.7})).questions
    assert len(questions) == 5
    for place in (0, 2, 3):
        assert len(questions[place].sentences) == 1
        assert questions[place].sentences[0].startswith("Not asked here")


def test_families_of_losses_are_compared_by_what_they_hold(tmp_path):
    means = {
        f"unet-{loss}-b8": mean
        for loss, mean in (("bce", 0.8), ("focal", 0.8), ("dice", 0.7), ("tversky", 0.7), ("combo", 0.9))
    }
    third = said(filled(tmp_path / "s", means)).questions[2]
    text = " ".join(third.sentences)
    assert "Distribution losses are better than region losses by 0." in text
    assert "seeds scatter" in text


def steadiness(folder) -> str:
    return " ".join(said(folder).questions[2].sentences)


def test_one_seed_makes_no_loss_the_steadiest(tmp_path):
    """Also if one loss has the smallest gap and the least sensitive threshold."""
    found = steadiness(filled(tmp_path / "s", {"unet-dice-b8": 0.9, "unet-bce-b8": 0.8}, seeds=1))
    assert "cannot be said: one seed does not show how runs scatter" in found
    assert "Steadiest" not in found
    assert "has the smallest gap between validation and test" in found


@pytest.mark.parametrize(("spread", "differ"), [(0.01, False), (0.1, True)])
def test_a_loss_is_steadier_only_where_the_test_of_equal_deviations_says_so(tmp_path, spread, differ):
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"), seeds=6)
    for seed in range(6):
        finish(folder, "unet-bce-b8", 0.8, 0.8 + 0.009 * (-1) ** seed * (1 + seed / 10), seed=seed)
        finish(folder, "unet-dice-b8", 0.8, 0.8 + spread * (-1) ** seed * (1 + seed / 10), seed=seed)
    found = steadiness(folder)
    assert ("Losses differ in how much their seeds scatter: bce least" in found) == differ
    assert ("No loss is shown to be steadier than the others" in found) != differ


def test_a_gap_that_other_images_may_not_have_is_not_said_to_be_explained_by_them(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce",), seeds=SEEDS)
    for seed in range(SEEDS):
        finish(folder, "unet-bce-b8", 0.81, 0.8, seed=seed, noise=0.2)
    first = said(folder).questions[1].sentences[0]
    assert "explains" not in first
    assert "with other images there may be no gap, or one of up to 0." in first


def test_a_pair_that_only_the_correction_leaves_open_says_so():
    apart = Difference(
        mean=0.015,
        low=0.001,
        high=0.03,
        p=0.065,
        standard_error=0.007,
        df=8.0,
        most_df=8.0,
        effect_size=0.3,
        images_won=(3, 2),
        replicates_won=(2, 1),
        has_training_noise=True,
        conclusion="not resolved",
        margin=0.01,
    )
    assert comparison_text("a", "b", apart) == (
        "a and b cannot be told apart once all pairs are allowed for (p = 0.065): "
        "+0.015 IoU [0.001, 0.030] as a pair alone."
    )


def test_batch_sizes_are_compared_at_equal_epochs_and_steps(tmp_path):
    means = {"unet-bce-b8": 0.9, "unet-bce-b12": 0.8, "segnet-bce-b8": 0.7, "segnet-bce-b12": 0.6}
    fourth = said(filled(tmp_path / "s", means)).questions[3]
    assert fourth.sentences[0].startswith("At equal epochs: batch size 8 is better than batch size 12 by 0.1")
    assert "At equal steps" in fourth.sentences[1]


def test_validation_above_test_is_said_with_its_sign(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"), seeds=2)
    for seed in range(2):
        for name in ("unet-bce-b8", "unet-dice-b8"):
            finish(folder, name, 0.9, 0.6, seed=seed, noise=0.01)
    second = said(folder).questions[1]
    assert second.sentences[0].startswith("Validation lies 0.")
    assert " above test on average (+0." in second.sentences[0]
    assert "more than the choice of images explains" in second.sentences[0]
    assert second.sentences[1].startswith("0 of 2 configurations")


def test_folds_are_joined_before_anything_is_compared(tmp_path):
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"), seeds=2, folds=3)
    splits = [
        {"split": "auto", "split_seed": 0, "fold": fold, **sample_ids(f"fold{fold}image{{:02}}")}
        for fold in range(3)
    ]
    folder.write_json("split.json", {"splits": splits})
    for seed in range(2):
        for fold in range(3):
            for name in ("unet-bce-b8", "unet-dice-b8"):
                finish(
                    folder, name, 0.8, 0.7, seed=seed, fold=fold, ids=f"fold{fold}image{{:02}}", noise=0.01
                )
    results = gather(folder)
    assert len(results.ids("unet-bce-b8")) == 3 * len(sample_ids()["test"])
    assert results.scores("unet-bce-b8").shape == (2, 3 * len(sample_ids()["test"]))


def test_factor_effects_are_those_of_the_full_factorials(tmp_path):
    means = {
        f"{a}-{loss}-b{size}": 0.7 + 0.1 * (a == "unet")
        for a in ("segnet", "unet")
        for loss in ("bce", "dice")
        for size in (8, 12)
    }
    found = dict(factorials(design_of(gather(filled(tmp_path / "s", means)))))
    assert set(found) == {
        "architecture × loss at batch size 8",
        "architecture × loss at batch size 12",
        "architecture × loss × batch size",
    }
    effects = {effect.factors: effect.p for effect in found["architecture × loss × batch size"].effects}
    assert effects["architecture",] < 1e-4
    assert effects["loss",] > 0.001


def test_a_contrast_pools_only_what_both_levels_come_with(tmp_path):
    folder = filled(tmp_path / "s", FAR)
    for run in folder.runs.iterdir():  # segnet with bce is gone
        described = json.loads((run / "run.json").read_text())
        if described["name"] == "segnet-bce-b8":
            (run / "run.json").rename(run.with_suffix(".gone"))
            run.rename(run.with_name(run.name + ".partial"))
    found = contrast(gather(folder), "architecture", ["unet"], ["segnet"], ("unet", "segnet"))
    assert found.num_matched == 1
    assert found.difference.mean == pytest.approx(0.2, abs=0.02)


def test_the_table_sets_in_bold_only_what_is_warranted(tmp_path):
    clear = render(leaderboard(filled(tmp_path / "far", FAR)), "latex")
    assert clear.count(r"\textbf") == 1
    assert r"\textbf{0.9" in clear
    assert r"\textbf" not in render(leaderboard(filled(tmp_path / "near", NEAR)), "latex")
    assert "**" not in render(leaderboard(filled(tmp_path / "one", FAR, seeds=1)), "markdown")
    assert "training noise not measured" in render(
        leaderboard(filled(tmp_path / "two", FAR, seeds=1)), "text"
    )


def test_the_terminal_has_the_sentences_on_factors_below_the_table(tmp_path):
    path = filled(tmp_path / "s", FAR).path
    text = segstudy.table(path)
    below = text.partition("sorted by validation")[2]
    assert "architecture: unet is better than segnet by 0." in below
    assert "loss: dice is better than bce by 0." in below
    assert "interaction of architecture and loss" in below.lower()
    for other in (segstudy.table(path, format="csv"), segstudy.table(path, show_all=True)):
        assert "unet is better than segnet" not in other


def test_the_terminal_has_the_share_first_and_the_ranks_of_those_that_may_be_best(tmp_path):
    folder = filled(tmp_path / "s", {**dict.fromkeys(FAR, 0.8), "segnet-bce-b8": 0.5})
    text = segstudy.table(folder.path)
    below = text.partition("Of those that may be best")[2].partition(".\n")[0]
    standings = {each.name: each.stability for each in said(folder).standings}
    for name, each in standings.items():
        assert (f"{name} {percent(each.best)} (rank" in below) == (name != "segnet-bce-b8")
    assert "ties count for each" not in below
    ties = segstudy.table(filled(tmp_path / "ties", dict.fromkeys(FAR, 1.0), noise=0.0).path)
    assert "; ties count for each." in " ".join(ties.split())
    assert "Of those that may be best" not in segstudy.table(filled(tmp_path / "far", FAR).path)
    assert "Of those that may be best" not in segstudy.table(filled(tmp_path / "one", NEAR, seeds=1).path)


def test_compare_says_the_same_in_words_and_numbers(tmp_path):
    folder = filled(tmp_path / "s", FAR).path
    found = compare_configurations(*sides([str(folder), "unet-dice-b8", "segnet-bce-b8"]))
    assert found.difference.conclusion == "a"
    text = render_comparison(found)
    assert "unet-dice-b8 is better than segnet-bce-b8 by 0.3" in text
    assert "seeds won      4 : 0" in text
    as_json = json.loads(json.dumps(found.as_dict()))
    assert as_json["sentence"] == found.sentence
    assert as_json["difference"]["trainings"] is True
    assert set(as_json["a"]["test_iou"]) >= {"mean", "trainings"}


def test_compare_reaches_across_studies_with_equal_test_images(tmp_path):
    a, b = filled(tmp_path / "a", FAR).path, filled(tmp_path / "b", NEAR).path
    found = compare_configurations(*sides([f"{a}:unet-dice-b8", f"{b}:unet-dice-b8"]))
    assert found.difference.mean == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            ["{}", "unet-dice-b8", "unet-none-b8"],
            "'unet-none-b8': did you mean unet-bce-b8. use one of",
        ),
        (["{}"], "two configurations are missing"),
        (["nowhere:unet-dice-b8", "{}:unet-dice-b8"], "must be DIR:CONFIGURATION"),
        (["{}:unet-dice-b8", "{}:unet-bce-b8", "{}:x", "{}"], "compare takes DIR A B"),
    ],
)
def test_compare_says_what_is_wrong(tmp_path, words, part):
    folder = filled(tmp_path / "s", FAR).path
    with pytest.raises(UserError, match=part):
        compare_configurations(*sides([word.format(folder) for word in words]))


def test_compare_refuses_other_test_images(tmp_path):
    a = filled(tmp_path / "a", FAR).path
    other = make_study(tmp_path / "b", ("unet",), ("bce",), ids="other{:02}")
    finish(other, "unet-bce-b8", 0.8, 0.8, ids="other{:02}")
    with pytest.raises(UserError, match="equal test images"):
        compare_configurations(*sides([f"{a}:unet-dice-b8", f"{other.path}:unet-bce-b8"]))


def test_older_runs_of_the_same_name_do_not_take_the_place_of_the_studys_own(tmp_path):
    folder = filled(tmp_path / "s", FAR)
    for seed in range(2):
        finish(folder, "unet-dice-b8", 0.1, 0.1, seed=seed, data="fedcba9876543210")
    names = leaderboard(folder, show_all=True)["configuration"].to_list()
    assert len(set(names)) == len(names)
    assert "unet-dice-b8 (older)" in names
    found = compare_configurations(*sides([str(folder.path), "unet-dice-b8", "segnet-bce-b8"]))
    assert found.a.test_iou.mean == pytest.approx(0.9, abs=0.02)


def test_masks_of_another_tool_stand_beside_and_cannot_win(tmp_path):
    folder = filled(tmp_path / "s", FAR)
    masks(folder, "nnunet", 0.99, {})
    frame = leaderboard(folder)
    row = frame.row(0, named=True)
    assert (row["configuration"], row["rank"], row["masks"]) == ("nnunet", None, True)
    found = said(folder)
    assert found.winner == "unet-dice-b8"
    assert "it wins" in found.verdict
    assert found.versus["nnunet"].p_adjusted is None
    compared = compare_configurations(*sides([str(folder.path), "nnunet", "unet-dice-b8"]))
    assert compared.difference.conclusion == "training noise not measured"
    assert not any("nnunet" in str(answer) for answer in found.questions)


def test_several_seeds_of_masks_are_compared_like_runs(tmp_path):
    folder = filled(tmp_path / "s", FAR)
    masks(folder, "nnunet", 0.3, {}, seeds=(0, 1, 2))
    found = said(folder)
    assert found.contenders["nnunet"].excluded
    assert "nnunet" not in found.verdict


def test_missing_masks_count_as_missing(tmp_path):
    folder = filled(tmp_path / "s", FAR)
    masks(folder, "nnunet", 0.99, {"1": [sample_ids()["test"][0]]}, seeds=(0, 1))
    frame = leaderboard(folder)
    row = frame.row(by_predicate=pl.col("configuration") == "nnunet", named=True)
    assert (row["num_finished"], row["num_planned"]) == (1, 2)
    assert (row["behind"], row["test_iou"], row["test_iou_low"]) == (None, None, None)
    assert "1 of 2 masks" in render(leaderboard(folder), "text")


def test_a_report_on_more_runs_is_one_more_look_at_the_test_part(tmp_path):
    folder = make_study(tmp_path / "s", ("segnet", "unet"), ("bce",))
    finish(folder, "unet-bce-b8", 0.8, 0.7)
    rows = gather(folder).rows
    assert look_notes(folder, rows, record(folder, rows))[1] == "Nothing was added after a first report."
    assert record(folder, rows) == record(folder, rows)
    finish(folder, "segnet-bce-b8", 0.7, 0.6)
    rows = gather(folder).rows
    sentences = look_notes(folder, rows, record(folder, rows))
    assert sentences[0].startswith("The test subset was scored by 2 runs of 2 configurations")
    assert "1 report went before this one" in sentences[1]
    assert "added were segnet-bce-b8" in sentences[1]


def test_seeds_that_lack_different_folds_are_never_mixed(tmp_path):
    """Their images differ, in number or in name; the fullest stands in while none is whole."""
    folder = make_study(tmp_path / "s", ("unet",), ("bce",), seeds=2, folds=3)
    splits = [
        {"split": "auto", "split_seed": 0, "fold": fold, **sample_ids(f"fold{fold}image{{:02}}")}
        for fold in range(3)
    ]
    folder.write_json("split.json", {"splits": splits})
    for seed, folds in ((0, (0, 1)), (1, (1, 2))):
        for fold in folds:
            finish(folder, "unet-bce-b8", 0.8, 0.7, seed=seed, fold=fold, ids=f"fold{fold}image{{:02}}")
    results = gather(folder)
    assert results.seeds("unet-bce-b8") == (0,)
    assert {each[:5] for each in results.ids("unet-bce-b8")} == {"fold0", "fold1"}
    assert leaderboard(folder).height == 1


def test_one_patient_compares_nothing(tmp_path):
    folder = filled(tmp_path / "s", FAR)
    data = json.loads((folder.path / "data.json").read_text())
    data["samples"] = [{**sample, "group": "one"} for sample in data["samples"]]
    folder.write_json("data.json", data)
    found = said(folder)
    assert found.versus == {}
    assert "highest on validation among 4 configurations" in found.verdict
    with pytest.raises(UserError, match="compares nothing"):
        compare_configurations(*sides([str(folder.path), "unet-dice-b8", "segnet-bce-b8"]))


def test_a_component_without_a_record_is_left_out_of_questions_1_and_3_and_counted(tmp_path):
    means = {"segnet-bce-b8": 0.6, "unet-bce-b8": 0.8, "unet-my.py:loss-b8": 0.7, "my.py:Net-bce-b8": 0.7}
    means |= {"segnet-my.py:loss-b8": 0.6, "my.py:Net-my.py:loss-b8": 0.7}
    first, _, third, *_ = said(filled(tmp_path / "s", means)).questions
    left_out = "1 architecture is left out, because its record does not say what to compare: my.py:Net."
    assert left_out in first.sentences
    assert first.sentences[0].startswith("unet is better than segnet by 0.")
    assert "All losses here that belong to a family are distribution losses." in third.sentences
    left_out = "1 loss is left out of the families, because its record names none: my.py:loss."
    assert left_out in third.sentences


@pytest.mark.parametrize(
    ("losses", "question", "named"),
    [
        (
            ("bce", "dice", "combo"),
            "Distribution losses, region losses or the combination?",
            "the combination",
        ),
        (
            ("bce", "dice", "dice+focal"),
            "Distribution losses, region losses or the combination?",
            "the combination",
        ),
        (
            ("bce", "combo", "bce+0.5*dice"),
            "Which family of losses: distribution, region, boundary or combined?",
            "combined losses",
        ),
        (
            ("bce", "boundary", "0.01*boundary+dice"),
            "Which family of losses: distribution, region, boundary or combined?",
            "boundary losses",
        ),
    ],
)
def test_question_3_has_the_families_of_all_losses_and_sums(tmp_path, losses, question, named):
    means = {f"unet-{loss}-b8": 0.7 + n / 20 for n, loss in enumerate(losses)}
    third = said(filled(tmp_path / "s", means)).questions[2]
    assert third.question == question
    assert named in " ".join(third.sentences).lower(), third.sentences


PLUGINS = {
    "architecture": {
        "tiny": Model(UNet, skips_compared=("tiny:skips=false", "tiny")),
        "silent": Model(UNet),
    },
    "loss": {"ours": Loss(bce, "region"), "other": Loss(bce), "wrong": Loss(bce, "regional")},
}


@pytest.mark.slow
def test_plug_ins_take_part_in_questions_1_and_3_as_their_records_declare(tmp_path, monkeypatch):
    installed = {
        kind: {name: [plugins.Plugin(kind, name, "tiny", name, "tiny 1.0")] for name in records}
        for kind, records in PLUGINS.items()
    }
    monkeypatch.setattr(plugins, "installed_plugins", lambda kind: installed.get(kind, {}))
    for module in (plugins, registry):
        monkeypatch.setattr(module, "load", lambda plugin, _: PLUGINS[plugin.kind][plugin.name])
    monkeypatch.setattr(registry, "plugin_version", lambda *_: "tiny 1.0")
    losses = ("bce", *PLUGINS["loss"])
    means = {f"{net}-{loss}-b8": 0.7 for net in ("tiny:skips=false", "silent") for loss in losses}
    means |= {f"tiny-{loss}-b8": 0.9 for loss in losses}
    first, _, third, *_ = said(filled(tmp_path / "s", means)).questions
    assert first.sentences[0].startswith("tiny is better than tiny:skips=false by 0.2")
    assert first.sentences[1].endswith("its record does not say what to compare: silent.")
    assert third.sentences[0].lower().startswith("distribution losses and region losses")
    left_out = "2 losses are left out of the families, because their records name none: other and wrong."
    assert left_out in third.sentences


def test_ends_of_differences_lie_within_what_is_possible_in_tables_and_json(tmp_path):
    """Two seeds that disagree: the interval of Student's t with one degree of freedom is very wide."""
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"), seeds=2)
    for seed, (bce_mean, dice_mean) in enumerate([(0.2, 0.8), (0.9, 0.1)]):
        finish(folder, "unet-bce-b8", bce_mean, bce_mean, seed=seed)
        finish(folder, "unet-dice-b8", dice_mean, dice_mean, seed=seed)
    found = compare_configurations(*sides([str(folder.path), "unet-bce-b8", "unet-dice-b8"]))
    assert found.difference.high > 1
    ends = found.as_dict()["difference"]
    assert (ends["low"], ends["high"]) == (-1, 1)
    frame = leaderboard(folder)
    for name in ("behind", "to_best"):
        for row in frame.drop_nulls(f"{name}_low").iter_rows(named=True):
            assert (row[f"{name}_low"], row[f"{name}_high"]) == (-1, 1)
