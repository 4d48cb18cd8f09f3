"""Region losses: ratios of areas.

Each loss has three functions. The first is for two classes, foreground and background. ``..._multilabel`` is
for classes that may overlap, and of one class for binary masks with ignored pixels (-1). ``..._multiclass``
is for classes that exclude each other. The last two are the loss of each image and class, averaged over
classes and then over images. A class that an image lacks counts: it teaches to predict nothing of it.
"""

import torch
from torch import Tensor

from segstudy.core.outputs import Outputs
from segstudy.losses.counted import (
    Weights,
    averaged,
    exclusive_planes,
    mean_of_classes,
    overlapping_planes,
    those,
)


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
    return mean_of_classes(dice_of(*soft_counts(*overlapping_planes(logits, target)), smooth), class_weights)


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
    classes = averaged(outputs, background)
    counts = soft_counts(*exclusive_planes(logits, target, classes))
    return mean_of_classes(dice_of(*counts, smooth), those(class_weights, classes))


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
    counts = soft_counts(*overlapping_planes(logits, target))
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
    classes = averaged(outputs, background)
    counts = soft_counts(*exclusive_planes(logits, target, classes))
    loss = _tversky_of(*counts, fp_weight, fn_weight, smooth)
    return mean_of_classes(loss, those(class_weights, classes))


def jaccard(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Soft IoU loss (Rahman & Wang 2016): ``1 - (TP + smooth) / (TP + FP + FN + smooth)`` for each image.

    It is ``tversky`` with both weights 1. MONAI's ``DiceLoss(jaccard=True)`` with twice the ``smooth`` is
    equal.
    """
    return jaccard_multilabel(logits, target, smooth=smooth)


def jaccard_multilabel(
    logits: Tensor, target: Tensor, *, class_weights: Weights | None = None, smooth: float = 1.0
) -> Tensor:
    """Soft IoU loss of each class, averaged over classes and images; arguments as ``dice_multilabel``."""
    counts = soft_counts(*overlapping_planes(logits, target))
    return mean_of_classes(_tversky_of(*counts, 1.0, 1.0, smooth), class_weights)


def jaccard_multiclass(
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    smooth: float = 1.0,
    background: bool = False,
) -> Tensor:
    """Soft IoU loss of each class, of softmax probabilities; arguments as ``dice_multiclass``."""
    classes = averaged(outputs, background)
    counts = soft_counts(*exclusive_planes(logits, target, classes))
    return mean_of_classes(_tversky_of(*counts, 1.0, 1.0, smooth), those(class_weights, classes))


def focal_tversky(
    logits: Tensor,
    target: Tensor,
    fp_weight: float = 0.3,
    fn_weight: float = 0.7,
    exponent: float = 0.75,
    smooth: float = 1.0,
) -> Tensor:
    """Focal Tversky loss (Abraham & Khan 2019, arXiv:1810.07842, equation 4): a power of ``tversky``.

    The Tversky loss of each image to the power ``exponent``, then the mean. Their paper writes the power as
    1 / gamma with gamma 4/3, their code as gamma .75: both are an exponent of .75. An image that is predicted
    perfectly has a gradient of 0.
    """
    return focal_tversky_multilabel(
        logits, target, fp_weight=fp_weight, fn_weight=fn_weight, exponent=exponent, smooth=smooth
    )


def focal_tversky_multilabel(  # noqa: PLR0913 (what is given, and the options)
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Weights | None = None,
    fp_weight: float = 0.3,
    fn_weight: float = 0.7,
    exponent: float = 0.75,
    smooth: float = 1.0,
) -> Tensor:
    """The power is of each image and class; arguments as ``tversky_multilabel``."""
    counts = soft_counts(*overlapping_planes(logits, target))
    loss = _power(_tversky_of(*counts, fp_weight, fn_weight, smooth), exponent)
    return mean_of_classes(loss, class_weights)


def focal_tversky_multiclass(  # noqa: PLR0913 (what is given, and the options)
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    fp_weight: float = 0.3,
    fn_weight: float = 0.7,
    exponent: float = 0.75,
    smooth: float = 1.0,
    background: bool = False,
) -> Tensor:
    """The power is of each image and class; arguments as ``tversky_multiclass``."""
    classes = averaged(outputs, background)
    counts = soft_counts(*exclusive_planes(logits, target, classes))
    loss = _power(_tversky_of(*counts, fp_weight, fn_weight, smooth), exponent)
    return mean_of_classes(loss, those(class_weights, classes))


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def soft_counts(prob: Tensor, truth: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True and false positives and false negatives of each image and class ``(batch, K)``, soft counts."""
    tp = (prob * truth).sum((-2, -1))
    fp = (prob * (counts - truth)).sum((-2, -1))
    fn = ((1 - prob) * truth).sum((-2, -1))
    return tp, fp, fn


def dice_of(tp: Tensor, fp: Tensor, fn: Tensor, smooth: float) -> Tensor:
    """Dice loss of each image and class, from soft counts."""
    return 1 - ratio(2 * tp + smooth, 2 * tp + fp + fn + smooth)


def _tversky_of(
    tp: Tensor, fp: Tensor, fn: Tensor, fp_weight: float, fn_weight: float, smooth: float
) -> Tensor:
    return 1 - ratio(tp + smooth, tp + fp_weight * fp + fn_weight * fn + smooth)


def _power(loss: Tensor, exponent: float) -> Tensor:
    """Return a power of losses, 0 with a gradient of 0 where they are 0, where that of a root is infinite."""
    some = loss > 0
    return torch.where(some, loss.where(some, 1.0) ** exponent, 0.0)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return the ratio, 1 where nothing is true and nothing predicted."""
    nothing = whole == 0
    return torch.where(nothing, 1.0, part / whole.masked_fill(nothing, 1))
