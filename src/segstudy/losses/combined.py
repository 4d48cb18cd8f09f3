"""Combined losses: weighted sums of the others."""

from torch import Tensor

from segstudy.core.outputs import Outputs
from segstudy.losses.counted import Weights
from segstudy.losses.distribution import (
    bce,
    bce_multilabel,
    cross_entropy,
    focal,
    focal_multiclass,
    focal_multilabel,
)
from segstudy.losses.region import dice, dice_multiclass, dice_multilabel


def combo(
    logits: Tensor,
    target: Tensor,
    focal_weight: float = 1.0,
    dice_weight: float = 1.0,
    gamma: float = 2.0,
    smooth: float = 1.0,
) -> Tensor:
    """The study's combined loss: focal + Dice (MONAI calls it DiceFocalLoss).

    Three different losses are called "combo" in the literature; this one is not Taghanaki's.
    """
    return focal_weight * focal(logits, target, gamma) + dice_weight * dice(logits, target, smooth)


def combo_multilabel(  # noqa: PLR0913 (what is given, and the options)
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Weights | None = None,
    focal_weight: float = 1.0,
    dice_weight: float = 1.0,
    gamma: float = 2.0,
    smooth: float = 1.0,
) -> Tensor:
    """The same for classes that may overlap, and for pixels to ignore; ``class_weights`` are of both."""
    focal_part = focal_multilabel(logits, target, class_weights=class_weights, gamma=gamma)
    dice_part = dice_multilabel(logits, target, class_weights=class_weights, smooth=smooth)
    return focal_weight * focal_part + dice_weight * dice_part


def combo_multiclass(  # noqa: PLR0913 (what is given, and the options)
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    focal_weight: float = 1.0,
    dice_weight: float = 1.0,
    gamma: float = 2.0,
    smooth: float = 1.0,
    background: bool = False,
) -> Tensor:
    """The same for classes that exclude each other; ``background`` is of Dice, focal has all classes."""
    focal_part = focal_multiclass(logits, target, outputs=outputs, class_weights=class_weights, gamma=gamma)
    dice_part = dice_multiclass(
        logits, target, outputs=outputs, class_weights=class_weights, smooth=smooth, background=background
    )
    return focal_weight * focal_part + dice_weight * dice_part


def bce_dice(
    logits: Tensor, target: Tensor, bce_weight: float = 1.0, dice_weight: float = 1.0, smooth: float = 1.0
) -> Tensor:
    """Cross-entropy + Dice (MONAI calls it DiceCELoss), to the last bit the sum ``bce+dice``."""
    return bce_weight * bce(logits, target) + dice_weight * dice(logits, target, smooth)


def bce_dice_multilabel(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Weights | None = None,
    bce_weight: float = 1.0,
    dice_weight: float = 1.0,
    smooth: float = 1.0,
) -> Tensor:
    """The same for classes that may overlap, and for pixels to ignore; ``class_weights`` are of both."""
    bce_part = bce_multilabel(logits, target, class_weights=class_weights)
    dice_part = dice_multilabel(logits, target, class_weights=class_weights, smooth=smooth)
    return bce_weight * bce_part + dice_weight * dice_part


def bce_dice_multiclass(  # noqa: PLR0913 (what is given, and the options)
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    bce_weight: float = 1.0,
    dice_weight: float = 1.0,
    smooth: float = 1.0,
    background: bool = False,
) -> Tensor:
    """The same for classes that exclude each other; ``background`` is of Dice, cross-entropy has all."""
    bce_part = cross_entropy(logits, target, class_weights=class_weights)
    dice_part = dice_multiclass(
        logits, target, outputs=outputs, class_weights=class_weights, smooth=smooth, background=background
    )
    return bce_weight * bce_part + dice_weight * dice_part
