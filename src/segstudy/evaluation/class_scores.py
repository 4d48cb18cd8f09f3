"""Two masks of one image compared class by class, and the mean over its classes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segstudy.core.metric_names import NSD_TOLERANCE, Size
from segstudy.core.outputs import Mask, Outputs
from segstudy.metrics import mask_scores, prob_scores
from segstudy.metrics.class_means import mean_of_present
from segstudy.metrics.metric import Takes


@dataclass(frozen=True, slots=True)
class Compared:
    """The scores of every class of an image, at one size.

    Attributes:
        outputs: the classes.
        scores: by the class's number, every metric by column. In binary studies the foreground's alone.
        in_truth, in_prediction: whether the masks have any pixel of these classes, by number.
    """

    outputs: Outputs
    scores: dict[int, dict[str, float]]
    in_truth: dict[int, bool]
    in_prediction: dict[int, bool]

    def mean(self) -> dict[str, float]:
        """Return every metric's mean over the classes that are scored and in one of the masks, by column."""
        scored = self.outputs.scored
        present = [self.in_truth[number] or self.in_prediction[number] for number in scored]
        return {
            name: mean_of_present([self.scores[number][name] for number in scored], present)
            for name in self.scores[scored[0]]
        }


def compare(  # noqa: PLR0913 (what is compared, and how)
    prediction: Mask,
    truth: Mask,
    outputs: Outputs,
    size: Size,
    nsd_tolerance: float = NSD_TOLERANCE,
    *,
    prob_of: Callable[[int], NDArray[np.float32]] | None = None,
    tuned_threshold: float | None = None,
    takes: tuple[Takes, ...] = ("counts", "distances"),
) -> Compared:
    """Compare the masks of one image, class by class.

    Args:
        prediction: ``(H, W)``, a mask as ``outputs.decide`` gives it.
        truth: ``(H, W)``, the true mask.
        outputs: the classes.
        size: of both, ``network`` or ``native``.
        nsd_tolerance: of the normalised surface distance, a share of the diagonal.
        prob_of: gives the probabilities ``(H, W)`` of a class, once for each; without them, metrics of
            them are left out.
        tuned_threshold: of binary studies, the one that is best on validation.
        takes: without probabilities: ``counts`` alone leaves out surface distances, which are slow.
    """
    valid = outputs.valid(truth)
    numbers = outputs.scored if outputs.task == "binary" else range(len(outputs.names))
    found = Compared(outputs, {}, {}, {})
    for number in numbers:
        planes = outputs.plane(prediction, number), outputs.plane(truth, number)
        if prob_of is None:
            scores = mask_scores(*planes, size, takes, nsd_tolerance, valid)
        else:
            of_class = prob_of(number)
            tuned = None if tuned_threshold is None else of_class >= tuned_threshold
            scores = prob_scores(of_class, *planes, size, nsd_tolerance, tuned=tuned, valid=valid)
        found.scores[number] = scores
        found.in_truth[number] = bool(planes[1].any())
        found.in_prediction[number] = bool((planes[0] if valid is None else planes[0] & valid).any())
    return found
