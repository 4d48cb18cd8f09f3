"""Our metrics against torchmetrics, image by image; where the conventions differ, by name."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_scores import overlap_scores as scores
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_f1_score,
    binary_jaccard_index,
    binary_precision,
    binary_recall,
    binary_specificity,
)

from segstudy.metrics.counts import Mask

ORACLES: dict[str, Callable[..., Tensor]] = {
    "iou": binary_jaccard_index,
    "dice": binary_f1_score,
    "precision": binary_precision,
    "recall": binary_recall,
    "specificity": binary_specificity,
    "accuracy": binary_accuracy,
}


def oracle(metric: str, prediction: Mask, target: Mask) -> float:
    return ORACLES[metric](torch.tensor(prediction).int(), torch.tensor(target).int()).item()


EMPTY = np.zeros((4, 5), np.bool_)
HALF = np.arange(20).reshape(4, 5) < 10
DEGENERATE = {"empty": EMPTY, "full": ~EMPTY, "half": HALF}
masks = hnp.arrays(np.bool_, EMPTY.shape)


@given(masks, masks)
@pytest.mark.parametrize("metric", ORACLES)
def test_metrics_equal_torchmetrics_on_any_masks_but_equal_ones(
    metric: str, prediction: Mask, target: Mask
) -> None:
    """Empty and full masks too. Equal ones are perfect here; tests below say where torchmetrics gives 0."""
    theirs = 1 if (prediction == target).all() else oracle(metric, prediction, target)
    assert scores(prediction, target)[metric] == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize(("prediction", "target"), list(itertools.permutations(DEGENERATE, 2)))
@pytest.mark.parametrize("metric", ORACLES)
def test_empty_and_full_masks_that_differ_score_as_in_torchmetrics(
    metric: str, prediction: str, target: str
) -> None:
    pair = DEGENERATE[prediction], DEGENERATE[target]
    assert scores(*pair)[metric] == pytest.approx(oracle(metric, *pair), abs=1e-6)


@given(st.integers(0, 1000), st.floats(0, 1))
@pytest.mark.parametrize("metric", ORACLES)
def test_probabilities_thresholded_at_one_half_score_as_in_torchmetrics(
    metric: str, seed: int, share: float
) -> None:
    """8-bit probabilities, as a run stores them: none is exactly .5, where a test below shows we differ."""
    random = np.random.default_rng(seed)
    prob = (random.integers(0, 256, (6, 7)) / 255).astype(np.float32)
    target = random.random((6, 7)) < share
    theirs = ORACLES[metric](torch.tensor(prob), torch.tensor(target).int()).item()
    assert scores(prob >= 0.5, target)[metric] == pytest.approx(theirs, abs=1e-6)


def test_a_probability_of_exactly_one_half_is_foreground_here_and_background_in_torchmetrics() -> None:
    prob = np.full((4, 5), 0.5, np.float32)
    target = np.ones((4, 5), np.bool_)
    assert scores(prob >= 0.5, target)["iou"] == 1
    assert binary_jaccard_index(torch.tensor(prob), torch.tensor(target).int()) == 0


SOME = np.arange(20).reshape(4, 5) % 3 > 0  # 13 of 20 pixels


@given(masks, masks)
def test_the_thresholded_jaccard_is_their_iou_or_0_below_065(changed: Mask, target: Mask) -> None:
    """The prediction is the target with at most 13 pixels changed, so both sides of .65 occur."""
    prediction = target ^ (changed & SOME)
    # Theirs is float32: an IoU of exactly .65, 13 of 20 pixels, comes out below it.
    theirs = 1 if (prediction == target).all() else round(oracle("iou", prediction, target), 6)
    expected = theirs if theirs >= 0.65 else 0
    assert scores(prediction, target)["thresholded_jaccard"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", ["iou", "dice", "precision", "recall"])
def test_an_empty_prediction_of_an_empty_target_is_perfect_here_and_0_in_torchmetrics(metric: str) -> None:
    assert scores(EMPTY, EMPTY)[metric] == 1
    assert oracle(metric, EMPTY, EMPTY) == 0


def test_a_full_prediction_of_a_full_target_has_specificity_1_here_and_0_in_torchmetrics() -> None:
    assert scores(~EMPTY, ~EMPTY)["specificity"] == 1
    assert oracle("specificity", ~EMPTY, ~EMPTY) == 0


def test_the_mean_over_images_is_not_the_iou_of_the_pooled_pixels() -> None:
    """torchmetrics pools what it is handed at once; per image, a small lesion counts like a large one."""
    target = np.zeros((2, 4, 5), np.bool_)
    target[0, 0, 0] = True  # 1 px, missed
    target[1] = True  # 20 px, found
    prediction = np.stack([EMPTY, ~EMPTY])
    per_image = [scores(p, t)["iou"] for p, t in zip(prediction, target, strict=True)]
    assert np.mean(per_image) == 0.5
    assert oracle("iou", prediction, target) == pytest.approx(20 / 21, abs=1e-6)
