"""Our losses against MONAI and segmentation_models_pytorch: where they agree, and where they do not, by name.

MONAI is called. segmentation_models_pytorch (SMP) needs torchvision, so its values were computed
once by ``references/smp_losses.py`` and are read from the file it wrote, inputs included.
"""

import itertools
import json
from typing import Any

import pytest
import torch
from monai.losses.dice import DiceFocalLoss, DiceLoss
from monai.losses.focal_loss import FocalLoss
from monai.losses.tversky import TverskyLoss
from places import TESTS
from torch import Tensor

from segstudy.losses import bce, build_loss, combo, dice, focal, tversky

SHAPES = [(1, 1, 8, 9), (2, 1, 5, 5), (5, 1, 17, 3), (3, 1, 1, 1)]
SMOOTH = [0.01, 1.0, 100.0]
PRICES = [(0.3, 0.7), (0.5, 0.5), (0.9, 0.1), (1.0, 1.0)]  # of false positives and of false negatives
EXACT = 1e-6


def example(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Logits and target whose images differ in how much foreground they have; the first is empty."""
    generator = torch.Generator().manual_seed(sum(shape))
    share = torch.linspace(0, 0.9, shape[0]).view(-1, 1, 1, 1)
    target = torch.rand(shape, generator=generator) < share
    return 3 * torch.randn(shape, generator=generator), target.float()


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=EXACT)


# MONAI agrees: it reduces each image and then averages, as we do.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.5, 1.0])
def test_focal_equals_monai(shape: tuple[int, ...], gamma: float, alpha: float | None) -> None:
    logits, target = example(shape)
    ours = focal(logits, target, gamma=gamma, alpha=-1.0 if alpha is None else alpha)
    assert_equal(ours, FocalLoss(gamma=gamma, alpha=alpha)(logits, target))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smooth", SMOOTH)
def test_dice_equals_monai(shape: tuple[int, ...], smooth: float) -> None:
    logits, target = example(shape)
    oracle = DiceLoss(sigmoid=True, smooth_nr=smooth, smooth_dr=smooth)
    assert_equal(dice(logits, target, smooth=smooth), oracle(logits, target))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smooth", SMOOTH)
@pytest.mark.parametrize(("fp_weight", "fn_weight"), PRICES)
def test_tversky_equals_monai_whose_alpha_prices_false_positives(
    shape: tuple[int, ...], smooth: float, fp_weight: float, fn_weight: float
) -> None:
    logits, target = example(shape)
    oracle = TverskyLoss(sigmoid=True, alpha=fp_weight, beta=fn_weight, smooth_nr=smooth, smooth_dr=smooth)
    assert_equal(tversky(logits, target, fp_weight, fn_weight, smooth), oracle(logits, target))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smooth", SMOOTH)
@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize(("focal_weight", "dice_weight"), [(1.0, 1.0), (0.25, 1.5)])
def test_combo_equals_monai_dice_focal(
    shape: tuple[int, ...], smooth: float, gamma: float, focal_weight: float, dice_weight: float
) -> None:
    logits, target = example(shape)
    oracle = DiceFocalLoss(
        sigmoid=True,
        gamma=gamma,
        smooth_nr=smooth,
        smooth_dr=smooth,
        lambda_focal=focal_weight,
        lambda_dice=dice_weight,
    )
    assert_equal(combo(logits, target, focal_weight, dice_weight, gamma, smooth), oracle(logits, target))


@pytest.mark.parametrize(
    ("text", "oracle"),
    [
        ("focal:gamma=0.5", FocalLoss(gamma=0.5)),
        ("dice", DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)),
        ("tversky", TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1, smooth_dr=1)),
        ("combo", DiceFocalLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)),
    ],
)
def test_gradients_equal_those_of_monai(text: str, oracle: torch.nn.Module) -> None:
    logits, target = example((4, 1, 8, 9))
    logits.requires_grad_()
    (ours,) = torch.autograd.grad(build_loss(text)(logits, target), logits)
    (theirs,) = torch.autograd.grad(oracle(logits, target), logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-8)


def test_monai_smooths_dice_by_a_hundred_thousandth_of_a_pixel_unless_told() -> None:
    """Its default is 1e-5 px, ours 1 px: an empty image costs it almost 1 however little is predicted."""
    logits = torch.full((1, 1, 8, 9), -6.0)  # .18 px of probability
    target = torch.zeros_like(logits)
    assert DiceLoss(sigmoid=True)(logits, target) > 0.9999
    assert dice(logits, target) < 0.16


# SMP agrees on a batch of one image, and everywhere in the losses that add up pixels.

FILE = TESTS / "references" / "smp_losses.json"
REFERENCE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
# Ours for each of SMP's. A smooth of 1 px is 2 px of ours in its Dice, as a test below says.
OURS = {
    "bce": "bce",
    "focal": "focal",
    "dice:smooth=0": "dice:smooth=0",
    "dice:smooth=1": "dice:smooth=2",
    "tversky:smooth=0": "tversky:smooth=0",
    "tversky:smooth=1": "tversky:smooth=1",
}
REGION = [text for text in OURS if text.startswith(("dice", "tversky"))]


def smp_case(name: str) -> tuple[Tensor, Tensor]:
    """The inputs that SMP was given."""
    shape = (-1, 1, REFERENCE["height_px"], REFERENCE["width_px"])
    case = REFERENCE["cases"][name]
    return torch.tensor(case["logits"]).view(shape), torch.tensor(case["target"]).float().view(shape)


def smp(case: str, text: str, number: str = "value") -> float:
    """What SMP answered."""
    answer: float = REFERENCE["cases"][case]["losses"][text][number]
    return answer


def largest_gradient(text: str, logits: Tensor, target: Tensor) -> float:
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(build_loss(text)(logits, target), logits)
    return gradient.abs().max().item()


AGREEING = [
    *(("one image", text) for text in OURS),
    *itertools.product(["four images", "empty target"], ["bce", "focal"]),
]


@pytest.mark.parametrize(("case", "text"), AGREEING)
def test_the_value_and_its_gradient_equal_those_of_smp(case: str, text: str) -> None:
    logits, target = smp_case(case)
    assert build_loss(OURS[text])(logits, target).item() == pytest.approx(smp(case, text), abs=EXACT)
    assert largest_gradient(OURS[text], logits, target) == pytest.approx(
        smp(case, text, "largest_gradient"), abs=EXACT
    )


def test_combo_equals_the_sum_of_the_two_losses_of_smp_on_one_image() -> None:
    both = smp("one image", "focal") + smp("one image", "dice:smooth=1")
    assert combo(*smp_case("one image"), smooth=2).item() == pytest.approx(both, abs=EXACT)


# Where SMP differs.


@pytest.mark.parametrize(
    ("text", "ours_per_image", "smp_pooled"),
    [
        ("dice:smooth=0", 0.633, 0.554),
        ("dice:smooth=1", 0.609, 0.549),
        ("tversky:smooth=0", 0.625, 0.534),
        ("tversky:smooth=1", 0.595, 0.529),
    ],
)
def test_smp_pools_the_pixels_of_a_batch_and_we_do_not(
    text: str, ours_per_image: float, smp_pooled: float
) -> None:
    """Of 72 pixels 2, 13, 36 and 65 are foreground: pooled, the large lesions outvote the small."""
    logits, target = smp_case("four images")
    loss = build_loss(OURS[text])
    assert loss(logits, target).item() == pytest.approx(ours_per_image, abs=5e-4)
    assert smp("four images", text) == pytest.approx(smp_pooled, abs=5e-4)

    as_one_image = logits.view(1, 1, -1, logits.shape[-1]), target.view(1, 1, -1, target.shape[-1])
    assert loss(*as_one_image).item() == pytest.approx(smp("four images", text), abs=EXACT)


@pytest.mark.parametrize("text", REGION)
def test_an_empty_target_costs_smp_exactly_nothing_and_teaches_it_nothing(text: str) -> None:
    assert smp("empty target", text) == smp("empty target", text, "largest_gradient") == 0
    assert build_loss(OURS[text])(*smp_case("empty target")) > 0.9


@pytest.mark.parametrize("text", ["dice", "tversky"])
def test_an_empty_target_teaches_ours_to_predict_less_but_not_without_a_smooth(text: str) -> None:
    assert largest_gradient(text, *smp_case("empty target")) > 5e-5
    assert largest_gradient(f"{text}:smooth=0", *smp_case("empty target")) == 0


def test_the_smooth_of_smp_counts_twice_in_dice_and_once_in_tversky() -> None:
    """Its Dice is its Tversky at .5 and .5: (I + s) / (half the areas + s), so twice our smooth."""
    logits, target = smp_case("one image")
    assert dice(logits, target, smooth=2).item() == pytest.approx(
        smp("one image", "dice:smooth=1"), abs=EXACT
    )
    assert abs(dice(logits, target, smooth=1).item() - smp("one image", "dice:smooth=1")) > 0.005


def test_alpha_of_smp_prices_false_positives_and_beta_false_negatives() -> None:
    """SMP was asked for alpha .3 and beta .7, and means what Salehi et al. and MONAI mean."""
    logits, target = smp_case("one image")
    value = smp("one image", "tversky:smooth=0")
    assert tversky(logits, target, fp_weight=0.3, fn_weight=0.7, smooth=0).item() == pytest.approx(
        value, abs=EXACT
    )
    assert abs(tversky(logits, target, fp_weight=0.7, fn_weight=0.3, smooth=0).item() - value) > 0.05


# A slow reference: bce is PyTorch's own, so it is compared with arithmetic.


def test_bce_equals_its_formula_pixel_by_pixel() -> None:
    logits, target = smp_case("four images")
    prob = logits.double().sigmoid()
    slow = -(target * prob.log() + (1 - target) * (1 - prob).log()).mean()
    assert bce(logits, target).item() == pytest.approx(slow.item(), abs=EXACT)
