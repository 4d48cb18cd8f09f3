"""Distribution losses: means over pixels."""

from torch import Tensor
from torch.nn import functional as F


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, averaged over pixels and images."""
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: float = -1.0) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv:1708.02002, equation 5): cross-entropy that weighs easy pixels less.

    Written in log space, where its gradient is finite for every ``gamma``, also below 1.

    Args:
        logits: ``(batch, 1, H, W)``.
        target: ``(batch, 1, H, W)``, 0 or 1.
        gamma: how fast the weight falls for easy pixels; 0 gives cross-entropy.
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
