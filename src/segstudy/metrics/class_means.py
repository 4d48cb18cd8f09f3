"""The mean over the classes of one image."""

from collections.abc import Sequence


def mean_of_present(scores: Sequence[float], present: Sequence[bool]) -> float:
    """Return the mean over the classes that are in the true mask or in the prediction.

    If none is, it is the mean over all: a class that is in neither has an IoU of 1.

    Args:
        scores: of the classes that are scored, one or more.
        present: whether each is in one of the two masks.
    """
    found = [score for score, there in zip(scores, present, strict=True) if there] or scores
    return sum(found) / len(found)
