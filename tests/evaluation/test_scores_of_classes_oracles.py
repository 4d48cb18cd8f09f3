"""Scores of several classes against torchmetrics and MONAI, image by image; conventions that differ, by name.

K = 1, 2, 5 classes besides the background, or overlapping. Classes are absent from truth, prediction or both.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
)
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
    multiclass_precision,
    multiclass_recall,
    multiclass_specificity,
    multilabel_accuracy,
    multilabel_f1_score,
    multilabel_jaccard_index,
    multilabel_precision,
    multilabel_recall,
    multilabel_specificity,
)

from segstudy.core.metric_names import NSD_TOLERANCE
from segstudy.core.outputs import IGNORED, IGNORED_BITS, Outputs
from segstudy.evaluation.class_rows import confusion_of
from segstudy.evaluation.class_scores import compare
from segstudy.metrics.calibration import CALIBRATION_BINS

EXACT = 1e-6
SIDES = (11, 14)
IMAGES = range(6)  # of each case
each_number = pytest.mark.parametrize("num_classes", [1, 2, 5])
ignored_or_not = pytest.mark.parametrize("has_ignored", [False, True])

MULTICLASS = {
    "iou": multiclass_jaccard_index,
    "dice": multiclass_f1_score,
    "precision": multiclass_precision,
    "recall": multiclass_recall,
    "specificity": multiclass_specificity,
}
MULTILABEL = {
    "iou": multilabel_jaccard_index,
    "dice": multilabel_f1_score,
    "precision": multilabel_precision,
    "recall": multilabel_recall,
    "specificity": multilabel_specificity,
    "accuracy": multilabel_accuracy,
}


def exclusive(num_classes: int, has_ignored: bool = False) -> Outputs:
    names = ("background", *(f"class {k}" for k in range(1, num_classes + 1)))
    return Outputs("multiclass", names, has_ignored)


def overlapping(num_classes: int, has_ignored: bool = False) -> Outputs:
    return Outputs("multilabel", tuple(f"class {k}" for k in range(num_classes)), has_ignored)


def pairs(outputs: Outputs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Predictions and true masks, from equal ones to independent ones; some lack classes."""
    num_classes = len(outputs.names)
    for seed in IMAGES:
        rng = np.random.default_rng(100 * num_classes + seed)
        there, found = rng.random((2, num_classes)) < (1 if seed == 0 else 0.7)
        if outputs.task == "multilabel":
            bits = 1 << np.arange(num_classes)
            truth, other = ((rng.random((2, *SIDES, num_classes)) < 0.4) * bits * [[[there]], [[found]]]).sum(
                -1
            )
        else:
            truth = rng.choice(np.flatnonzero(there | (np.arange(num_classes) == 0)), SIDES)
            other = rng.choice(np.flatnonzero(found | (np.arange(num_classes) == 0)), SIDES)
        prediction = np.where(rng.random(SIDES) < seed / max(IMAGES), other, truth)
        if outputs.has_ignored:
            ignored = IGNORED_BITS if outputs.task == "multilabel" else IGNORED
            truth = np.where(rng.random(SIDES) < 0.2, ignored, truth)
        yield prediction.astype(outputs.mask_dtype), truth.astype(outputs.mask_dtype)


def planes(mask: np.ndarray, outputs: Outputs) -> Tensor:
    """``(1, K, H, W)``."""
    found = [outputs.plane(mask, number) for number in range(len(outputs.names))]
    return torch.tensor(np.stack(found))[None]


