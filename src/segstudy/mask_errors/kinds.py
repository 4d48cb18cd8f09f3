"""Kinds of wrong masks: what a mask would look like if it were the networks' mask with an error of that kind.

Each kind says how well it explains a mask: the IoU of the mask with the predicted one after the same error.
A mask that is hard to agree on is explained by none of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import correlate

from segstudy.metrics.counts import Mask, confusion
from segstudy.metrics.overlap import iou

MIN_EXPLAINED = 0.65  # IoU
MIN_GAIN = 0.15  # of that IoU over the present one


@dataclass(frozen=True)
class Case:
    """A mask that networks disagree with.

    Attributes:
        predicted: the mask that they predict, ``(height, width)``.
        mask: the data set's.
        iou: of both.
        exchanged: the IoU that exchanging this mask with that of another suspicious image would give: of
            both images the lower one, for the best of them.
        partner: the id of that image; empty if there is none.
    """

    predicted: Mask
    mask: Mask
    iou: float
    exchanged: float = 0.0
    partner: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of wrong mask.

    Attributes:
        name: as printed.
        description: for the documentation.
        explained: the IoU of the mask with the predicted one after this error; 0 if it cannot be.
    """

    name: str
    description: str
    explained: Callable[[Case], float]


def best_kind(case: Case) -> tuple[Kind | None, float]:
    """Return the kind that explains a mask best, and how well; None if no kind explains it much better."""
    found = [(kind, kind.explained(case)) for kind in KINDS.values()]
    kind, explained = max(found, key=lambda pair: pair[1])
    if explained < MIN_EXPLAINED or explained < case.iou + MIN_GAIN:
        return None, 0.0
    return kind, explained


def _iou(a: Mask, b: Mask) -> float:
    return float(iou(confusion(np.ascontiguousarray(a), np.ascontiguousarray(b))))


def _empty(case: Case) -> float:
    return float(case.predicted.any() and not case.mask.any())


def _mirrored(case: Case) -> float:
    if not case.mask.any():
        return 0.0
    axes: Sequence[int | tuple[int, int]] = (0, 1, (0, 1))
    return max(_iou(np.flip(case.predicted, each), case.mask) for each in axes)


def _shifted(case: Case) -> float:
    """The best of all shifts by whole pixels; what leaves the frame is lost."""
    if not case.mask.any() or not case.predicted.any():
        return 0.0
    predicted, mask = case.predicted.astype(np.float32), case.mask.astype(np.float32)
    overlap = np.rint(correlate(mask, predicted, method="fft"))
    inside = np.rint(correlate(np.ones_like(mask), predicted, method="fft"))
    return float((overlap / np.maximum(1, inside + mask.sum() - overlap)).max())


def _half_missing(case: Case) -> float:
    """The best of the four ways to cut the predicted mask where the extent of the mask ends."""
    if not case.mask.any():
        return 0.0
    found = []
    for axis in (0, 1):
        places = np.flatnonzero(case.mask.any(axis=1 - axis))
        for kept in (slice(0, places[-1] + 1), slice(places[0], None)):
            cut = np.zeros_like(case.predicted)
            where = (slice(None),) * axis + (kept,)
            cut[where] = case.predicted[where]
            if cut.sum() < case.predicted.sum():
                found.append(_iou(cut, case.mask))
    return max(found, default=0.0)


def _swapped(case: Case) -> float:
    return case.exchanged


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("empty", "the mask has no foreground, and the networks find some", _empty),
        Kind("mirrored", "left and right, or top and bottom, are exchanged, or both", _mirrored),
        Kind("half missing", "one side of the mask is cut off", _half_missing),
        Kind("swapped", "the masks of two images are exchanged", _swapped),
        Kind("shifted", "the mask lies beside its place", _shifted),
    )
}
