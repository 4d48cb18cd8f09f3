"""Our metrics against torchmetrics, image by image; where the conventions differ, by name."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_f1_score,
    binary_jaccard_index,
    binary_precision,
    binary_recall,
    binary_specificity,
)

from segstudy.metrics import METRICS, Mask, confusion, scores

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


def has_both_classes(mask: Mask) -> bool:
    return bool(mask.any() and not mask.all())


masks = hnp.arrays(np.bool_, (4, 5))


@given(masks, masks)
@pytest.mark.parametrize("metric", ORACLES)
def test_metrics_equal_torchmetrics_where_no_mask_is_empty_or_full(
    metric: str, prediction: Mask, target: Mask
) -> None:
    if has_both_classes(prediction) and has_both_classes(target):
        ours = METRICS[metric](confusion(prediction, target))
        assert ours == pytest.approx(oracle(metric, prediction, target), abs=1e-6)


@given(masks)
@pytest.mark.parametrize("metric", ["iou", "dice", "recall", "accuracy"])
def test_nothing_found_where_there_is_something_scores_as_in_torchmetrics(metric: str, target: Mask) -> None:
    nothing = np.zeros_like(target)
    if target.any():
        assert scores(nothing, target)[metric] == pytest.approx(oracle(metric, nothing, target), abs=1e-6)


@given(st.floats(0, 1), st.integers(0, 100))
@pytest.mark.parametrize("metric", ORACLES)
def test_both_threshold_probabilities_to_the_same_masks(metric: str, share: float, seed: int) -> None:
    """But for a probability of exactly .5: foreground here, background there."""
    random = np.random.default_rng(seed)
    prob = random.random((6, 7), dtype=np.float32)
    target = random.random((6, 7)) < 0.2 + 0.6 * share
    if has_both_classes(target) and has_both_classes(prob >= 0.5) and not (prob == 0.5).any():
        theirs = ORACLES[metric](torch.tensor(prob), torch.tensor(target).int()).item()
        assert scores(prob >= 0.5, target)[metric] == pytest.approx(theirs, abs=1e-6)


EMPTY = np.zeros((4, 5), np.bool_)


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
