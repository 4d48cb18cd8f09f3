"""The answers on factors, on studies whose truth is known: effects, interactions, nested and numeric ones."""

from collections.abc import Mapping

import pytest
from fake_study import finish, make_study

from segstudy.analysis.configurations import rows_of
from segstudy.analysis.design import design_of
from segstudy.analysis.factor_answers import FactorAnswer, FactorAnswers, factor_answers
from segstudy.analysis.factorials import crossed, factorials
from segstudy.analysis.results import Results, gather
from segstudy.config.runs import configuration_names
from segstudy.reporting.page import write_report
from segstudy.reporting.procedure import trained
from segstudy.store.folder import StudyFolder

SEEDS = 4


def study(path, mean, *, seeds=SEEDS, noise=0.01, losses=("dice",), architectures=("unet",), **fields):
    """A study in which each configuration has the mean that a function of its levels returns."""
    folder = make_study(path, architectures, losses, seeds=seeds, **fields)
    configurations = folder.study().configurations()
    for name, each in zip(configuration_names(configurations), configurations, strict=True):
        value = mean({**each.protocol.model_dump(mode="json"), "a": each.architecture, "loss": each.loss})
        if value is not None:
            for seed in range(seeds):
                finish(folder, name, value, value, seed=seed, noise=noise)
    return folder


def said(folder: StudyFolder) -> FactorAnswers:
    return answers_of(gather(folder))


def answers_of(results: Results) -> FactorAnswers:
    design = design_of(results)
    return factor_answers(design, factorials(design))


def by_factor(found: FactorAnswers) -> Mapping[str, FactorAnswer]:
    return {each.effect.factor: each for each in found.effects}


OPTIMIZER_BY_LR = {"optimizer": ["adam", "sgd"], "lr": [0.01, 0.001]}


def test_the_factor_with_an_effect_is_found_and_the_other_is_not(tmp_path):
    folder = study(tmp_path / "s", lambda p: 0.8 - 0.1 * (p["optimizer"] == "sgd"), factors=OPTIMIZER_BY_LR)
    found = said(folder)
    assert found.factors == ["optimizer", "lr"]
    optimizer, lr = by_factor(found).values()
    assert optimizer.sentence.startswith("optimizer=adam is better than optimizer=sgd by 0.")
    assert optimizer.sentence.endswith("Mean over 2 settings of everything else.")
    assert "better" not in lr.sentence
    assert found.interactions == (found.interactions[0],)
    assert found.interactions[0].startswith("An interaction of optimizer and lr cannot be shown (p = ")
    assert "Nothing is corrected across factors" in found.notes[-1]


def test_an_interaction_is_found_and_each_side_is_answered_alone(tmp_path):
    best = {"adam": 0.001, "sgd": 0.01}
    folder = study(
        tmp_path / "s", lambda p: 0.7 + 0.1 * (best[p["optimizer"]] == p["lr"]), factors=OPTIMIZER_BY_LR
    )
    found = said(folder)
    assert all("better" not in each.sentence for each in found.effects)
    assert found.interactions[0].startswith("The effect of lr depends on optimizer (interaction: p < 0.001")
    assert found.interactions[1].startswith("With optimizer=adam: lr=0.001 is better than lr=0.01 by 0.")
    assert found.interactions[2].startswith("With optimizer=sgd: lr=0.01 is better than lr=0.001 by 0.")
    assert "need not hold" in found.interactions[3]


@pytest.mark.slow
def test_a_nested_factor_is_compared_where_it_is_used_and_averaged_over_elsewhere(tmp_path):
    """Momentum is used by sgd alone: it can be neither compared nor matched with adam's idle value."""
    means = {("adam", 0.9): 0.8, ("sgd", 0.5): 0.6, ("sgd", 0.9): 0.7}
    folder = study(
        tmp_path / "s",
        lambda p: means[p["optimizer"], p["momentum"]],
        noise=0.001,
        factors={"optimizer": ["adam"]},
        grids=[{"architecture": ["unet"], "loss": ["dice"], "optimizer": ["sgd"], "momentum": [0.5, 0.9]}],
    )
    found = by_factor(said(folder))
    assert found["momentum"].effect.condition == "optimizer=sgd"
    assert found["momentum"].sentence.startswith(
        "With optimizer=sgd: momentum=0.9 is better than momentum=0.5"
    )
    (pair,) = found["optimizer"].effect.pairs
    assert pair.num_matched == 1
    assert pair.difference.mean == pytest.approx(0.8 - 0.65, abs=0.005)
    assert "Where momentum is used, the mean is over its levels too." in found["optimizer"].sentence
    assert write_report(folder, images=False).is_file()


