"""Distribution losses: means over pixels.

Each loss has three functions. The first is for two classes, foreground and background. ``..._multilabel`` is
for classes that may overlap: the mean over classes of the first, without the pixels that are ignored (-1); of
one class it is the loss of binary masks with such pixels. The last is for classes that exclude each other.
"""

from torch import Tensor
from torch.nn import functional as F

from segstudy.core.outputs import Outputs
from segstudy.losses.counted import (
    Weights,
    mean_of_classes,
    mean_of_pixels,
    pixel_weights,
    truth_and_counts,
)

# Of the logarithm of a probability: from there on the others are too small to see in float32.
NEAREST_TO_0 = -(2.0**-24)


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, averaged over pixels and images."""
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())


def bce_multilabel(logits: Tensor, target: Tensor, *, class_weights: Weights | None = None) -> Tensor:
    """Binary cross-entropy of each class, averaged over the pixels that count, then classes, then images.

    Args:
        logits: ``(batch, K, H, W)``.
        target: ``(batch, K, H, W)``, 0 or 1; -1 where a pixel is ignored.
        class_weights: of the mean over classes.
    """
    truth, counts = truth_and_counts(target)
    loss = F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
    return mean_of_classes(mean_of_pixels(loss, counts), class_weights)


def cross_entropy(logits: Tensor, target: Tensor, *, class_weights: Weights | None = None) -> Tensor:
    """Cross-entropy of classes that exclude each other, averaged over the pixels that count, then images.

    Args:
        logits: ``(batch, K, H, W)``.
        target: ``(batch, H, W)``, the number of each pixel's class; -100 where it is ignored.
        class_weights: the mean over an image's pixels is weighted by those of their true classes, as in
            PyTorch on one image.
    """
    loss = F.cross_entropy(logits.float(), target, reduction="none")
    return mean_of_pixels(loss, pixel_weights(target, class_weights)).mean()


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
    return _focal_of_pixels(logits, target.float(), gamma, alpha).mean()


def focal_multilabel(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Weights | None = None,
    gamma: float = 2.0,
    alpha: float = -1.0,
) -> Tensor:
    """Focal loss of each class, averaged over the pixels that count, then classes, then images.

    Args:
        logits: ``(batch, K, H, W)``.
        target: ``(batch, K, H, W)``, 0 or 1; -1 where a pixel is ignored.
        class_weights: of the mean over classes.
        gamma: as in ``focal``.
        alpha: weight of pixels that are of a class, 1 - alpha of those that are not.
    """
    truth, counts = truth_and_counts(target)
    loss = _focal_of_pixels(logits, truth, gamma, alpha)
    return mean_of_classes(mean_of_pixels(loss, counts), class_weights)


def focal_multiclass(
    logits: Tensor,
    target: Tensor,
    *,
    outputs: Outputs,
    class_weights: Weights | None = None,
    gamma: float = 2.0,
    alpha: float = -1.0,
) -> Tensor:
    """Focal loss of classes that exclude each other, averaged over the pixels that count, then images.

    ``-(1 - p)^gamma log p`` of each pixel's true class; MONAI divides its sum by the number of classes too.

    Args:
        logits: ``(batch, K, H, W)``.
        target: ``(batch, H, W)``, the number of each pixel's class; -100 where it is ignored.
        outputs: the classes.
        class_weights: the mean over an image's pixels is weighted by those of their true classes.
        gamma: as in ``focal``.
        alpha: weight of pixels of all classes but the background, 1 - alpha of the background's.
    """
    log_p = -F.cross_entropy(logits.float(), target, reduction="none")  # of the true class; 0 where ignored
    log_not_p = log_p.clamp(max=NEAREST_TO_0).expm1().neg().log()
    loss = -(gamma * log_not_p).exp() * log_p
    if alpha >= 0:
        of_class = [alpha if number in outputs.scored else 1 - alpha for number in range(logits.shape[1])]
        loss = loss * pixel_weights(target, of_class)
    return mean_of_pixels(loss, pixel_weights(target, class_weights)).mean()


def _focal_of_pixels(logits: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
    toward_target = logits.float() * (2 * target - 1)
    log_p = F.logsigmoid(toward_target)  # of the true class
    log_not_p = F.logsigmoid(-toward_target)
    loss = -(gamma * log_not_p).exp() * log_p
    if alpha >= 0:
        loss = loss * (alpha * target + (1 - alpha) * (1 - target))
    return loss
