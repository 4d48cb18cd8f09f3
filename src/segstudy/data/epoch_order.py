"""What the kinds of prepared samples share: the order of an epoch, and a network as a function."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segstudy.core.seeding import seed_for

Positions = NDArray[np.int64]
# Images ``(n, height, width, channels)`` to probabilities ``(n, *outputs.prob_shape(height, width))``.
NetworkForward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def shuffled(positions: Positions, seed: int, epoch: int) -> Positions:
    """Return positions, or rows of numbers, in the order of one epoch."""
    rng = np.random.default_rng(seed_for("order", seed=seed, epoch=epoch))
    return rng.permutation(positions)
