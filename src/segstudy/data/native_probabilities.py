"""Probabilities at network size, brought to an image's own size one class at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.outputs import THRESHOLD, Outputs
from segstudy.data.preprocess import Resize, Size, prob_to_native


class NativeProbabilities:
    """The probabilities of one image at its own size.

    Those of a class are made when they are asked for, and the last ones are kept: all classes of a large
    image together would need gigabytes. Not for several threads at once.

    Args:
        prob: at network size, ``outputs.prob_shape(h, w)``.
        native: height and width of the image.
        resize: how it was brought to network size.
        outputs: what the network gives.
    """

    def __init__(self, prob: NDArray[np.float32], native: Size, resize: Resize, outputs: Outputs):
        self.native, self.outputs = native, outputs
        self._prob, self._resize = prob, resize
        self._last: tuple[int, NDArray[np.float32]] | None = None

    def of(self, number: int) -> NDArray[np.float32]:
        """Return the probabilities ``(H, W)`` of the class of this number."""
        if self._last is None or self._last[0] != number:
            self._last = None  # its memory is free for the next ones
            plane = self.outputs.prob_of(self._prob, number)
            self._last = number, prob_to_native(plane, self.native, self._resize)
        return self._last[1]

    def give_up(self) -> None:
        """Free the memory of the probabilities; none can be asked for any more."""
        self._last = None
        self._prob = np.empty(0, np.float32)

    def decided(self, threshold: float = THRESHOLD) -> NDArray[Any]:
        """Return the mask ``(H, W)``, as ``outputs.decide`` of the probabilities of all classes."""
        return self.outputs.decide_planes(self.of, threshold)

    def all(self) -> NDArray[np.float32]:
        """Return the probabilities of all classes, ``outputs.prob_shape(H, W)``."""
        if self.outputs.task == "binary":
            return self.of(1)
        return np.stack([self.of(number) for number in range(len(self.outputs.names))])
