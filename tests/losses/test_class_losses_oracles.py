"""Losses of several classes against MONAI and PyTorch: where they agree, with which options, and where not.

With one image, K foreground classes beside the background, K = 1, 2, 5:

===========  ============================================================================================
ours         theirs
===========  ============================================================================================
bce          ``torch.nn.CrossEntropyLoss(weight)`` of one image; multilabel: ``BCEWithLogitsLoss``
focal        K + 1 times MONAI's ``FocalLoss(use_softmax=True)``, which also divides by the classes' number;
             ``alpha`` is its ``alpha``. With weights, ours divides by the sum of the pixels' weights
dice         MONAI's ``DiceLoss(softmax=True, include_background=False)``; with weights if their mean over
             the classes that are averaged is 1, as ours is made
tversky      MONAI's ``TverskyLoss(softmax=True, include_background=False)``, as above
combo        MONAI's ``DiceFocalLoss(softmax=True)``, whose focal part has sigmoids for all that; its
             ``include_background`` is for both parts, ours for Dice
===========  ============================================================================================

Pixels to ignore are compared with images from which they are cut away.
"""

import pytest
import torch
from monai.losses.dice import DiceFocalLoss, DiceLoss
from monai.losses.focal_loss import FocalLoss
from monai.losses.tversky import TverskyLoss
from torch import Tensor
from torch.nn import functional as F

from segstudy.core.outputs import Outputs
from segstudy.losses import build_loss

EXACT = 1e-6
SIDES = (9, 8)
NUM_CLASSES = [1, 2, 5]  # of foreground

each_number = pytest.mark.parametrize("num_classes", NUM_CLASSES)


def exclusive(num_classes: int, has_ignored: bool = False) -> Outputs:
    names = ("background", *(f"class {k}" for k in range(1, num_classes + 1)))
    return Outputs("multiclass", names, has_ignored)


def overlapping(num_classes: int, has_ignored: bool = False) -> Outputs:
    return Outputs("multilabel", tuple(f"class {k}" for k in range(num_classes)), has_ignored)