def test_an_idle_field_does_not_keep_levels_apart(tmp_path):
    folder = study(
        tmp_path / "s",
        lambda p: 0.8 - 0.1 * (p["optimizer"] == "sgd"),
        factors={"optimizer": ["adam"]},
        grids=[{"architecture": ["unet"], "loss": ["dice"], "optimizer": ["sgd"], "momentum": [0.5]}],
    )
    assert said(folder).factors == ["optimizer"]


@pytest.mark.parametrize(
    ("factor", "given", "shown"),
    [
        ("lr", [0.1, 0.001, 0.01], ["0.001", "0.01", "0.1"]),
        ("width", [16, 8, 4], ["4", "8", "16"]),
        ("image_size", [128, [64, 96], 64], ["64", "64x96", "128"]),
        ("scheduler", ["none", "cosine"], ["none", "cosine"]),
    ],
)
def test_numbers_are_in_order_and_words_as_in_the_study(tmp_path, factor, given, shown):
    folder = study(tmp_path / "s", lambda _: 0.8, seeds=2, factors={factor: given})
    (only,) = said(folder).effects
    assert [level.level for level in only.effect.levels] == shown
    assert trained(rows_of(folder)).startswith("We trained ")


def test_levels_are_compared_only_where_everything_else_is_equal(tmp_path):
    """One architecture comes with both batch sizes, so one setting decides; segnet's level must not enter."""
    folder = study(
        tmp_path / "s",
        lambda p: 0.8 - 0.3 * (p["a"] == "segnet"),
        architectures=("unet", "segnet"),
        grids=[{"architecture": ["unet"], "loss": ["dice"], "batch_size": [4]}],
    )
    found = by_factor(said(folder))
    (size,) = found["batch_size"].effect.pairs
    assert (size.left, size.right, size.num_matched) == ("batch_size=4", "batch_size=8", 1)
    assert size.difference.mean == pytest.approx(0, abs=0.02)
    assert found["architecture"].effect.pairs[0].num_matched == 1
    for effect in (each.effect for each in found.values()):  # means over the settings of the differences
        best, other = sorted(effect.levels, key=lambda score: score.contrast is not None)
        assert other.test.mean - best.test.mean == pytest.approx(other.contrast.difference.mean)


@pytest.mark.slow
def test_levels_that_share_no_setting_are_not_compared(tmp_path):
    """Each optimizer with learning rates of its own: their effects cannot be separated."""
    one = {"architecture": ["unet"], "loss": ["dice"]}
    folder = study(
        tmp_path / "s",
        lambda p: 0.8 if p["lr"] in (0.1, 0.001) else 0.7,
        factors={"optimizer": ["adam"], "lr": [0.001, 0.0001]},
        grids=[{**one, "optimizer": ["sgd"], "lr": [0.1, 0.01]}],
    )
    found = said(folder)
    assert [each.effect.factor for each in found.effects] == ["lr", "lr"]
    assert [[level.level for level in each.effect.levels] for each in found.effects] == [
        ["0.0001", "0.001"],
        ["0.01", "0.1"],
    ]
    assert found.notes[0].startswith("optimizer is not answered: no two of its levels")
    assert found.notes[1].startswith("The levels of lr are compared in 2 sets")
    assert write_report(folder, images=False).is_file()


def test_what_changes_the_images_or_the_truth_is_no_factor_and_is_counted(tmp_path):
    folder = study(
        tmp_path / "s",
        lambda p: 0.8 - 0.2 * (p["foreground"] == [2]),
        seeds=2,
        factors={"optimizer": ["adam", "sgd"], "foreground": ["1", "2"]},
    )
    found = said(folder)
    assert found.factors == ["optimizer"]
    assert found.effects[0].effect.pairs[0].num_matched == 1
    assert found.notes[0] == (
        "2 configurations are left out: tested on other images or masks (foreground varies), which is no "
        "factor of quality."
    )


def test_configurations_without_all_runs_are_left_out_and_counted(tmp_path):
    folder = study(
        tmp_path / "s", lambda p: 0.8 if p["lr"] < 0.05 else None, seeds=2, factors={"lr": [0.1, 0.01, 0.001]}
    )
    found = said(folder)
    assert [level.level for level in found.effects[0].effect.levels] == ["0.001", "0.01"]
    assert found.notes[0].startswith("1 configuration has not all runs")


