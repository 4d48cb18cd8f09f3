"""One number for an image: how suspicious its mask is, in the light of networks that have not seen it.

Where networks disagree with the mask, the image may be hard or the mask wrong. A hard image divides the
networks too; a wrong mask does not. So the disagreement counts as far as the networks agree with each other.
`docs/audit.md` compares this with other statistics.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segstudy.mask_errors.predictions import ImagePredictions
from segstudy.metrics.counts import Mask, confusion
from segstudy.metrics.overlap import iou


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the networks and the mask of an image agree.

    Attributes:
        iou: of the mask with what the networks predict together.
        agreement: mean IoU of all pairs of networks; of one network, the IoU that it expects itself, see
            ``expected_iou``.
    """

    iou: float
    agreement: float

    @property
    def suspicion(self) -> float:
        """Return how suspicious the mask is, from 0 to 1."""
        return self.agreement * (1 - self.iou)


def agreement_of(tested: ImagePredictions) -> Agreement:
    """Compare all predictions of an image with each other and with its mask."""
    predicted = [prob >= 0.5 for prob in tested.probs]
    pairs = [mask_iou(a, b) for i, a in enumerate(predicted) for b in predicted[:i]]
    agreement = float(np.mean(pairs)) if pairs else expected_iou(tested.mean_prob)
    return Agreement(mask_iou(tested.predicted, tested.mask), agreement)


def expected_iou(prob: NDArray[np.float32]) -> float:
    """Return the IoU of a prediction with a mask whose pixels are foreground with these probabilities.

    The expected intersection divided by the expected union. Of a prediction without foreground: the
    probability that its most doubtful pixel is background.

    Args:
        prob: ``(height, width)``.
    """
    predicted = prob >= 0.5
    if not predicted.any():
        return float(1 - prob.max())
    return float(prob[predicted].sum() / (predicted.sum() + prob[~predicted].sum()))


def mask_iou(a: Mask, b: Mask) -> float:
    """Return the IoU of two masks of one shape; 1 of two empty ones."""
    return float(iou(confusion(a, b)))