@each_number
@ignored_or_not
@pytest.mark.parametrize("metric", MULTICLASS)
def test_exclusive_classes_score_as_in_torchmetrics(num_classes: int, has_ignored: bool, metric: str) -> None:
    outputs = exclusive(num_classes, has_ignored)
    for prediction, truth in pairs(outputs):
        ours = compare(prediction, truth, outputs, "native")
        theirs = MULTICLASS[metric](
            torch.tensor(prediction.astype(np.int64)),
            torch.tensor(truth.astype(np.int64)),
            num_classes=num_classes + 1,
            average=None,
            ignore_index=IGNORED if has_ignored else None,
        )
        for number in range(num_classes + 1):
            scores = ours.scores[number]
            if scores["native_accuracy"] == 1:
                assert scores[f"native_{metric}"] == 1  # equal in every pixel; theirs is 0 for empty ones
            else:
                assert scores[f"native_{metric}"] == pytest.approx(theirs[number].item(), abs=EXACT)


@each_number
@ignored_or_not
@pytest.mark.parametrize("metric", MULTILABEL)
def test_overlapping_classes_score_as_in_torchmetrics(
    num_classes: int, has_ignored: bool, metric: str
) -> None:
    outputs = overlapping(num_classes, has_ignored)
    for prediction, truth in pairs(outputs):
        ours = compare(prediction, truth, outputs, "native")
        target = planes(truth, outputs).long()
        valid = outputs.valid(truth)
        if valid is not None:
            target[:, :, ~torch.tensor(valid)] = -1
        masks = planes(prediction, outputs).long(), target
        twice = [torch.cat([each, each[:, :1]], dim=1) for each in masks]  # it refuses a single one
        theirs = MULTILABEL[metric](*twice, num_labels=num_classes + 1, average=None, ignore_index=-1)
        for number, value in enumerate(theirs[:num_classes]):
            scores = ours.scores[number]
            if scores["native_accuracy"] == 1:
                assert scores[f"native_{metric}"] == 1
            else:
                assert scores[f"native_{metric}"] == pytest.approx(value.item(), abs=EXACT)


@each_number
@ignored_or_not
def test_the_mean_over_all_classes_is_the_macro_average_of_torchmetrics(
    num_classes: int, has_ignored: bool
) -> None:
    """Which leaves out the classes that are in neither mask, as ours does."""
    outputs = Outputs("multiclass", tuple(f"class {k}" for k in range(num_classes + 1)), has_ignored)
    for prediction, truth in pairs(outputs):
        theirs = multiclass_jaccard_index(
            torch.tensor(prediction.astype(np.int64)),
            torch.tensor(truth.astype(np.int64)),
            num_classes=num_classes + 1,
            ignore_index=IGNORED if has_ignored else None,
        )
        ours = compare(prediction, truth, outputs, "native").mean()["native_iou"]
        assert ours == pytest.approx(theirs.item(), abs=EXACT)


@each_number
@ignored_or_not
def test_pixels_of_true_and_predicted_classes_are_counted_as_in_torchmetrics(
    num_classes: int, has_ignored: bool
) -> None:
    outputs = exclusive(num_classes, has_ignored)
    for prediction, truth in pairs(outputs):
        theirs = multiclass_confusion_matrix(
            torch.tensor(prediction.astype(np.int64)),
            torch.tensor(truth.astype(np.int64)),
            num_classes=num_classes + 1,
            ignore_index=IGNORED if has_ignored else None,
        )
        assert np.array_equal(confusion_of(prediction, truth, outputs), theirs.numpy())


def test_accuracy_of_a_class_is_of_all_pixels_and_not_its_recall_as_in_torchmetrics() -> None:
    outputs = exclusive(2)
    prediction, truth = list(pairs(outputs))[3]
    ours = compare(prediction, truth, outputs, "native").scores[1]
    theirs = multiclass_accuracy(
        torch.tensor(prediction.astype(int)), torch.tensor(truth.astype(int)), num_classes=3, average=None
    )
    assert ours["native_recall"] == pytest.approx(theirs[1].item(), abs=EXACT)
    assert ours["native_accuracy"] == ((prediction == 1) == (truth == 1)).mean()