def test_one_seed_claims_nothing(tmp_path):
    folder = study(
        tmp_path / "s",
        lambda p: 10 * p["lr"],
        seeds=1,
        factors={"optimizer": ["adam", "sgd"], "lr": [0.05, 0.06, 0.08]},
    )
    found = said(folder)
    assert found.factors == ["lr", "optimizer"]  # by how far their levels lie apart
    assert all("training noise not measured" in each.sentence for each in found.effects)
    assert found.interactions[0].startswith("Interactions of optimizer × lr are not tested: one run of each")
    assert not any("Games-Howell" in note for note in found.notes)


def test_the_best_level_is_that_of_validation_and_all_others_are_named(tmp_path):
    means = {0.1: 0.6, 0.01: 0.8, 0.001: 0.8}
    found = said(study(tmp_path / "s", lambda p: means[p["lr"]], factors={"lr": list(means)}))
    (only,) = found.effects
    other = "0.001" if only.effect.best == "0.01" else "0.01"
    assert only.sentence.startswith(
        f"lr={only.effect.best} is highest on validation. On test it is better than lr=0.1"
    )
    assert f"practically equal to lr={other} (" in only.sentence
    assert found.interactions == ()


def test_of_many_crossed_factors_the_three_with_the_largest_differences_are_analysed(tmp_path):
    factors = {
        "width": [2, 4],
        "optimizer": ["adam", "adamw"],
        "lr": [0.01, 0.001],
        "scheduler": ["plateau", "cosine"],
    }

    def mean(p):
        return 0.7 + 0.1 * (p["width"] == 4) + 0.05 * (p["lr"] == 0.01) + 0.03 * (p["scheduler"] == "cosine")

    design = design_of(gather(study(tmp_path / "s", mean, seeds=2, factors=factors)))
    ((title, found),) = factorials(design)
    assert title == "width × lr × scheduler, mean over 2 settings of everything else"
    assert [round(each.mean, 1) for each in found.means["width"]] == [0.7, 0.8]
    answers = factor_answers(design, [(title, found)])
    assert set(answers.factors) == set(factors)
    assert any("No interaction with optimizer was tested" in each for each in answers.interactions)


def test_a_factorial_leaves_out_as_little_as_it_can(tmp_path):
    """A main grid, and a learning rate tried with one pair: the rate goes, not the grid."""
    folder = study(
        tmp_path / "s",
        lambda _: 0.8,
        seeds=2,
        architectures=("unet", "segnet"),
        losses=("bce", "dice"),
        grids=[{"architecture": ["unet"], "loss": ["dice"], "lr": [0.01]}],
    )
    design = design_of(gather(folder))
    ((title, found),) = factorials(design)
    assert title == "architecture × loss at lr=0.001"
    assert found.num_runs == 8
    assert not crossed(design, ("architecture", "lr"), list(design.points)).is_full


@pytest.mark.slow
def test_the_report_answers_both_factors_in_table_heat_map_and_methods(tmp_path):
    folder = study(
        tmp_path / "s",
        lambda p: 0.8 - 0.1 * (p["optimizer"] == "sgd") * (p["lr"] == 0.01),
        seeds=3,
        factors=OPTIMIZER_BY_LR,
    )
    page = write_report(folder, images=False).read_text(encoding="utf-8")
    heat = page[page.index('id="losses"') : page.index('id="questions"')]
    assert [heat.count(f">{level}</th>") for level in ("optimizer=adam", "lr=0.01")] == [2, 2]
    assert (folder.path / "figures" / "optimizer-by-lr.svg").is_file()
    section = page[page.index('id="factors"') : page.index('id="learning"')]
    assert section.count("<tr><td") >= 4
    assert "optimizer=adam is better than optimizer=sgd" in section
    assert "The effect of lr depends on optimizer" in section
    paper = page[page.index('id="paper"') :]
    assert (
        "We trained 4 configurations that differ in optimizer (adam and sgd) and learning rate (0.001 and "
        "0.01), all with segmentation network unet, loss dice and batch size 8, on"
    ) in paper
    assert "with Adam or SGD with momentum 0.9 (learning rate 0.001 or 0.01, multiplied by" in paper


def test_a_single_factor_has_a_table_of_one_column(tmp_path):
    folder = study(tmp_path / "s", lambda _: 0.8, seeds=2, factors={"lr": [0.01, 0.001]})
    page = write_report(folder, images=False).read_text(encoding="utf-8")
    heat = page[page.index('id="losses"') : page.index('id="questions"')]
    assert heat.count('<th scope="row">lr=') == 4
    assert (folder.path / "figures" / "lr.svg").is_file()
