"""Scores of several classes and of masks with ignored pixels, against loops over classes and pixels."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from metric_scores import overlap_scores, surface_scores

from segstudy.core.outputs import BINARY, IGNORED, IGNORED_BITS, Outputs
from segstudy.data.preprocess import Resize, decided_at_native, prob_to_native
from segstudy.evaluation.baselines import baseline_table
from segstudy.evaluation.class_rows import class_rows, class_table
from segstudy.evaluation.class_scores import compare
from segstudy.evaluation.per_image import best_threshold, score_images
from segstudy.evaluation.probability_counts import ProbabilityCounts
from segstudy.metrics import METRICS, column

NAMES = {"background": 0, "disc": 1, "cup": 2}
THREE = Outputs("multiclass", tuple(NAMES), has_ignored=True)
NO_BACKGROUND = Outputs("multiclass", ("sky", "land", "sea"))
OVERLAPPING = Outputs("multilabel", ("disc", "cup"), has_ignored=True)
BINARY_IGNORED = Outputs(has_ignored=True)
TASKS = {
    "multiclass": THREE,
    "multiclass without background": NO_BACKGROUND,
    "multilabel": OVERLAPPING,
    "binary with ignore": BINARY_IGNORED,
}
SMALL = (24, 32)
NATIVE = [(24, 32), (30, 50), (61, 40), (24, 32), (40, 40), (33, 47)]
UNTUNED = [name for name, metric in METRICS.items() if metric.takes != "tuned_counts"]


def blobs(rng: np.random.Generator, size: tuple[int, int], outputs: Outputs) -> np.ndarray:
    """A mask of rectangles; some classes are absent, some pixels ignored."""
    height, width = size
    mask = np.zeros(size, outputs.mask_dtype)
    for number in range(len(outputs.names)):
        if rng.random() < 0.7:
            top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
            box = np.s_[top : top + rng.integers(3, height // 2), left : left + rng.integers(3, width // 2)]
            mask[box] = mask[box] | (1 << number) if outputs.task == "multilabel" else number
    if outputs.has_ignored:
        mask[rng.random(size) < 0.1] = IGNORED_BITS if outputs.task == "multilabel" else IGNORED
    return mask


def probabilities(rng: np.random.Generator, masks: np.ndarray, outputs: Outputs) -> np.ndarray:
    """Near the truth, with noise."""
    planes = np.stack([outputs.plane(masks, number) for number in range(len(outputs.names))], axis=1)
    prob = (0.55 * planes + 0.6 * rng.random(planes.shape)).astype(np.float32)
    if outputs.task == "multiclass":
        return prob / prob.sum(axis=1, keepdims=True)
    return np.clip(prob[:, 1] if outputs.task == "binary" else prob, 0, 1)


def prepared_of(outputs: Outputs, resize: Resize = "squash") -> Any:
    rng = np.random.default_rng(7)
    natives = [blobs(rng, size, outputs) for size in NATIVE]
    if outputs.has_ignored:
        natives[4][:] = IGNORED_BITS if outputs.task == "multilabel" else IGNORED
    natives[3][:] = 0
    masks = np.stack([blobs(rng, SMALL, outputs) for _ in NATIVE])
    return SimpleNamespace(
        outputs=outputs,
        resize=resize,
        ids=tuple("abcdef"),
        masks=masks,
        network_mask=lambda position: masks[position],
        native_sizes=tuple(NATIVE),
        native_mask=lambda position: natives[position],
        positions=lambda ids: np.array(["abcdef".index(each) for each in ids]),
    )


POSITIONS = [2, 0, 5, 1, 3, 4]


def planes_of(mask: np.ndarray, truth: np.ndarray, outputs: Outputs, number: int) -> np.ndarray:
    """Where a mask has a class and the truth is not ignored, pixel by pixel."""
    found = np.zeros(mask.shape, np.bool_)
    for at in np.ndindex(mask.shape):
        if outputs.task == "multilabel":
            is_there, ignored = bool(int(mask[at]) >> number & 1), bool(int(truth[at]) >> 15)
        else:
            is_there, ignored = mask[at] == number, outputs.has_ignored and truth[at] == 255
        found[at] = is_there and not ignored
    return found


def slow_scores(mask: np.ndarray, truth: np.ndarray, outputs: Outputs, number: int) -> dict[str, float]:
    """Of overlap and surface; of the pixels that are not ignored."""
    ours, theirs = (planes_of(each, truth, outputs, number) for each in (mask, truth))
    valid = outputs.valid(truth)
    found = surface_scores(ours, theirs)
    if valid is None:
        return found | overlap_scores(ours, theirs)
    return found | overlap_scores(ours[valid], theirs[valid])


@pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_an_image_has_the_mean_over_its_classes_that_are_scored_and_there(
    outputs: Outputs, resize: Resize
) -> None:
    prepared = prepared_of(outputs, resize)
    prob = probabilities(np.random.default_rng(0), prepared.masks[POSITIONS], outputs)
    found = score_images(prob, prepared, POSITIONS, "test", None)
    for row, p, position in zip(found.images.to_dicts(), prob, POSITIONS, strict=True):
        assert (row["id"], row["part"]) == (prepared.ids[position], "test")
        native = prob_to_native(p, NATIVE[position], resize)
        pairs = {
            "network": (outputs.decide(p), prepared.masks[position]),
            "native": (outputs.decide(native), prepared.native_mask(position)),
        }
        for size, (mask, truth) in pairs.items():
            by_class = {number: slow_scores(mask, truth, outputs, number) for number in outputs.scored}
            present = [
                number
                for number in outputs.scored
                if planes_of(mask, truth, outputs, number).any()
                or planes_of(truth, truth, outputs, number).any()
            ]
            for name in by_class[outputs.scored[0]]:
                if size in METRICS[name].sizes:
                    scores = [by_class[number][name] for number in present or outputs.scored]
                    assert row[column(name, size)] == pytest.approx(np.mean(scores), abs=1e-12), name


@pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)
def test_columns_are_those_of_all_metrics_without_the_tuned_ones(outputs: Outputs) -> None:
    prepared = prepared_of(outputs)
    prob = probabilities(np.random.default_rng(0), prepared.masks, outputs)
    found = score_images(prob, prepared, range(6), "test", best_threshold(prob, prepared, np.arange(6)))
    named = list(METRICS) if outputs.task == "binary" else UNTUNED
    metrics = [
        column(name, size) for size in ("network", "native") for name in named if size in METRICS[name].sizes
    ]
    assert found.images.columns == ["id", "part", *metrics]
    assert found.images.null_count().sum_horizontal().item() == 0
    if outputs.task == "binary":
        assert found.classes is None
        return
    assert best_threshold(prob, prepared, np.arange(6)) is None
    assert found.classes is not None
    first = ["id", "part", "class", "in_truth", "in_prediction", "predicted_px"]
    assert found.classes.columns == [*first, "num_objects", "num_missed", "num_invented", *metrics]
    assert found.classes.height == 6 * len(outputs.names)
    assert found.classes.schema["predicted_px"] == pl.List(pl.UInt32)
    assert found.classes["class"].to_list() == list(outputs.names) * 6


@pytest.mark.parametrize("outputs", [THREE, NO_BACKGROUND, OVERLAPPING])
def test_the_rows_of_classes_are_those_of_each_class_alone(outputs: Outputs) -> None:
    prepared = prepared_of(outputs)
    prob = probabilities(np.random.default_rng(0), prepared.masks, outputs)
    found = score_images(prob, prepared, range(6), "test", None).classes
    assert found is not None
    rows = iter(found.to_dicts())
    for position, p in enumerate(prob):
        truth = prepared.native_mask(position)
        mask = outputs.decide(prob_to_native(p, NATIVE[position], "squash"))
        for number, name in enumerate(outputs.names):
            row = next(rows)
            assert (row["id"], row["class"]) == (prepared.ids[position], name)
            ours, theirs = (planes_of(each, truth, outputs, number) for each in (mask, truth))
            assert (row["in_truth"], row["in_prediction"]) == (theirs.any(), ours.any())
            for metric, score in slow_scores(mask, truth, outputs, number).items():
                assert row[column(metric)] == pytest.approx(score, abs=1e-12), metric
            if outputs.task == "multilabel":
                assert row["predicted_px"] is None
            else:
                others = [planes_of(mask, truth, outputs, k) for k in range(len(outputs.names))]
                assert row["predicted_px"] == [int((theirs & each).sum()) for each in others]
            if name == "background":
                assert (row["num_objects"], row["num_missed"], row["num_invented"]) == (None, None, None)
            else:
                assert row["num_objects"] == len(objects(theirs))
                assert row["num_missed"] == sum(not any(ours[at] for at in each) for each in objects(theirs))
                assert row["num_invented"] == sum(
                    not any(theirs[at] for at in each) for each in objects(ours)
                )


def objects(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """The areas of pixels that touch at sides or corners, by flooding."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        todo, area = [left.pop()], set()
        while todo:
            y, x = todo.pop()
            area.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            todo += near
        found.append(area)
    return found