def of_classes(outputs: Outputs, num_images: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, target, and the target as a plane for each class; the first image lacks the last class."""
    num_channels = outputs.num_channels
    generator = torch.Generator().manual_seed(num_channels)
    logits = 2 * torch.randn((num_images, num_channels, *SIDES), generator=generator)
    if outputs.task == "multilabel":
        target = (torch.rand(logits.shape, generator=generator) < 0.3).float()
        target[0, -1] = 0
        return logits, target, target
    target = torch.randint(num_channels, (num_images, *SIDES), generator=generator)
    target[0][target[0] == num_channels - 1] = 0
    return logits, target, F.one_hot(target, num_channels).permute(0, 3, 1, 2).float()


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=EXACT)


def mean_1(weights: list[float]) -> Tensor:
    return torch.tensor(weights) / (sum(weights) / len(weights))


# Classes that exclude each other.


@each_number
@pytest.mark.parametrize("smooth", [0.01, 1.0])
@pytest.mark.parametrize("background", [False, True])
def test_dice_equals_monai(num_classes: int, smooth: float, background: bool) -> None:
    outputs = exclusive(num_classes)
    logits, target, planes = of_classes(outputs)
    text = f"dice:smooth={smooth}:background={str(background).lower()}"
    theirs = DiceLoss(softmax=True, include_background=background, smooth_nr=smooth, smooth_dr=smooth)
    assert_equal(build_loss(text, outputs)(logits, target), theirs(logits, planes))


@each_number
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(("fp_weight", "fn_weight"), [(0.3, 0.7), (0.5, 0.5), (1.0, 0.2)])
def test_tversky_equals_monai(num_classes: int, background: bool, fp_weight: float, fn_weight: float) -> None:
    outputs = exclusive(num_classes)
    logits, target, planes = of_classes(outputs)
    text = f"tversky:fp_weight={fp_weight}:fn_weight={fn_weight}:background={str(background).lower()}"
    theirs = TverskyLoss(
        softmax=True,
        include_background=background,
        alpha=fp_weight,
        beta=fn_weight,
        smooth_nr=1,
        smooth_dr=1,
    )
    assert_equal(build_loss(text, outputs)(logits, target), theirs(logits, planes))


@each_number
@pytest.mark.parametrize("background", [False, True])
def test_weighted_dice_equals_monai_with_weights_of_mean_1(num_classes: int, background: bool) -> None:
    outputs = exclusive(num_classes)
    logits, target, planes = of_classes(outputs)
    weights = [0.5, 1.0, 3.0, 0.25, 2.0, 7.0][: num_classes + 1]
    text = f"dice:background={str(background).lower()}"
    theirs = DiceLoss(
        softmax=True,
        include_background=background,
        smooth_nr=1,
        smooth_dr=1,
        weight=mean_1(weights if background else weights[1:]),
    )
    assert_equal(build_loss(text, outputs, tuple(weights))(logits, target), theirs(logits, planes))


@each_number
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_is_monais_times_the_number_of_its_channels(
    num_classes: int, gamma: float, alpha: float | None
) -> None:
    outputs = exclusive(num_classes)
    logits, target, planes = of_classes(outputs)
    text = f"focal:gamma={gamma}" + ("" if alpha is None else f":alpha={alpha}")
    theirs = FocalLoss(use_softmax=True, gamma=gamma, alpha=alpha)(logits, planes)
    assert_equal(build_loss(text, outputs)(logits, target), theirs * (num_classes + 1))


@each_number
def test_weighted_focal_of_one_image_is_monais_over_the_mean_weight_of_its_pixels(num_classes: int) -> None:
    outputs = exclusive(num_classes)
    logits, target, planes = of_classes(outputs, num_images=1)
    weights = [0.5, 1.0, 3.0, 0.25, 2.0, 7.0][: num_classes + 1]
    theirs = FocalLoss(use_softmax=True, weight=weights)(logits, planes) * (num_classes + 1)
    mean_weight = torch.tensor(weights)[target].mean()
    assert_equal(build_loss("focal", outputs, tuple(weights))(logits, target), theirs / mean_weight)


@each_number
def test_combo_equals_monais_with_background_and_a_focal_weight_of_its_channels(num_classes: int) -> None:
    outputs = exclusive(num_classes)
    logits, target, planes = of_classes(outputs)
    theirs = DiceFocalLoss(
        softmax=True, smooth_nr=1, smooth_dr=1, lambda_focal=num_classes + 1, lambda_dice=0.5
    )
    theirs.focal.use_softmax = True  # MONAI's own choice is a sigmoid for each class
    ours = build_loss("combo:dice_weight=0.5:background=true", outputs)(logits, target)
    assert_equal(ours, theirs(logits, planes))


@each_number
@pytest.mark.parametrize("is_weighted", [False, True])
def test_cross_entropy_equals_pytorchs_of_each_image(num_classes: int, is_weighted: bool) -> None:
    outputs = exclusive(num_classes, has_ignored=True)
    logits, target, _ = of_classes(outputs)
    target[:, :2] = -100
    weights = [0.5, 1.0, 3.0, 0.25, 2.0, 7.0][: num_classes + 1] if is_weighted else None
    theirs = torch.nn.CrossEntropyLoss(weight=None if weights is None else torch.tensor(weights))
    each = torch.stack([theirs(logits[i : i + 1], target[i : i + 1]) for i in range(len(logits))])
    ours = build_loss("bce", outputs, None if weights is None else tuple(weights))(logits, target)
    assert_equal(ours, each.mean())


# Classes that overlap.


@each_number
@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        ("bce", torch.nn.BCEWithLogitsLoss()),
        ("focal:gamma=0.5", FocalLoss(gamma=0.5)),
        ("focal:alpha=0.25", FocalLoss(alpha=0.25)),
        ("dice", DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)),
        ("tversky", TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1, smooth_dr=1)),
        ("combo", DiceFocalLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_overlapping_classes_equal_monais_sigmoid_forms(num_classes: int, text: str, theirs) -> None:
    outputs = overlapping(num_classes)
    logits, target, planes = of_classes(outputs)
    assert_equal(build_loss(text, outputs)(logits, target), theirs(logits, planes))


@pytest.mark.parametrize("num_classes", [2, 5])
@pytest.mark.parametrize(
    ("text", "theirs", "options"),
    [
        ("dice", DiceLoss, {"sigmoid": True, "smooth_nr": 1, "smooth_dr": 1}),
        ("focal", FocalLoss, {}),
    ],
)
def test_weights_of_overlapping_classes_equal_monais_of_mean_1(num_classes, text, theirs, options) -> None:
    outputs = overlapping(num_classes)
    logits, target, planes = of_classes(outputs)
    weights = [0.5, 1.0, 3.0, 0.25, 2.0][:num_classes]
    ours = build_loss(text, outputs, tuple(weights))(logits, target)
    assert_equal(ours, theirs(**options, weight=mean_1(weights))(logits, planes))


# Pixels to ignore: an image that ends before them has the same loss.


@each_number
@pytest.mark.parametrize(
    ("text", "theirs", "factor"),
    [
        ("dice", DiceLoss(softmax=True, include_background=False, smooth_nr=1, smooth_dr=1), 1),
        (
            "tversky",
            TverskyLoss(
                softmax=True, include_background=False, alpha=0.3, beta=0.7, smooth_nr=1, smooth_dr=1
            ),
            1,
        ),
        ("focal", FocalLoss(use_softmax=True), 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ignored_rows_are_as_cut_away(num_classes: int, text: str, theirs, factor: int) -> None:
    outputs = exclusive(num_classes, has_ignored=True)
    logits, target, planes = of_classes(outputs)
    target[:, 6:] = -100
    expected = theirs(logits[:, :, :6], planes[:, :, :6]) * (factor or num_classes + 1)
    assert_equal(build_loss(text, outputs)(logits, target), expected)


@each_number
@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        ("bce", torch.nn.BCEWithLogitsLoss()),
        ("focal", FocalLoss()),
        ("dice", DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)),
        ("tversky", TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1, smooth_dr=1)),
        ("combo", DiceFocalLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ignored_rows_of_overlapping_classes_are_as_cut_away(num_classes: int, text: str, theirs) -> None:
    for outputs in [
        overlapping(num_classes, True),
        *([Outputs(has_ignored=True)] if num_classes == 1 else []),
    ]:
        logits, target, planes = of_classes(overlapping(num_classes))
        expected = theirs(logits[:, :, :6], planes[:, :, :6])
        target[:, :, 6:] = -1
        assert_equal(build_loss(text, outputs)(logits, target), expected)
