"""Weighted sums of losses."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY, Outputs
from segstudy.losses import LOSSES, Loss, bce, build_loss, family, known_losses, resolve_loss

THREE = Outputs("multiclass", ("background", "disc", "cup"), has_ignored=True)
NO_BACKGROUND = Outputs("multiclass", ("sky", "land", "sea"))
OVERLAPPING = Outputs("multilabel", ("disc", "cup"), has_ignored=True)
TASKS = {
    "binary": BINARY,
    "ignore": Outputs(has_ignored=True),
    "multiclass": THREE,
    "multilabel": OVERLAPPING,
}

each_task = pytest.mark.parametrize("outputs", TASKS.values(), ids=TASKS)


def batch(outputs: Outputs) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn((3, outputs.num_channels, 6, 7), generator=generator)
    if outputs.task == "multiclass":
        return logits, torch.randint(outputs.num_channels, (3, 6, 7), generator=generator)
    return logits, (torch.rand(logits.shape, generator=generator) < 0.4).float()


def value_and_gradient(text: str, outputs: Outputs, weights=None) -> tuple[Tensor, Tensor]:
    logits, target = batch(outputs)
    logits.requires_grad_()
    value = build_loss(text, outputs, weights)(logits, target)
    return value.detach(), torch.autograd.grad(value, logits)[0]


@each_task
def test_a_sum_is_the_weighted_sum_of_its_parts(outputs: Outputs) -> None:
    parts = [value_and_gradient(text, outputs) for text in ("bce", "dice:smooth=2", "focal")]
    found = value_and_gradient("2*dice:smooth=2+focal+0.25*bce", outputs)
    for mine, of_parts in zip(found, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(mine, 0.25 * of_parts[0] + 2 * of_parts[1] + of_parts[2])


@each_task
@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("bce_dice", "bce+dice"),
        ("bce_dice", "dice+bce"),
        ("combo", "focal+dice"),
        ("bce_dice:bce_weight=0.3:dice_weight=2", "0.3*bce+2*dice"),
        ("dice:smooth=3+0.5*bce", "0.5*bce+dice:smooth=3.0"),
    ],
)
def test_equal_sums_are_equal_to_the_last_bit(text: str, same: str, outputs: Outputs) -> None:
    for mine, other in zip(value_and_gradient(text, outputs), value_and_gradient(same, outputs), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("outputs", [THREE, OVERLAPPING], ids=["multiclass", "multilabel"])
def test_every_part_is_given_the_weights_of_classes(outputs: Outputs) -> None:
    weights = (1.0, 4.0, 2.0)[: len(outputs.names)]
    parts = [value_and_gradient(text, outputs, weights)[0] for text in ("bce", "lovasz")]
    found, _ = value_and_gradient("bce+lovasz", outputs, weights)
    assert torch.equal(found, parts[0] + parts[1])
    assert found != value_and_gradient("bce+lovasz", outputs)[0]


def test_a_weight_alone_scales_a_loss_and_its_gradient() -> None:
    (value, gradient), (half, smaller) = (value_and_gradient(t, BINARY) for t in ("dice", "0.5*dice"))
    assert torch.equal(half, value / 2)
    assert torch.equal(smaller, gradient / 2)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("dice:smooth=1+bce", "bce+dice"),
        (
            "1.0*tversky:fn_weight=.7:fp_weight=.2+0.50*focal:gamma=3",
            "0.5*focal:gamma=3.0+tversky:fp_weight=0.2",
        ),
        ("torch.nn:BCEWithLogitsLoss+dice", "dice+torch.nn:BCEWithLogitsLoss"),
    ],
)
def test_options_at_their_defaults_do_not_change_the_name_of_a_sum(written: str, canonical: str) -> None:
    assert str(resolve_loss(written)[0]) == canonical
    assert str(resolve_loss(canonical)[0]) == canonical


@pytest.mark.parametrize(
    ("text", "outputs", "is_weighted", "told"),
    [
        ("bce+hinge", BINARY, False, "unknown loss 'hinge': use one of bce, focal"),
        ("bce+dice:gamma=2", BINARY, False, "dice has no option 'gamma': its options are smooth"),
        ("bce+dice:smooth=1+dice", BINARY, False, "adds dice twice: give it once, as 2.dice"),
        (
            "dice+torch.nn:BCEWithLogitsLoss",
            OVERLAPPING,
            False,
            "^torch.nn:BCEWithLogitsLoss cannot be used with",
        ),
        (
            "dice+torch.nn:CrossEntropyLoss",
            THREE,
            True,
            "^torch.nn:CrossEntropyLoss cannot be used with class_w",
        ),
        ("bce+dice:background=true", NO_BACKGROUND, False, "^dice: background means nothing here"),
        ("square+bce", THREE, False, "square does not serve classes that exclude each other"),
    ],
)
def test_a_refusal_names_the_part(
    monkeypatch, text: str, outputs: Outputs, is_weighted: bool, told: str
) -> None:
    monkeypatch.setitem(LOSSES, "square", Loss(lambda logits, target: (logits - target).square().mean()))
    with pytest.raises(UserError, match=told):
        resolve_loss(text, outputs, is_weighted)


@pytest.mark.parametrize("text", ["bce+{file}:hinge", "{file}:hinge+bce", "0.5*{file}:hinge"])
def test_a_file_is_no_part_of_a_sum(tmp_path: Path, text: str) -> None:
    file = tmp_path / "my.py"
    file.write_text("def hinge(logits, target):\n    return logits.mean()\n")
    with pytest.raises(
        UserError, match="it takes no loss from a file, so add them up in a function of that file"
    ):
        resolve_loss(text.format(file=file))


def test_the_version_of_a_sum_grows_with_each_of_its_parts(monkeypatch) -> None:
    assert resolve_loss("bce+dice")[1] == 1
    monkeypatch.setitem(LOSSES, "bce", Loss(bce, numerics=3))
    assert resolve_loss("bce+dice")[1] == resolve_loss("2*bce")[1] == 3
    monkeypatch.setitem(LOSSES, "dice", Loss(bce, numerics=2))
    assert resolve_loss("bce+dice")[1] == 4
    assert str(resolve_loss("torch.nn:BCEWithLogitsLoss+bce")[1]).startswith("3 + torch ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dice+jaccard", "region"),
        ("bce+2*focal", "distribution"),
        ("bce+dice", "combined"),
        ("dice+0.01*boundary", "combined"),
        ("boundary+hausdorff_dt", "boundary"),
        ("bce+torch.nn:BCEWithLogitsLoss", None),
        ("my.py:hinge (0a1b2c)", None),
        ("my.py:hinge", None),
        ("gone", None),
    ],
)
def test_a_sum_is_of_the_family_of_its_parts(text: str, expected: str | None) -> None:
    assert family(text) == expected


def test_the_sources_of_a_sum_are_those_of_its_parts() -> None:
    assert [record.citations for record in known_losses("focal+2*dice:smooth=2") if record] == [
        ("dice",),
        ("focal",),
    ]
