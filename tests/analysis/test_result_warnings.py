"""Warnings of results, each on a study constructed for it, and none where there is no reason."""

from types import SimpleNamespace

import numpy as np
import pytest
from fake_study import finish, make_study

import segstudy
from segstudy.analysis.empty_masks import empty_masks, empty_targets, penalties
from segstudy.analysis.formatting import interval, mean
from segstudy.analysis.result_warnings import (
    collapsed_runs,
    collapsed_runs_text,
    few_units,
    large_group,
    result_warnings,
    two_seeds,
)
from segstudy.core.outputs import BINARY
from segstudy.metrics import METRICS, column, mask_scores
from segstudy.reporting.page import write_report
from segstudy.stats.intervals import Interval, ScoresByFold


def results(means, num_images=40, groups=None, others=None):
    """Results of configurations with these mean IoUs per seed; others: further metrics of all of them."""
    rng = np.random.default_rng(0)
    scores = {
        name: np.array(seeds)[:, None] + rng.normal(0, 0.03, (len(seeds), num_images))
        for name, seeds in means.items()
    }
    return SimpleNamespace(
        classes=None,
        scores=lambda name, _="test", metric="native_iou": (
            scores[name] if metric == "native_iou" else (others or {}).get(metric)
        ),
        runs=scores.get,
        of_each_run=lambda _, metric: (others or {}).get(metric),
        ids=lambda _: tuple(str(i) for i in range(num_images)),
        seeds=lambda name: tuple(range(len(means[name]))),
        groups_of=lambda _: groups or [str(i) for i in range(num_images)],
        group_noun="patient",
        margin=0.01,
        outputs=BINARY,
        trained=(),
    )


GOOD = {"a": [0.80, 0.81, 0.79, 0.80], "b": [0.78, 0.79, 0.80, 0.79]}


def test_a_study_without_these_faults_has_no_warning():
    assert result_warnings(results(GOOD), ["a", "b"]) == ()
    assert result_warnings(results(GOOD), []) == ()


