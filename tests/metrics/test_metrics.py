"""What the metrics are, as sentences."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_scores import overlap_scores as scores

from segstudy.metrics import METRICS, limits_on, mask_scores, prob_scores, unknown_of_masks
from segstudy.metrics.counts import Confusion, Mask, confusion
from segstudy.metrics.overlap import dice, iou, thresholded_jaccard

OVERLAPS = ("iou", "dice", "precision", "recall")  # the metrics of the foreground


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[Mask, Mask]:
    """Two masks of one shape; empty, full and equal ones among them."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))
    masks = hnp.arrays(np.bool_, shape)
    prediction = draw(masks)
    return prediction, draw(st.one_of(masks, st.just(prediction)))


@given(mask_pairs())
def test_confusion_counts_every_pixel_once(pair: tuple[Mask, Mask]) -> None:
    prediction, target = pair
    slow = dict.fromkeys(("tp", "fp", "fn", "tn"), 0)
    for p, t in zip(prediction.flat, target.flat, strict=True):
        slow[{(1, 1): "tp", (1, 0): "fp", (0, 1): "fn", (0, 0): "tn"}[int(p), int(t)]] += 1
    assert confusion(prediction, target) == Confusion(**slow)


@given(mask_pairs())
def test_every_metric_lies_between_0_and_1(pair: tuple[Mask, Mask]) -> None:
    for name, value in scores(*pair).items():
        assert METRICS[name].lowest <= value <= METRICS[name].highest


@given(mask_pairs())
@pytest.mark.parametrize("metric", [iou, dice])
def test_iou_and_dice_are_symmetric(metric: Any, pair: tuple[Mask, Mask]) -> None:
    prediction, target = pair
    assert metric(confusion(prediction, target)) == metric(confusion(target, prediction))


@given(mask_pairs())
@pytest.mark.parametrize("metric", [iou, dice])
def test_iou_and_dice_are_1_exactly_for_equal_masks(metric: Any, pair: tuple[Mask, Mask]) -> None:
    assert (metric(confusion(*pair)) == 1) == np.array_equal(*pair)


@given(mask_pairs())
def test_iou_is_dice_over_two_minus_dice(pair: tuple[Mask, Mask]) -> None:
    counts = confusion(*pair)
    assert iou(counts) == pytest.approx(dice(counts) / (2 - dice(counts)), abs=1e-15)


@given(mask_pairs())
def test_exchanging_prediction_and_target_exchanges_precision_and_recall(pair: tuple[Mask, Mask]) -> None:
    prediction, target = pair
    assert scores(prediction, target)["precision"] == scores(target, prediction)["recall"]


@given(mask_pairs())
def test_specificity_is_the_recall_of_the_background(pair: tuple[Mask, Mask]) -> None:
    prediction, target = pair
    assert scores(prediction, target)["specificity"] == scores(~prediction, ~target)["recall"]


@given(mask_pairs(), st.sampled_from([np.flipud, np.fliplr, np.transpose, np.rot90]))
def test_flips_and_quarter_turns_of_both_masks_change_no_metric(pair: tuple[Mask, Mask], turn: Any) -> None:
    prediction, target = pair
    assert scores(turn(prediction), turn(target)) == scores(prediction, target)


@given(mask_pairs())
def test_the_thresholded_jaccard_is_iou_or_0(pair: tuple[Mask, Mask]) -> None:
    counts = confusion(*pair)
    assert thresholded_jaccard(counts) == (iou(counts) if iou(counts) >= 0.65 else 0)


def test_an_iou_of_exactly_065_is_no_failed_segmentation() -> None:
    assert thresholded_jaccard(Confusion(tp=13, fp=7, fn=0, tn=0)) == 0.65
    assert thresholded_jaccard(Confusion(tp=64, fp=36, fn=0, tn=0)) == 0


# The empty-mask rule: nothing to find and nothing found is perfect; anything else is 0.
EMPTY, FULL = np.zeros((3, 4), np.bool_), np.ones((3, 4), np.bool_)


def test_an_empty_prediction_of_an_empty_target_is_perfect() -> None:
    assert set(scores(EMPTY, EMPTY).values()) == {1.0}


def test_a_full_prediction_of_a_full_target_is_perfect() -> None:
    assert set(scores(FULL, FULL).values()) == {1.0}


@pytest.mark.parametrize("metric", OVERLAPS)
def test_any_prediction_of_an_empty_target_scores_0(metric: str) -> None:
    one_pixel = EMPTY.copy()
    one_pixel[1, 2] = True
    assert scores(one_pixel, EMPTY)[metric] == 0


@pytest.mark.parametrize("metric", OVERLAPS)
def test_an_empty_prediction_of_a_target_scores_0(metric: str) -> None:
    one_pixel = EMPTY.copy()
    one_pixel[1, 2] = True
    assert scores(EMPTY, one_pixel)[metric] == 0


def test_missing_background_in_a_full_target_scores_0_in_specificity() -> None:
    assert scores(EMPTY, FULL)["specificity"] == 0


def test_a_mask_tells_every_metric_that_needs_no_probabilities() -> None:
    expected = [f"native_{name}" for name, each in METRICS.items() if not each.needs_probabilities]
    assert list(mask_scores(EMPTY, FULL)) == expected
    found = {*mask_scores(EMPTY, FULL), *unknown_of_masks()}
    prob = FULL.astype(np.float32)
    assert found == {*prob_scores(prob, FULL, FULL, "network", tuned=FULL)} | {
        *prob_scores(prob, FULL, FULL, "native", tuned=FULL)
    }


def test_a_mean_distance_in_pixels_is_at_most_the_largest_diagonal_of_its_images():
    px, share = np.array([0.0, 50.0, 100.0]), np.array([0.0, 0.5, 0.25])
    scores = {"native_hd95_px": px, "native_hd95_frac": share}
    assert limits_on("native_hd95_px", scores) == (0, 400)
    assert limits_on("native_hd95_frac", scores) == (0, 1)
    assert limits_on("native_hd95_px", {"native_hd95_px": px}) == (0, np.inf)
    assert limits_on("native_hd95_px", {name: 0 * each for name, each in scores.items()}) == (0, 0)
