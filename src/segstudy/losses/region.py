"""Region losses: ratios of areas.

Each loss has three functions. The first is for two classes, foreground and background. ``..._multilabel`` is
for classes that may overlap, and of one class for binary masks with ignored pixels (-1). ``..._multiclass``
is for classes that exclude each other. The last two are the loss of each image and class, averaged over
classes and then over images. A class that an image lacks counts: it teaches to predict nothing of it.
"""

import torch
from torch import Tensor

from segstudy.core.outputs import Outputs
from segstudy.losses.counted import Weights, mean_of_classes, one_plane_each, truth_and_counts


def dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016, arXiv:1606.04797, with plain sums in the denominator).

    ``1 - (2 |p t| + smooth) / (|p| + |t| + smooth)`` for each image. ``smooth``, in pixels, keeps an
    empty target defined: an empty prediction then has a loss of 0.
    """
    prob, target = _flat(logits.float().sigmoid()), _flat(target.float())
    overlap = (prob * target).sum(1)
    return (1 - (2 * overlap + smooth) / (prob.sum(1) + target.sum(1) + smooth)).mean()


def dice_multilabel(
    logits: Tensor, target: Tensor, *, class_weights: Weights | None = None, smooth: float = 1.0
) -> Tensor:
    """Soft Dice loss of each class, averaged over classes and images.

    Args:
        logits: ``(batch, K, H, W)``.
        target: ``(batch, K, H, W)``, 0 or 1; -1 where a pixel is ignored.
        class_weights: of the mean over classes.
        smooth: as in ``dice``, of each class.
    """
    return mean_of_classes(_dice_of(*_overlapping(logits, target), smooth), class_weights)


def dice_multiclass(
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    smooth: float = 1.0,
    background: bool = False,
) -> Tensor:
    """Soft Dice loss of each class, of softmax probabilities, averaged over classes and images.

    Args:
        logits: ``(batch, K, H, W)``.
        target: ``(batch, H, W)``, the number of each pixel's class; -100 where it is ignored.
        outputs: the classes.
        class_weights: of the mean over classes.
        smooth: as in ``dice``, of each class.
        background: whether the class ``background`` is one of those that are averaged.
    """
    averaged = _averaged(outputs, background)
    return mean_of_classes(
        _dice_of(*_exclusive(logits, target, averaged), smooth), _those(class_weights, averaged)
    )


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


def tversky_multilabel(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Weights | None = None,
    fp_weight: float = 0.3,
    fn_weight: float = 0.7,
    smooth: float = 1.0,
) -> Tensor:
    """Tversky loss of each class, averaged over classes and images; arguments as ``dice_multilabel``."""
    counts = _overlapping(logits, target)
    return mean_of_classes(_tversky_of(*counts, fp_weight, fn_weight, smooth), class_weights)


def tversky_multiclass(  # noqa: PLR0913 (what is given, and the options)
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    fp_weight: float = 0.3,
    fn_weight: float = 0.7,
    smooth: float = 1.0,
    background: bool = False,
) -> Tensor:
    """Tversky loss of each class, of softmax probabilities, averaged over classes and images.

    Arguments as ``dice_multiclass``.
    """
    averaged = _averaged(outputs, background)
    counts = _exclusive(logits, target, averaged)
    loss = _tversky_of(*counts, fp_weight, fn_weight, smooth)
    return mean_of_classes(loss, _those(class_weights, averaged))


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def _averaged(outputs: Outputs, background: bool) -> slice:
    """The classes that are averaged: all, or all but the background, which is the first."""
    return slice(0 if background else outputs.scored[0], None)


def _those(class_weights: Weights | None, averaged: slice) -> Weights | None:
    return None if class_weights is None else class_weights[averaged]


def _overlapping(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True and false positives and false negatives of each image and class ``(batch, K)``, soft counts."""
    truth, counts = truth_and_counts(target)
    return _soft_counts(logits.float().sigmoid(), truth, counts)


def _exclusive(logits: Tensor, target: Tensor, averaged: slice) -> tuple[Tensor, Tensor, Tensor]:
    """The same of exclusive classes, for those that are averaged."""
    prob = logits.float().softmax(1)[:, averaged]
    truth = one_plane_each(target, logits.shape[1])[:, averaged].float()
    return _soft_counts(prob, truth, (target >= 0).unsqueeze(1).float())


def _soft_counts(prob: Tensor, truth: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    tp = (prob * truth).sum((-2, -1))
    fp = (prob * (counts - truth)).sum((-2, -1))
    fn = ((1 - prob) * truth).sum((-2, -1))
    return tp, fp, fn


def _dice_of(tp: Tensor, fp: Tensor, fn: Tensor, smooth: float) -> Tensor:
    return 1 - _ratio(2 * tp + smooth, 2 * tp + fp + fn + smooth)


def _tversky_of(
    tp: Tensor, fp: Tensor, fn: Tensor, fp_weight: float, fn_weight: float, smooth: float
) -> Tensor:
    return 1 - _ratio(tp + smooth, tp + fp_weight * fp + fn_weight * fn + smooth)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return the ratio, 1 where nothing is true and nothing predicted."""
    nothing = whole == 0
    return torch.where(nothing, 1.0, part / whole.masked_fill(nothing, 1))
