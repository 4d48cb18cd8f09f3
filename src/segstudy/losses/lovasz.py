"""Lovász losses: the IoU of sets of wrong pixels, extended to errors between 0 and 1.

Three functions as in ``region``. Binary and overlapping classes have the hinge of their logits, exclusive
ones the errors of their softmax probabilities. A class that an image lacks counts, by the largest error of
its pixels: ``classes="all"`` in the authors' code, whose default leaves it out.
"""

import torch
from torch import Tensor

from segstudy.core.outputs import Outputs
from segstudy.losses.counted import (
    Weights,
    averaged,
    exclusive_planes,
    mean_of_classes,
    those,
    truth_and_counts,
)


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Lovász hinge of each image (Berman et al. 2018, arXiv:1705.08790, equation 12), averaged over images.

    Errors are those of the hinge, ``max(0, 1 - logit)`` in the foreground and ``max(0, 1 + logit)`` in the
    background; the loss of errors 0 and 1 is one minus the IoU. It has no bound above.
    """
    return lovasz_multilabel(logits, target)


def lovasz_multilabel(logits: Tensor, target: Tensor, *, class_weights: Weights | None = None) -> Tensor:
    """Lovász hinge of each class, averaged over classes and images; arguments as ``dice_multilabel``."""
    truth, counts = truth_and_counts(target)
    errors = (1 - logits.float() * (2 * truth - 1)).relu()
    return mean_of_classes(_lovasz_of(errors, truth, counts), class_weights)


def lovasz_multiclass(
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    background: bool = False,
) -> Tensor:
    """Lovász softmax (the same, section 3.2) of each class, averaged over classes and images.

    Arguments as ``dice_multiclass``.
    """
    classes = averaged(outputs, background)
    prob, truth, counts = exclusive_planes(logits, target, classes)
    return mean_of_classes(_lovasz_of((truth - prob).abs(), truth, counts), those(class_weights, classes))


def _lovasz_of(errors: Tensor, truth: Tensor, counts: Tensor) -> Tensor:
    """Return the Lovász extension of one minus the IoU at these errors, of each image and class."""
    errors = errors.masked_fill(counts == 0, 0).flatten(2)
    return (errors * _share(errors.detach(), truth.flatten(2))).sum(-1)


def _share(errors: Tensor, truth: Tensor) -> Tensor:
    """Return by how much the IoU falls as each pixel joins the wrong ones, from the largest error on.

    Ignored pixels are among those without error, which come last: what they are given does not matter.
    Numbers of pixels are integers, so the sums are exact on every device.
    """
    order = errors.sort(dim=-1, descending=True, stable=True).indices
    true = truth.long().gather(-1, order)
    total = true.sum(-1, keepdim=True)
    intersection = (total - true.cumsum(-1)).float()  # after the pixel has joined
    union = total + (1 - true).cumsum(-1)
    before = (union - (1 - true)).float()
    nothing = before == 0  # no pixel is true or predicted yet: the first one that joins costs all
    of_false = torch.where(nothing, 1.0, intersection / (before.masked_fill(nothing, 1) * union))
    share = torch.where(true == 1, 1 / union, of_false)
    return torch.zeros_like(errors).scatter(-1, order, share)
