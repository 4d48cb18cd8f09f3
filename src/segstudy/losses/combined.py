"""Combined losses: weighted sums of the others."""

from torch import Tensor

from segstudy.losses.distribution import focal
from segstudy.losses.region import dice


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
