"""The losses that the study did not have, against MONAI and their papers' formulas, written pixel by pixel.

``lovasz`` and ``boundary`` have no counterpart in MONAI: their references are slow and in float64.
"""

import itertools

import numpy as np
import pytest
import scipy
import torch
from monai.losses.cldice import SoftclDiceLoss, SoftDiceclDiceLoss
from monai.losses.dice import DiceCELoss, DiceLoss
from monai.losses.hausdorff_loss import HausdorffDTLoss
from monai.losses.tversky import TverskyLoss
from torch import Tensor
from torch.nn import functional as F

from segstudy.core.outputs import Outputs
from segstudy.losses import build_loss
from segstudy.losses.distances import by_shifts, to_the_other

EXACT = 1e-6
SHAPES = [(1, 1, 8, 9), (4, 1, 17, 12)]
EXCLUSIVE = Outputs("multiclass", ("background", "disc", "cup"))
OVERLAPPING = Outputs("multilabel", ("disc", "cup"))
NONE_ZERO = 1e-20  # of MONAI's constants that we do not have

each_shape = pytest.mark.parametrize("shape", SHAPES)


def blobs(shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits and target of connected regions; of a batch of several the first target is empty."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    noise = torch.randn((2, *shape), generator=generator).flatten(0, 1)
    smooth = F.avg_pool2d(noise, 5, 1, 2, count_include_pad=False).unflatten(0, (2, shape[0]))
    target = (smooth[0] > 0.1).float()
    if shape[0] > 1:
        target[0] = 0
    return 6 * (smooth[1] + smooth[0] / 2), target


def of_classes(seed: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, numbers of classes and their planes; the first image lacks the last class."""
    logits, _ = blobs((4, 3, 11, 13), seed)
    target = blobs((4, 3, 11, 13), seed + 1)[0].argmax(1)
    target[0][target[0] == 2] = 0
    return logits, target, F.one_hot(target, 3).permute(0, 3, 1, 2).float()


def assert_equal(ours: Tensor, theirs: Tensor | float) -> None:
    torch.testing.assert_close(ours.double(), torch.as_tensor(theirs).double(), rtol=EXACT, atol=EXACT)


def gradient(loss, logits: Tensor, target: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits, target), logits)[0]


def monai(kind, *, background: bool = False, **options):
    """MONAI's loss of each image, averaged, for sigmoid and for softmax."""

    def mean(loss, logits: Tensor, planes: Tensor) -> Tensor:
        each = [loss(logits[i : i + 1], planes[i : i + 1]) for i in range(len(logits))]
        return torch.stack(each).mean()

    sigmoid = kind(sigmoid=True, include_background=True, **options)
    softmax = kind(softmax=True, include_background=background, **options)
    return (lambda *given: mean(sigmoid, *given)), (lambda *given: mean(softmax, *given))


SMOOTH = {"smooth_nr": 1, "smooth_dr": 1}
OF_MONAI = {
    "jaccard": (DiceLoss, {"jaccard": True, "smooth_nr": 2, "smooth_dr": 2}),
    "jaccard:smooth=0.5": (DiceLoss, {"jaccard": True, **SMOOTH}),
    "focal_tversky:exponent=1": (TverskyLoss, {"alpha": 0.3, "beta": 0.7, **SMOOTH}),
    "hausdorff_dt": (HausdorffDTLoss, {}),
    "hausdorff_dt:alpha=1": (HausdorffDTLoss, {"alpha": 1.0}),
    "cldice": (SoftDiceclDiceLoss, {**SMOOTH, "smooth": NONE_ZERO}),
    "cldice:alpha=1:iterations=5": (SoftclDiceLoss, {"iter_": 5, **SMOOTH, "smooth": NONE_ZERO}),
    "cldice:alpha=0.2:iterations=0:smooth=0.1": (
        SoftDiceclDiceLoss,
        {"alpha": 0.2, "iter_": 0, "smooth_nr": 0.1, "smooth_dr": 0.1, "smooth": NONE_ZERO},
    ),
}


@each_shape
@pytest.mark.parametrize("text", OF_MONAI)
def test_binary_losses_and_their_gradients_equal_monais(shape: tuple[int, ...], text: str) -> None:
    logits, target = blobs(shape)
    kind, options = OF_MONAI[text]
    theirs, _ = monai(kind, **options)
    assert_equal(build_loss(text)(logits, target), theirs(logits, target))
    torch.testing.assert_close(
        gradient(build_loss(text), logits, target), gradient(theirs, logits, target), rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("text", OF_MONAI)
def test_losses_of_classes_that_exclude_each_other_equal_monais(text: str) -> None:
    logits, target, planes = of_classes()
    kind, options = OF_MONAI[text]
    if "cldice" in text:  # MONAI adds up the pixels of all classes
        theirs, prob = kind(**options), logits.softmax(1)
        places = itertools.product(range(4), (1, 2))
        each = [theirs(prob[i : i + 1, [k]], planes[i : i + 1, [k]]) for i, k in places]
        expected = torch.stack(each).mean()
    else:
        expected = monai(kind, **options)[1](logits, planes)
    assert_equal(build_loss(text, EXCLUSIVE)(logits, target), expected)


@pytest.mark.parametrize("text", ["jaccard", "hausdorff_dt"])
def test_with_the_background_they_equal_monais_with_it(text: str) -> None:
    logits, target, planes = of_classes()
    kind, options = OF_MONAI[text]
    ours = build_loss(f"{text}:background=true", EXCLUSIVE)(logits, target)
    assert_equal(ours, monai(kind, background=True, **options)[1](logits, planes))


@each_shape
def test_bce_dice_equals_monais_dice_ce(shape: tuple[int, ...]) -> None:
    logits, target = blobs(shape)
    theirs = DiceCELoss(sigmoid=True, lambda_ce=0.25, lambda_dice=2.0, **SMOOTH)
    assert_equal(build_loss("bce_dice:bce_weight=0.25:dice_weight=2")(logits, target), theirs(logits, target))


def test_bce_dice_of_exclusive_classes_equals_monais_dice_ce() -> None:
    logits, target, planes = of_classes()
    theirs = DiceCELoss(softmax=True, **SMOOTH)
    assert_equal(build_loss("bce_dice:background=true", EXCLUSIVE)(logits, target), theirs(logits, planes))


@each_shape
@pytest.mark.parametrize("exponent", [0.75, 0.5, 2.0])
def test_focal_tversky_is_the_power_of_the_tversky_loss_of_each_image(
    shape: tuple[int, ...], exponent: float
) -> None:
    """Equation 4 of the paper; its gamma is 1 / exponent."""
    logits, target = blobs(shape)
    alone = [
        TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, **SMOOTH)(x[None], t[None])
        for x, t in zip(logits, target, strict=True)
    ]
    ours = build_loss(f"focal_tversky:exponent={exponent}")(logits, target)
    assert_equal(ours, torch.stack(alone).pow(exponent).mean())


def slow_lovasz(errors: np.ndarray, truth: np.ndarray) -> float:
    """Definition 1 and equation 9 of the paper, with sets: the IoU that is lost as each pixel joins."""

    def lost(wrong: set[int]) -> float:
        union = foreground | wrong
        return 1 - len(foreground - wrong) / len(union) if union else 0.0

    foreground = set(np.flatnonzero(truth))
    wrong: set[int] = set()
    total, before = 0.0, 0.0
    for pixel in np.argsort(-errors, kind="stable"):
        wrong.add(int(pixel))
        after = lost(wrong)
        total, before = total + errors[pixel] * (after - before), after
    return total


@each_shape
def test_lovasz_of_binary_masks_is_the_extension_at_the_errors_of_the_hinge(shape: tuple[int, ...]) -> None:
    logits, target = blobs(shape)
    errors = np.maximum(1 - logits.double().numpy() * (2 * target.numpy() - 1), 0)
    each = [slow_lovasz(e.ravel(), t.ravel()) for e, t in zip(errors, target.numpy(), strict=True)]
    assert_equal(build_loss("lovasz")(logits, target), np.mean(each))


def test_lovasz_of_exclusive_classes_is_the_extension_at_the_errors_of_the_softmax() -> None:
    logits, target, planes = of_classes()
    errors, truth = (logits.double().softmax(1) - planes).abs().numpy(), planes.numpy()
    places = list(itertools.product(range(4), (1, 2)))
    each = [slow_lovasz(errors[place].ravel(), truth[place].ravel()) for place in places]
    assert_equal(build_loss("lovasz", EXCLUSIVE)(logits, target), np.mean(each))


def test_lovasz_of_sure_pixels_is_one_minus_the_iou() -> None:
    """Errors of 0 and 1 are a set: there the extension is the loss of the set itself."""
    _, target = blobs((4, 1, 17, 12))
    _, other = blobs((4, 1, 17, 12), seed=5)
    other[0, 0, 0] = 1
    planes = torch.cat([1 - other, other], 1)
    found = build_loss("lovasz", Outputs("multiclass", ("background", "disc")))(
        2e4 * planes, target[:, 0].long()
    )
    overlap, union = (target * other).sum((1, 2, 3)), target.maximum(other).sum((1, 2, 3))
    assert_equal(found, (1 - overlap / union).mean())


def slow_signed_distances(truth: np.ndarray) -> np.ndarray:
    """``one_hot2dist`` of the authors' code; 0 without a boundary."""
    if truth.all() or not truth.any():
        return np.zeros(truth.shape)
    edt = scipy.ndimage.distance_transform_edt
    return edt(~truth) * ~truth - (edt(truth) - 1) * truth


@each_shape
def test_boundary_is_the_mean_of_signed_distance_times_probability_but_for_a_constant(
    shape: tuple[int, ...],
) -> None:
    logits, target = blobs(shape)
    phi = torch.from_numpy(np.stack([slow_signed_distances(t.numpy()[0] > 0)[None] for t in target]))
    prob = logits.double().sigmoid()
    assert_equal(build_loss("boundary")(logits, target), (phi * prob).mean() - (phi * target).mean())
    ours = gradient(build_loss("boundary"), logits, target)
    theirs = gradient(lambda x, _: (phi * x.sigmoid()).mean(), logits.double(), target)
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-8)


def test_boundary_of_exclusive_classes_averages_those_of_each_class() -> None:
    logits, target, planes = of_classes()
    phi = [[slow_signed_distances(plane.numpy() > 0) for plane in image[1:]] for image in planes]
    error = (logits.double().softmax(1) - planes)[:, 1:]
    assert_equal(
        build_loss("boundary", EXCLUSIVE)(logits, target), (torch.from_numpy(np.array(phi)) * error).mean()
    )


def nearest(of: np.ndarray) -> np.ndarray:
    """Squared distances by trying all pixels."""
    pixels = np.argwhere(of)
    grid = np.stack(np.meshgrid(*map(np.arange, of.shape), indexing="ij"), -1)
    return np.square(grid[:, :, None] - pixels).sum(-1).min(-1)


@pytest.mark.parametrize("sides", [(1, 1), (1, 9), (9, 1), (12, 17), (17, 12)])
def test_both_ways_to_distances_are_exact(sides: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(sides))
    for share in (0.02, 0.3, 0.9):
        truth = rng.random((3, 2, *sides)) < share
        truth[0, 0] = False
        counts = rng.random((3, 1, *sides)) < 0.8
        to_true, to_false = to_the_other(torch.from_numpy(truth), torch.from_numpy(counts))
        for place in np.ndindex(3, 2):
            both = [truth[place] & counts[place[0], 0], ~truth[place] & counts[place[0], 0]]
            has_boundary = all(side.any() for side in both)
            for found, side in zip((to_true, to_false), both, strict=True):
                expected = nearest(side) if has_boundary else np.zeros(sides)
                np.testing.assert_array_equal(found[place].numpy(), expected)
                if has_boundary:
                    np.testing.assert_array_equal(by_shifts(torch.from_numpy(side)).numpy(), expected)


@pytest.mark.parametrize("text", [*OF_MONAI, "lovasz", "boundary", "bce_dice", "focal_tversky"])
def test_classes_that_overlap_are_the_mean_of_binary_ones_with_their_weights(text: str) -> None:
    logits, target = blobs((3, 2, 11, 13))
    alone = [build_loss(text)(logits[:, [k]], target[:, [k]]) for k in range(2)]
    assert_equal(build_loss(text, OVERLAPPING)(logits, target), (alone[0] + alone[1]) / 2)
    assert_equal(build_loss(text, OVERLAPPING, (1.0, 3.0))(logits, target), (alone[0] + 3 * alone[1]) / 4)