def test_objects_are_counted_by_hand() -> None:
    outputs = Outputs("multiclass", ("background", "disc"))
    truth = np.zeros((6, 8), np.uint8)
    truth[0, 0] = truth[1, 1] = 1  # one object: they touch at a corner
    truth[4:, 4:6] = 1
    mask = np.zeros_like(truth)
    mask[0, 0] = mask[0, 6] = mask[2, 6] = 1
    native = compare(mask, truth, outputs, "native")
    table = class_table(class_rows({"id": "a", "part": "test"}, mask, truth, native))
    disc = table.row(1, named=True)
    assert (disc["num_objects"], disc["num_missed"], disc["num_invented"]) == (2, 1, 2)
    assert disc["predicted_px"] == [5, 1]
    assert table["predicted_px"].to_list()[0] == [40, 2]
    assert "network_iou" not in table.columns  # a mask alone has none
    assert "native_ece" not in table.columns


@pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)
def test_what_is_predicted_at_ignored_pixels_changes_no_score(outputs: Outputs) -> None:
    if not outputs.has_ignored:
        return
    rng = np.random.default_rng(1)
    truth = blobs(rng, (20, 30), outputs)
    prob = probabilities(rng, truth[None], outputs)[0]
    valid = outputs.valid(truth)
    assert valid is not None
    other = np.where(valid, prob, 1 - prob).astype(np.float32)
    first, second = (
        compare(
            outputs.decide(p),
            truth,
            outputs,
            "native",
            prob_of=partial(outputs.prob_of, p),
            tuned_threshold=0.3,
        )
        for p in (prob, other)
    )
    assert first == second
    assert first.mean() == second.mean()


