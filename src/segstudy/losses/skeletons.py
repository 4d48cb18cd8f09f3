"""The centreline Dice loss: Dice of masks and of their skeletons, for what is thin and connected.

Three functions as in ``region``.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from segstudy.core.outputs import Outputs
from segstudy.losses.counted import (
    Weights,
    averaged,
    exclusive_planes,
    mean_of_classes,
    overlapping_planes,
    those,
)
from segstudy.losses.region import dice_of, ratio, soft_counts


def cldice(
    logits: Tensor, target: Tensor, alpha: float = 0.5, iterations: int = 3, smooth: float = 1.0
) -> Tensor:
    """Dice and centreline Dice loss (Shit et al. 2021, arXiv:2003.07311, equation 3), averaged over images.

    ``(1 - alpha) dice + alpha (1 - clDice)``; clDice is the harmonic mean of how much of the predicted
    skeleton lies in the mask, and of the mask's skeleton in the prediction. MONAI calls it
    SoftDiceclDiceLoss.

    Args:
        logits: ``(batch, 1, H, W)``.
        target: ``(batch, 1, H, W)``, 0 or 1.
        alpha: weight of clDice; with 1 it is alone, and says little of where a thick object ends.
        iterations: of the skeleton; at least the radius in pixels of the thickest structure.
        smooth: in pixels, of Dice and of both parts of clDice.
    """
    return cldice_multilabel(logits, target, alpha=alpha, iterations=iterations, smooth=smooth)


def cldice_multilabel(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Weights | None = None,
    alpha: float = 0.5,
    iterations: int = 3,
    smooth: float = 1.0,
) -> Tensor:
    """The loss of each class, averaged over classes and images; arguments as ``dice_multilabel``."""
    planes = overlapping_planes(logits, target)
    return mean_of_classes(_cldice_of(*planes, alpha, iterations, smooth), class_weights)


def cldice_multiclass(  # noqa: PLR0913 (what is given, and the options)
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    alpha: float = 0.5,
    iterations: int = 3,
    smooth: float = 1.0,
    background: bool = False,
) -> Tensor:
    """The loss of each class, of softmax probabilities; arguments as ``dice_multiclass``."""
    classes = averaged(outputs, background)
    planes = exclusive_planes(logits, target, classes)
    return mean_of_classes(_cldice_of(*planes, alpha, iterations, smooth), those(class_weights, classes))


def _cldice_of(
    prob: Tensor, truth: Tensor, counts: Tensor, alpha: float, iterations: int, smooth: float
) -> Tensor:
    loss = dice_of(*soft_counts(prob, truth, counts), smooth)
    left_out = counts == 0
    predicted, true = (_skeleton(each, left_out, iterations) for each in (prob, truth))
    precision = _covered(predicted, truth, smooth)
    sensitivity = _covered(true, prob, smooth)
    both = precision + sensitivity
    harmonic = 2 * precision * sensitivity / both.masked_fill(both == 0, 1)
    return (1 - alpha) * loss + alpha * (1 - harmonic)


def _covered(skeleton: Tensor, mask: Tensor, smooth: float) -> Tensor:
    """Return how much of a skeleton lies in a mask, of each image and class."""
    return ratio((skeleton * mask).sum((-2, -1)) + smooth, skeleton.sum((-2, -1)) + smooth)


def _skeleton(x: Tensor, left_out: Tensor, iterations: int) -> Tensor:
    """Return the soft skeleton, 0 where pixels are ignored: what openings take away, at each erosion."""
    x = x.masked_fill(left_out, 0)
    skeleton = _ridges(x, left_out)
    for _ in range(iterations):
        x = _eroded(x, left_out)
        found = _ridges(x, left_out)
        skeleton = skeleton + (found - skeleton * found).relu()
    return skeleton


def _ridges(x: Tensor, left_out: Tensor) -> Tensor:
    opened = F.max_pool2d(_eroded(x, left_out), 3, 1, 1)
    return (x - opened).relu().masked_fill(left_out, 0)


def _eroded(x: Tensor, left_out: Tensor) -> Tensor:
    """Return the least of each pixel and its four neighbours; ignored ones and the frame do not count."""
    x = x.masked_fill(left_out, torch.inf)
    vertical = -F.max_pool2d(-x, (3, 1), 1, (1, 0))
    horizontal = -F.max_pool2d(-x, (1, 3), 1, (0, 1))
    return torch.minimum(vertical, horizontal).masked_fill(left_out, 0)
