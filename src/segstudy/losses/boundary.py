"""Boundary losses: errors, weighted by how far they are from a boundary.

Three functions as in ``region``. Distances are in pixels of the network's images, from pixel centre to pixel
centre, exact. Ignored pixels are on neither side of a boundary. An image or class whose mask is empty or full
has no boundary: ``boundary`` is 0 there with gradients of 0, and ``hausdorff_dt`` knows the boundary of the
prediction alone. So they are not trained with by themselves: they need a region loss beside them, such as
``dice+0.01*boundary`` or ``dice+0.001*hausdorff_dt``.
"""

import torch
from torch import Tensor

from segstudy.core.outputs import Outputs
from segstudy.losses.counted import (
    Weights,
    averaged,
    exclusive_planes,
    mean_of_classes,
    mean_of_pixels,
    overlapping_planes,
    those,
)
from segstudy.losses.distances import to_the_other


def boundary(logits: Tensor, target: Tensor) -> Tensor:
    """Boundary loss (Kervadec et al. 2019, arXiv:1812.07032, equation 5): the mean of distance times error.

    ``mean(phi (p - t))`` over the pixels of each image, with ``phi`` as in the authors' code: outside the
    mask the distance to the nearest pixel of it, inside one less than that to the nearest outside, negative.
    They drop ``mean(phi t)``, which no network can change; with it a perfect prediction has a loss of 0.
    Their weight of it grows by .01 in each epoch; here it is constant.
    """
    return boundary_multilabel(logits, target)


def boundary_multilabel(logits: Tensor, target: Tensor, *, class_weights: Weights | None = None) -> Tensor:
    """Boundary loss of each class, averaged over classes and images; arguments as ``dice_multilabel``."""
    return mean_of_classes(_boundary_of(*overlapping_planes(logits, target)), class_weights)


def boundary_multiclass(
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    background: bool = False,
) -> Tensor:
    """Boundary loss of each class, of softmax probabilities; arguments as ``dice_multiclass``."""
    classes = averaged(outputs, background)
    loss = _boundary_of(*exclusive_planes(logits, target, classes))
    return mean_of_classes(loss, those(class_weights, classes))


def hausdorff_dt(logits: Tensor, target: Tensor, alpha: float = 2.0) -> Tensor:
    """Hausdorff loss by distance transforms (Karimi & Salcudean 2019, arXiv:1904.10030, equation 8).

    ``mean((p - t)^2 (d_p^alpha + d_t^alpha))`` over the pixels of each image: ``d_t`` is the distance to the
    boundary of the mask, ``d_p`` to that of the prediction, p > .5, both without gradients. MONAI calls it
    HausdorffDTLoss.

    Args:
        logits: ``(batch, 1, H, W)``.
        target: ``(batch, 1, H, W)``, 0 or 1.
        alpha: how much more distant errors count.
    """
    return hausdorff_dt_multilabel(logits, target, alpha=alpha)


def hausdorff_dt_multilabel(
    logits: Tensor, target: Tensor, *, class_weights: Weights | None = None, alpha: float = 2.0
) -> Tensor:
    """Hausdorff loss of each class, averaged over classes and images; arguments as ``dice_multilabel``."""
    return mean_of_classes(_hausdorff_of(*overlapping_planes(logits, target), alpha), class_weights)


def hausdorff_dt_multiclass(
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    alpha: float = 2.0,
    background: bool = False,
) -> Tensor:
    """Hausdorff loss of each class, of softmax probabilities; arguments as ``dice_multiclass``."""
    classes = averaged(outputs, background)
    loss = _hausdorff_of(*exclusive_planes(logits, target, classes), alpha)
    return mean_of_classes(loss, those(class_weights, classes))


def _boundary_of(prob: Tensor, truth: Tensor, counts: Tensor) -> Tensor:
    to_true, to_false = to_the_other(truth > 0, counts > 0)
    signed = to_true.sqrt() - (to_false.sqrt() - 1).relu()
    return mean_of_pixels(signed * (prob - truth), counts)


def _hausdorff_of(prob: Tensor, truth: Tensor, counts: Tensor, alpha: float) -> Tensor:
    with torch.no_grad():
        weight = sum(_distance(mask, counts, alpha) for mask in (prob > 0.5, truth > 0))
    return mean_of_pixels((prob - truth).square() * weight, counts)


def _distance(mask: Tensor, counts: Tensor, alpha: float) -> Tensor:
    """Return the distance to the other side of a mask's boundary, to the power alpha."""
    to_true, to_false = to_the_other(mask, counts > 0)
    return (to_true + to_false) ** (alpha / 2)  # one of them is 0