def test_an_image_that_is_ignored_altogether_is_as_empty_masks() -> None:
    for outputs in (THREE, OVERLAPPING, BINARY_IGNORED):
        ignored = IGNORED_BITS if outputs.task == "multilabel" else IGNORED
        truth = np.full((5, 6), ignored, outputs.mask_dtype)
        prob = np.full(outputs.prob_shape(5, 6), 0.7, np.float32)
        mean = compare(
            outputs.decide(prob), truth, outputs, "native", prob_of=partial(outputs.prob_of, prob)
        ).mean()
        ones = ("native_iou", "native_dice", "native_accuracy", "native_specificity", "native_nsd")
        assert {mean[name] for name in ones} == {1.0}
        assert {mean[name] for name in ("native_hd95_px", "native_ece", "native_brier")} == {0.0}


def test_a_class_that_is_invented_costs_and_one_that_is_nowhere_does_not() -> None:
    outputs = Outputs("multiclass", tuple(NAMES))
    truth = np.zeros((10, 10), np.uint8)
    truth[:5] = 1
    exact = compare(truth, truth, outputs, "native").mean()
    assert exact["native_iou"] == 1
    invented = truth.copy()
    invented[9, 9] = 2
    assert compare(invented, truth, outputs, "native").mean()["native_iou"] == 0.5
    nothing = np.zeros_like(truth)
    assert compare(nothing, nothing, outputs, "native").mean()["native_iou"] == 1


