"""A loss: squared differences of probabilities."""

from segstudy.losses import Loss
from torch import Tensor


def squared(logits: Tensor, target: Tensor, scale: float = 1.0) -> Tensor:
    return scale * (logits.float().sigmoid() - target).square().mean()


TINY_LOSS = Loss(squared, "distribution")
