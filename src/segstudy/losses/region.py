"""Region losses: ratios of areas."""

from torch import Tensor


def dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016, arXiv:1606.04797, with plain sums in the denominator).

    ``1 - (2 |p t| + smooth) / (|p| + |t| + smooth)`` for each image. ``smooth``, in pixels, keeps an
    empty target defined: an empty prediction then has a loss of 0.
    """
    prob, target = _flat(logits.float().sigmoid()), _flat(target.float())
    overlap = (prob * target).sum(1)
    return (1 - (2 * overlap + smooth) / (prob.sum(1) + target.sum(1) + smooth)).mean()


def tversky(
    logits: Tensor, target: Tensor, fp_weight: float = 0.3, fn_weight: float = 0.7, smooth: float = 1.0
) -> Tensor:
    """Tversky loss (Salehi et al. 2017, arXiv:1706.05721): Dice with different weights of FP and FN.

    ``1 - (TP + smooth) / (TP + fp_weight FP + fn_weight FN + smooth)`` for each image, of soft counts.
    Weights of .5 and .5 and half the ``smooth`` give ``dice``. (Their paper: alpha is ``fp_weight``,
    beta is ``fn_weight``; code of the focal Tversky loss has them the other way round.)
    """
    prob, target = _flat(logits.float().sigmoid()), _flat(target.float())
    tp = (prob * target).sum(1)
    fp = (prob * (1 - target)).sum(1)
    fn = ((1 - prob) * target).sum(1)
    return (1 - (tp + smooth) / (tp + fp_weight * fp + fn_weight * fn + smooth)).mean()


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)