def test_binary_masks_with_ignored_pixels_are_tuned_on_the_others() -> None:
    prepared = prepared_of(BINARY_IGNORED)
    masks = prepared.masks
    prob = np.where(masks == 1, 0.75, 0.65).astype(np.float32)
    prob[masks == IGNORED] = 0.97
    assert best_threshold(prob, prepared, np.arange(6)) == 0.7
    counts = ProbabilityCounts(6)
    scores = score_images(prob, prepared, range(6), "test", 0.7, counts=counts).images
    assert scores["network_iou_tuned"].to_list() == [1.0] * 6
    table = counts.table(prepared.ids, "test")
    for position, row in enumerate(table.to_dicts()):
        truth = prepared.native_mask(position)
        assert sum(row["foreground_px"]) == (truth == 1).sum()
        assert sum(row["background_px"]) == (truth == 0).sum()


@pytest.mark.parametrize("outputs", [*TASKS.values(), BINARY])
@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_masks_decided_class_by_class_are_those_of_all_probabilities(
    outputs: Outputs, resize: Resize
) -> None:
    rng = np.random.default_rng(3)
    prob = rng.random(outputs.prob_shape(*SMALL)).astype(np.float32)
    prob[..., :4, :] = 0.5  # ties
    for native in NATIVE:
        expected = outputs.decide(prob_to_native(prob, native, resize))
        found = decided_at_native(prob, native, resize, outputs)
        assert found.dtype == expected.dtype == outputs.mask_dtype
        assert (found == expected).all()


def baselines(outputs: Outputs) -> pl.DataFrame:
    parts = SimpleNamespace(
        train=list("abc"), part=lambda part: {"validation": ["d"], "test": ["e", "f"]}[part]
    )
    return baseline_table(prepared_of(outputs), "data", {("auto", 0, None): parts})


def test_baselines_of_several_classes() -> None:
    names = {task: set(baselines(outputs)["baseline"]) for task, outputs in TASKS.items()}
    assert {"mean mask", "all background"} < names["multiclass"]
    assert len(names["multiclass"]) == 3
    assert names["multiclass"] < {"mean mask", "all background", "all disc", "all cup"}
    assert "all background" not in names["multiclass without background"]
    assert names["multilabel"] == {"mean mask", "all classes", "all background"}
    assert names["binary with ignore"] == {"mean mask", "all foreground", "all background"}


def test_a_baseline_is_scored_as_a_mask_is() -> None:
    prepared = prepared_of(THREE)
    table = baselines(THREE)
    for row in table.filter(pl.col("baseline") == "all background").to_dicts():
        truth = prepared.native_mask("abcdef".index(row["id"]))
        there = np.isin(truth, (1, 2)).any()
        assert row["native_iou"] == (0 if there else 1)
    (mean, *_) = table.filter(pl.col("baseline") == "mean mask", pl.col("id") == "f").to_dicts()
    planes = np.stack([prepared.masks[:3] == k for k in range(3)], axis=1).sum(axis=0)
    share = (planes / np.maximum(planes.sum(axis=0), 1)).astype(np.float32)
    predicted = THREE.decide(prob_to_native(share, NATIVE[5], "squash"))
    assert (
        mean["native_iou"]
        == compare(predicted, prepared.native_mask(5), THREE, "native").mean()["native_iou"]
    )
