"""Planes of probabilities and truth, and means over the pixels that count and over classes.

In targets of overlapping classes an ignored pixel is -1, in those of exclusive ones it is -100: numbers below
0 count nowhere.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from segstudy.core.outputs import Outputs

Weights = Sequence[float]  # one for each class, in their order
Planes = tuple[Tensor, Tensor, Tensor]


def mean_of_pixels(loss: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over pixels ``(..., H, W)``; 0 with gradients 0 where all weights are 0."""
    total = weight.sum((-2, -1))
    return (loss * weight).sum((-2, -1)) / total.masked_fill(total == 0, 1)


def mean_of_classes(loss: Tensor, class_weights: Weights | None) -> Tensor:
    """Return the mean over classes, weighted if there are weights, then over images, of ``(batch, K)``."""
    if class_weights is None:
        return loss.mean()
    weight = _on_device(tuple(class_weights), loss.device)
    return ((loss * weight).sum(1) / weight.sum()).mean()


def pixel_weights(target: Tensor, class_weights: Weights | None) -> Tensor:
    """Return the weight of each pixel's true class ``(batch, H, W)``, 0 where it is ignored."""
    counts = target >= 0
    if class_weights is None:
        return counts.float()
    return _on_device(tuple(class_weights), target.device)[target.clamp_min(0)] * counts


@lru_cache(maxsize=64)
def _on_device(class_weights: tuple[float, ...], device: torch.device) -> Tensor:
    """Return weights as float32, sent to a device once: with each batch it would wait for the host."""
    with torch.inference_mode(mode=False):  # else only a pass without gradients could use them again
        return torch.tensor(class_weights, dtype=torch.float32, device=device)


def truth_and_counts(target: Tensor) -> tuple[Tensor, Tensor]:
    """Return what is true of overlapping classes, and which pixels count, both as 0 and 1."""
    target = target.float()
    return target.clamp_min(0), (target >= 0).float()


def one_plane_each(target: Tensor, num_classes: int) -> Tensor:
    """Return where each exclusive class is true: booleans ``(batch, K, H, W)``; no class is if ignored."""
    numbers = torch.arange(num_classes, device=target.device)
    return target.unsqueeze(1) == numbers[:, None, None]


def averaged(outputs: Outputs, background: bool) -> slice:
    """The exclusive classes that a mean is over: all, or all but the background, which is the first."""
    return slice(0 if background else outputs.scored[0], None)


def those(class_weights: Weights | None, classes: slice) -> Weights | None:
    """The weights of these classes; None if all count the same."""
    return None if class_weights is None else class_weights[classes]


def overlapping_planes(logits: Tensor, target: Tensor) -> Planes:
    """Probabilities and truth ``(batch, K, H, W)`` of overlapping classes, and where pixels count, as 1."""
    truth, counts = truth_and_counts(target)
    return logits.float().sigmoid(), truth, counts


def exclusive_planes(logits: Tensor, target: Tensor, classes: slice) -> Planes:
    """The same of exclusive classes, for some of them; where pixels count is ``(batch, 1, H, W)``."""
    prob = logits.float().softmax(1)[:, classes]
    truth = one_plane_each(target, logits.shape[1])[:, classes].float()
    return prob, truth, (target >= 0).unsqueeze(1).float()
