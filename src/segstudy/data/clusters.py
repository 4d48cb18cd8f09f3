"""Images that are known to show the same, as sets that grow pair by pair."""

import numpy as np
from numpy.typing import NDArray


class Clusters:
    """Which images are known to show the same, and the pairs that said so."""

    def __init__(self, num_images: int):
        self.joined: set[tuple[int, int]] = set()
        self._of = np.arange(num_images)
        self._members: dict[int, list[int]] = {}

    def apart(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether two images are not known to show the same, for every pair."""
        return np.asarray(self._of[first] != self._of[second])

    def of(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cluster of each of these images: the index of one image in it."""
        return np.asarray(self._of[images])

    def join(self, i: int, j: int) -> None:
        """Note a pair, unless others connect it already."""
        larger, smaller = int(self._of[i]), int(self._of[j])
        if larger == smaller:
            return
        if len(self._members.get(larger, ())) < len(self._members.get(smaller, ())):
            larger, smaller = smaller, larger
        moved = self._members.pop(smaller, [smaller])
        self._members.setdefault(larger, [larger]).extend(moved)
        self._of[moved] = larger
        self.joined.add((min(i, j), max(i, j)))
