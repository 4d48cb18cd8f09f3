"""Scores in training of several classes, and of masks with ignored pixels, against counts pixel by pixel."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segstudy.core.network_outputs import OutputError
from segstudy.core.outputs import BINARY, Outputs
from segstudy.evaluation.forward import Tally, ious_of, overlaps, probabilities_of
from segstudy.metrics.class_means import mean_of_present
from segstudy.models.activation import probabilities_from

BINARY_IGNORED = Outputs(has_ignored=True)
THREE = Outputs("multiclass", ("background", "disc", "cup"), has_ignored=True)
NO_BACKGROUND = Outputs("multiclass", ("sky", "land", "sea"))
OVERLAPPING = Outputs("multilabel", ("disc", "cup"), has_ignored=True)
TASKS = {
    "binary": BINARY,
    "binary with ignore": BINARY_IGNORED,
    "multiclass": THREE,
    "multiclass without background": NO_BACKGROUND,
    "multilabel": OVERLAPPING,
}
SIDES = (5, 6)


def batch(outputs: Outputs, num_images: int = 6) -> tuple[Tensor, Tensor]:
    """Some images lack a class, the last is ignored altogether if pixels can be."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(num_images, outputs.num_channels, *SIDES, generator=generator)
    ignored = (torch.rand(num_images, *SIDES, generator=generator) < 0.2) & torch.tensor(outputs.has_ignored)
    if outputs.has_ignored:
        ignored[-1] = True
    if outputs.task == "multiclass":
        target = torch.randint(outputs.num_channels, (num_images, *SIDES), generator=generator)
        target[1] = 0
        logits[1, 1:] = -9  # nothing but the first class, in truth and prediction
        target[2][target[2] == 2] = 1
        return logits, target.masked_fill(ignored, -100)
    target = (torch.rand(logits.shape, generator=generator) < 0.3).float()
    target[1], logits[1] = 0, -1  # none in truth and prediction
    target[2, -1] = 0
    return logits, target.masked_fill(ignored.unsqueeze(1), -1.0)


def slow_iou(outputs: Outputs, logits: Tensor, target: Tensor) -> float:
    """Of one image: pixel by pixel, as sets, of every class that is scored and there."""
    found = []
    for number in outputs.scored:
        predicted, true = set(), set()
        for y in range(SIDES[0]):
            for x in range(SIDES[1]):
                if outputs.task == "multiclass":
                    ignored = target[y, x] < 0
                    is_predicted, is_true = logits[:, y, x].argmax() == number, target[y, x] == number
                else:
                    channel = 0 if outputs.task == "binary" else number
                    ignored = target[channel, y, x] < 0
                    is_predicted, is_true = logits[channel, y, x] >= 0, target[channel, y, x] == 1
                if not ignored:
                    predicted |= {(y, x)} if is_predicted else set()
                    true |= {(y, x)} if is_true else set()
        if predicted | true:
            found.append(len(predicted & true) / len(predicted | true))
    return sum(found) / len(found) if found else 1.0


@pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)
def test_the_iou_of_an_image_is_the_mean_over_its_classes_that_are_scored_and_there(outputs: Outputs) -> None:
    logits, target = batch(outputs)
    expected = [slow_iou(outputs, *each) for each in zip(logits, target, strict=True)]
    assert ious_of(overlaps(logits, target, outputs)) == pytest.approx(expected, abs=1e-12)
    assert expected[1] == 1 or outputs == NO_BACKGROUND
    tally = Tally(outputs)
    for part in (slice(0, 4), slice(4, 6)):
        tally.add(torch.tensor(float(part.start)), logits[part], target[part])
    score = tally.score()
    assert score.iou == pytest.approx(np.mean(expected))
    assert score.loss == pytest.approx(2 * 4 / 6)


@pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)
def test_all_pixels_that_count_are_counted(outputs: Outputs) -> None:
    logits, target = batch(outputs)
    counts = overlaps(logits, target, outputs)
    assert counts.shape == (6, len(outputs.scored), 4)
    valid = (target >= 0).flatten(1).sum(1) // (1 if outputs.task == "multiclass" else target.shape[1])
    assert (counts.sum(2) == valid.unsqueeze(1)).all()
    assert (counts >= 0).all()


def prepared_of(outputs: Outputs, ids: str) -> Any:
    return SimpleNamespace(outputs=outputs, network_mask=lambda _: np.zeros(SIDES), ids=list(ids))


@pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)
def test_masks_decided_from_probabilities_are_those_that_were_counted(outputs: Outputs) -> None:
    logits, target = batch(outputs)
    prepared = prepared_of(outputs, "abcdef")
    prob = probabilities_of([logits[:4], logits[4:]], prepared, np.arange(6))
    assert prob.shape == (6, *outputs.prob_shape(*SIDES))
    assert np.allclose(prob, probabilities_from(logits, outputs).numpy(), rtol=0, atol=1e-6)
    counts = overlaps(logits, target, outputs).numpy()
    valid = (target >= 0).numpy()
    for i, each in enumerate(prob):
        mask = outputs.decide(each)
        there = valid[i].reshape(-1, *SIDES)[0]
        for place, number in enumerate(outputs.scored):
            assert (outputs.plane(mask, number) & there).sum() == counts[i, place, :2].sum()


def test_too_few_channels_are_refused() -> None:
    prepared = prepared_of(THREE, "ab")
    with pytest.raises(
        OutputError, match=r"shape \(2, 2, 5, 6\) instead of float32 and \(2, 3, 5, 6\) for a"
    ):
        probabilities_of([torch.zeros(2, 2, *SIDES)], prepared, np.arange(2))


def test_half_precision_logits_have_float32_probabilities() -> None:
    logits = torch.randn(2, 3, *SIDES)
    for outputs in (THREE, OVERLAPPING, BINARY):
        assert (
            probabilities_from(logits[:, : outputs.num_channels].bfloat16(), outputs).dtype == torch.float32
        )


def test_the_mean_over_classes_leaves_out_those_that_are_not_there() -> None:
    assert mean_of_present([0.25, 0.5, 1.0], [True, True, False]) == 0.375
    assert mean_of_present([1.0, 1.0], [False, False]) == 1
    assert mean_of_present([0.7], [True]) == 0.7
