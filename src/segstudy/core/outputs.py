"""What a network gives for an image, and how a mask is decided from it: the one place for every task.

============  =============================  ======================  ========================================
task          a network's logits             probabilities           masks ``(H, W)``
============  =============================  ======================  ========================================
binary        ``(1, H, W)``, sigmoid         ``(H, W)``              bool; uint8 with 255 if some are ignored
multiclass    ``(K, H, W)``, softmax         ``(K, H, W)``           uint8, the class's number; 255: ignored
multilabel    ``(K, H, W)``, a sigmoid each  ``(K, H, W)``           uint16, bit k for class k; 15: ignored
============  =============================  ======================  ========================================

Classes of a pixel are exclusive in binary and multiclass, and may overlap in multilabel. A pixel that is
ignored counts nowhere. All functions take arrays with further axes in front. Needs no PyTorch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segstudy.core.classes import BACKGROUND, MaskClass, is_background

Task = Literal["binary", "multiclass", "multilabel"]
Mask = NDArray[np.bool_] | NDArray[np.uint8] | NDArray[np.uint16]

IGNORED = 255
IGNORED_BITS = np.uint16(1 << 15)
IGNORED_CLASS = -100  # in the targets of multiclass losses: what torch's own ignore
IGNORED_TARGET = -1.0  # in those of binary and multilabel losses, which else are 0 and 1
FOREGROUND = "foreground"
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a network.

    Attributes:
        task: how classes share the pixels.
        names: of the classes; their order is the one of numbers in masks, and of channels but in binary.
        has_ignored: whether masks may have pixels that count nowhere.
    """

    task: Task = "binary"
    names: tuple[str, ...] = (BACKGROUND, FOREGROUND)
    has_ignored: bool = False

    @property
    def num_channels(self) -> int:
        """The number of the network's channels."""
        return 1 if self.task == "binary" else len(self.names)

    @property
    def scored(self) -> tuple[int, ...]:
        """The numbers of the classes whose mean is the headline: all but the background."""
        return tuple(i for i, name in enumerate(self.names) if not is_background(name))

    @property
    def lacks_background(self) -> bool:
        """Whether classes exclude each other and none is the background: then all count in the headline."""
        return self.task == "multiclass" and len(self.scored) == len(self.names)

    @property
    def has_threshold(self) -> bool:
        """Whether masks are decided by a threshold, and not by the most probable class."""
        return self.task != "multiclass"

    @property
    def without_ignored(self) -> "Outputs":
        """The same for predictions, which ignore no pixel."""
        return replace(self, has_ignored=False)

    @property
    def mask_dtype(self) -> type[np.generic]:
        """The type of masks."""
        if self.task == "multilabel":
            return np.uint16
        return np.uint8 if self.task == "multiclass" or self.has_ignored else np.bool_

    def prob_shape(self, height: int, width: int) -> tuple[int, ...]:
        """The shape of one image's probabilities."""
        return (height, width) if self.task == "binary" else (len(self.names), height, width)

    def decide(self, prob: NDArray[np.float32], threshold: float = THRESHOLD) -> Mask:
        """Return the masks of probabilities; ``threshold`` is not used where classes are exclusive.

        Of classes that are equally probable the first is taken.
        """
        return self.decide_planes(lambda number: self.prob_of(prob, number), threshold)

    def decide_planes(
        self, prob_of: Callable[[int], NDArray[np.float32]], threshold: float = THRESHOLD
    ) -> Mask:
        """Return the same of a function that gives the probabilities of a class; it is called once for each.

        So those of all classes need not be in memory at a time.
        """
        match self.task:
            case "binary":
                found: NDArray[Any] = prob_of(1) >= threshold
                return np.asarray(found.view(np.uint8) if self.has_ignored else found)
            case "multiclass":
                highest = prob_of(0).copy()
                mask = np.zeros(highest.shape, np.uint8)
                for number in range(1, len(self.names)):
                    prob = prob_of(number)
                    mask[prob > highest] = number
                    np.maximum(highest, prob, out=highest)
                    del prob  # else there would be two beside the highest
                return mask
        planes = (
            np.where(prob_of(i) >= threshold, np.uint16(1 << i), np.uint16(0)) for i in range(len(self.names))
        )
        return np.asarray(reduce(np.bitwise_or, planes))

    def plane(self, mask: NDArray[Any], number: int) -> NDArray[np.bool_]:
        """Return where a mask has the class of this number; an ignored pixel has none."""
        if self.task == "multilabel":
            return np.asarray((mask >> number & 1).astype(np.bool_) & ~(mask & IGNORED_BITS).astype(np.bool_))
        if mask.dtype == np.bool_:
            return mask if number else ~mask
        return np.asarray(mask == number)

    def prob_of(self, prob: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        """Return the probabilities of the class of this number."""
        if self.task != "binary":
            return prob[..., number, :, :]
        return prob if number else 1 - prob

    def without(self, mask: NDArray[Any], ignored: NDArray[np.bool_]) -> NDArray[Any]:
        """Return a true mask of which these pixels count nowhere, too."""
        value = IGNORED_BITS if self.task == "multilabel" else IGNORED
        return np.where(ignored, mask.dtype.type(value), mask)

    def valid(self, mask: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return which pixels of a true mask count; None if all do."""
        if not self.has_ignored:
            return None
        if self.task == "multilabel":
            return np.asarray((mask & IGNORED_BITS) == 0)
        return np.asarray(mask != IGNORED)


BINARY = Outputs()


def outputs_of(classes: tuple[MaskClass, ...], has_ignored: bool = False) -> Outputs:
    """Return the outputs for classes of ``parse_classes``; none are background and foreground."""
    if not classes:
        return Outputs(has_ignored=has_ignored)
    task: Task = "multiclass" if classes[0].values else "multilabel"
    return Outputs(task, tuple(each.name for each in classes), has_ignored)
