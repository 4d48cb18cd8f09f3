"""The losses: logits and target in, scalar out; per image, then averaged.

Every loss takes ``logits`` and a binary ``target``, both ``(batch, 1, H, W)``, works in float32 whatever
it is given, reduces over the pixels of each image and then averages over the images. So the batch
size does not change what is minimised. All are finite, with finite gradients, on empty, full and
saturated input (logits of +-1e4).

Each belongs to a family: ``distribution`` losses add up pixels, ``region`` losses compare areas,
``combined`` ones do both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn import functional as F

from segstudy.core.registry import Component, Extension, resolve


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, averaged over pixels and images."""
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: float = -1.0) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv:1708.02002, equation 5): cross-entropy that fades on easy pixels.

    Written in log space, where its gradient is finite for every ``gamma``, also below 1.

    Args:
        logits: ``(batch, 1, H, W)``.
        target: ``(batch, 1, H, W)``, 0 or 1.
        gamma: how fast easy pixels fade; 0 gives cross-entropy.
        alpha: weight of the foreground, 1 - alpha of the background; a negative value weighs neither
            (equation 4). There is no hidden .25: that was tuned for objects in one of 1000 anchors.
    """
    target = target.float()
    toward_target = logits.float() * (2 * target - 1)
    log_p = F.logsigmoid(toward_target)  # of the true class
    log_not_p = F.logsigmoid(-toward_target)
    loss = -(gamma * log_not_p).exp() * log_p
    if alpha >= 0:
        loss = loss * (alpha * target + (1 - alpha) * (1 - target))
    return loss.mean()


def dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016, arXiv:1606.04797, with plain sums in the denominator).

    ``1 - (2 |p t| + smooth) / (|p| + |t| + smooth)`` for each image. ``smooth``, in pixels, keeps an
    empty target defined: an empty prediction then costs 0.
    """
    prob, target = _flat(logits.float().sigmoid()), _flat(target.float())
    overlap = (prob * target).sum(1)
    return (1 - (2 * overlap + smooth) / (prob.sum(1) + target.sum(1) + smooth)).mean()


def tversky(
    logits: Tensor, target: Tensor, fp_weight: float = 0.3, fn_weight: float = 0.7, smooth: float = 1.0
) -> Tensor:
    """Tversky loss (Salehi et al. 2017, arXiv:1706.05721): Dice that prices FP and FN apart.

    ``1 - (TP + smooth) / (TP + fp_weight FP + fn_weight FN + smooth)`` for each image, of soft counts.
    Weights of .5 and .5 and half the ``smooth`` give ``dice``. (Their paper: alpha is ``fp_weight``,
    beta is ``fn_weight``; code of the focal Tversky loss has them the other way round.)
    """
    prob, target = _flat(logits.float().sigmoid()), _flat(target.float())
    tp = (prob * target).sum(1)
    fp = (prob * (1 - target)).sum(1)
    fn = ((1 - prob) * target).sum(1)
    return (1 - (tp + smooth) / (tp + fp_weight * fp + fn_weight * fn + smooth)).mean()


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


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as the table holds it: the function, its family, and the version of its numbers."""

    function: Callable[..., Tensor]
    family: str
    numerics: int = 1


LOSSES: dict[str, Loss] = {
    "bce": Loss(bce, "distribution"),
    "focal": Loss(focal, "distribution"),
    "dice": Loss(dice, "region"),
    "tversky": Loss(tversky, "region"),
    "combo": Loss(combo, "combined"),
}


EXTENSION = Extension("loss", Loss, lambda loss: loss.function, given=("logits", "target"), num_called_with=2)


def resolve_loss(text: str) -> tuple[Component, int | str]:
    """The canonical form of a loss, and what its ``numerics`` contribute to a run's key.

    Raises:
        UserError: an unknown loss or option, with the choices.
    """
    component, _, version = resolve(text, LOSSES, EXTENSION)
    return component, version or LOSSES[component.name].numerics


def build_loss(text: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The function ``(logits, target) -> scalar`` that a loss with options names.

    Of a class, such as ``torch.nn.BCEWithLogitsLoss``, an instance is that function.

    Raises:
        UserError: an unknown loss or option, with the choices.
    """
    component, function, _ = resolve(text, LOSSES, EXTENSION)
    options = dict(component.options)
    if not isinstance(function, type):
        return partial(function, **options)
    made: Callable[[Tensor, Tensor], Tensor] = function(**options)
    return made