@each_number
@pytest.mark.parametrize(("metric", "theirs"), [("iou", compute_iou), ("dice", compute_dice)])
def test_monai_gives_the_same_iou_and_dice_of_each_class(num_classes: int, metric: str, theirs) -> None:
    """Also with absent classes, if it is asked not to leave them out: 1 if they are not predicted, else 0."""
    for outputs in (exclusive(num_classes), overlapping(num_classes)):
        for prediction, truth in pairs(outputs):
            found = theirs(planes(prediction, outputs), planes(truth, outputs), ignore_empty=False)[0]
            ours = compare(prediction, truth, outputs, "native").scores
            values = [ours[number][f"native_{metric}"] for number in range(len(outputs.names))]
            assert values == pytest.approx(found.tolist(), abs=EXACT)


def test_monais_own_mean_leaves_out_an_invented_class_and_ours_does_not() -> None:
    outputs = exclusive(2)
    truth = np.zeros(SIDES, np.uint8)
    truth[:5] = 1
    prediction = truth.copy()
    prediction[9] = 2
    theirs = compute_iou(planes(prediction, outputs), planes(truth, outputs), include_background=False)
    assert theirs.nanmean() == 1
    assert compare(prediction, truth, outputs, "native").mean()["native_iou"] == 0.5


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.filterwarnings("ignore:the .* of class .* is all 0:UserWarning")
@each_number
def test_monai_gives_the_same_distances_of_each_class(num_classes: int) -> None:
    for outputs in (exclusive(num_classes), overlapping(num_classes)):
        for prediction, truth in list(pairs(outputs))[1:4]:
            ours = compare(prediction, truth, outputs, "native")
            one_hot = [planes(mask, outputs).float() for mask in (prediction, truth)]
            number_of_classes, diagonal = len(outputs.names), float(np.hypot(*SIDES))
            hausdorff = compute_hausdorff_distance(*one_hot, include_background=True, percentile=95)[0]
            average = compute_average_surface_distance(*one_hot, include_background=True, symmetric=True)[0]
            tolerances = [NSD_TOLERANCE * diagonal] * number_of_classes
            surface = compute_surface_dice(*one_hot, tolerances, include_background=True)[0]
            for number in range(number_of_classes):
                if not (ours.in_truth[number] and ours.in_prediction[number]):
                    continue  # infinite or no number there; here the diagonal, or 0 if both are empty
                scores = ours.scores[number]
                assert scores["native_hd95_px"] == pytest.approx(hausdorff[number].item(), abs=1e-4)
                assert scores["native_asd_px"] == pytest.approx(average[number].item(), abs=1e-5)
                assert scores["native_nsd"] == pytest.approx(surface[number].item(), abs=EXACT)


@each_number
@ignored_or_not
def test_the_calibration_of_a_class_is_torchmetrics_of_its_probability(
    num_classes: int, has_ignored: bool
) -> None:
    for outputs in (exclusive(num_classes, has_ignored), overlapping(num_classes, has_ignored)):
        for seed, (_, truth) in enumerate(pairs(outputs)):
            rng = np.random.default_rng(seed)
            prob = rng.random(outputs.prob_shape(*SIDES))
            prob = np.round(prob * CALIBRATION_BINS - 0.5) / CALIBRATION_BINS + 0.5 / CALIBRATION_BINS
            prob = np.clip(prob, 0.01, 0.99).astype(np.float32)  # in the middle of a bin
            ours = compare(
                outputs.decide(prob), truth, outputs, "native", prob_of=partial(outputs.prob_of, prob)
            ).scores
            valid = np.ones(SIDES, np.bool_) if outputs.valid(truth) is None else outputs.valid(truth)
            for number, scores in ours.items():
                of_class = torch.tensor(prob[number][valid])
                target = torch.tensor(outputs.plane(truth, number)[valid]).int()
                theirs = binary_calibration_error(of_class, target, n_bins=CALIBRATION_BINS, norm="l1")
                assert scores["native_ece"] == pytest.approx(theirs.item(), abs=1e-5)
                brier = ((of_class - target) ** 2).mean().item()
                assert scores["native_brier"] == pytest.approx(brier, abs=EXACT)