def test_under_40_units_intervals_are_called_too_narrow():
    assert "83 to 93 %" in next(few_units(results(GOOD, 39), "a"))
    assert not list(few_units(results(GOOD, 40), "a"))
    grouped = [str(i // 2) for i in range(40)]
    assert "20 patients (40 test images)" in next(few_units(results(GOOD, 40, grouped), "a"))


def test_two_runs_cannot_tell():
    two = {"a": [0.8, 0.81], "b": [0.8, 0.79, 0.8]}
    (said,) = two_seeds(results(two), ["a", "b"])
    assert "two runs cannot tell" in said
    assert "(a)" in said
    assert not list(two_seeds(results(GOOD), ["a", "b"]))


def test_two_seeds_in_folds_hardly_show_whether_one_is_better_in_all_of_them():
    scores = np.random.default_rng(1).normal(0.8, 0.02, (3, 1, 40))
    three = ScoresByFold(scores, np.arange(40)[None] % 4)
    two, apart = (ScoresByFold(scores[:2] + each, three.folds) for each in (0, [[[0.0]], [[0.2]]]))
    for runs, expected in (
        (three, []),
        (two, ["Two seeds in folds"]),
        (apart, ["Two seeds: two runs cannot"]),
    ):
        found = SimpleNamespace(
            runs=lambda _, runs=runs: runs, seeds=lambda _, runs=runs: range(len(runs.scores))
        )
        assert [
            said[: len(each)] for said, each in zip(two_seeds(found, ["a"]), expected, strict=True)
        ] == expected


@pytest.mark.parametrize(("share", "warned"), [(7, False), (8, True), (20, True)])
def test_a_group_with_a_fifth_of_the_images_is_named(share, warned):
    groups = ["big"] * share + [str(i) for i in range(40 - share)]
    said = list(large_group(results(GOOD, 40, groups), "a"))
    assert bool(said) == warned
    assert all(f"One patient (big) owns {share} of 40" in each for each in said)


def test_a_collapsed_run_is_named_with_and_without_it():
    fallen = results({"a": [0.80, 0.81, 0.02, 0.80], "b": GOOD["b"]})
    (found,) = collapsed_runs(fallen, ["a", "b"])
    assert (found.name, found.seed) == ("a", 2)
    said = result_warnings(fallen, ["a", "b"])[0]
    assert said.startswith("1 run of a collapsed (seed 2: IoU 0.0")
    assert " With: " in said
    assert " Without: " in said


def test_of_many_configurations_with_collapsed_runs_a_few_are_named_in_full():
    means = {f"c{n}": [0.80, 0.81, 0.02, 0.80, 0.79, 0.80, 0.81] for n in range(7)}
    said = list(collapsed_runs_text(results(means), list(means)))
    assert len(said) == 6
    assert said[-1] == "Runs of 2 more configurations collapsed: c5 and c6."


def test_a_configuration_that_is_bad_throughout_has_not_collapsed():
    assert not collapsed_runs(results({"a": GOOD["a"], "b": [0.3, 0.31, 0.29, 0.3]}), ["a", "b"])
    assert not collapsed_runs(results({"a": [0.8, 0.7, 0.6, 0.5], "b": [0.75, 0.65, 0.55, 0.6]}), ["a", "b"])
    assert not collapsed_runs(results({"a": [0.8], "b": [0.1]}), ["a", "b"])


def test_penalties_and_missed_lesions_are_counted_from_the_scores_of_real_masks():
    empty, disc = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    disc[5:12, 4:9] = True
    pairs = [(disc, disc), (empty, disc), (empty, disc), (disc, empty), (empty, empty), (~disc, disc)]
    rows = [mask_scores(*pair) for pair in pairs]
    others = {name: np.array([[row[name] for row in rows]]) for name in rows[0]}
    found = results(GOOD, len(pairs), others=others)
    assert empty_targets(found, ["a"]) == {"3"}
    each = empty_masks(found, "a", frozenset({"3"}))
    assert (each.num_predictions, each.num_missed, each.num_spurious) == (6, 2, 1)
    assert each.iou == pytest.approx(np.delete(found.scores("a"), 3, axis=1).mean())
    for name in ("hd95_px", "asd_px"):
        assert penalties(found, "a", name) == (3, 6)
    assert penalties(found, "a", "iou") is None
    assert penalties(results(GOOD), "a", "hd95_px") is None


def test_the_marker_of_a_penalty_is_a_metric_of_the_table():
    for metric in METRICS.values():
        assert not metric.penalty or metric.penalty in METRICS
        assert not metric.penalty or column(metric.penalty).startswith("native_")


def test_intervals_are_printed_within_what_is_possible():
    assert interval(-1.688, 1.977) == "[-1.000, 1.000]"
    assert interval(-0.2, 1.2, 0.0) == "[0.000, 1.000]"
    wide = Interval(0.5, -0.7, 1.7, 2, 40, 0.1, True)
    assert mean(wide) == "0.500 [0.000, 1.000]"


def test_the_terminal_and_the_report_show_them(tmp_path):
    folder = make_study(tmp_path / "s", ("segnet", "unet"), ("bce",), seeds=2)
    for seed in range(2):
        for name in ("segnet-bce-b8", "unet-bce-b8"):
            finish(folder, name, 0.8, 0.8, seed=seed, noise=0.01)
    page = write_report(folder, images=False).read_text(encoding="utf-8")
    for text in (segstudy.table(folder.path), page):
        assert "Only 9 test images: under 40, intervals are too narrow." in text
        assert "two runs cannot tell how much training varies" in text
    assert "two runs" not in segstudy.table(folder.path, "csv")
    assert "test_hd95_px_penalties" in segstudy.table(folder.path, "csv")
    assert "No test prediction is empty where the image has foreground (missed lesions)" in page
    assert "not across the five" in page
