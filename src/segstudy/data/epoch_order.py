"""The order of what an epoch trains on."""

import numpy as np
from numpy.typing import NDArray

from segstudy.core.seeding import seed_for

Positions = NDArray[np.int64]


def shuffled(positions: Positions, seed: int, epoch: int) -> Positions:
    """Return positions, or rows of numbers, in the order of one epoch."""
    rng = np.random.default_rng(seed_for("order", seed=seed, epoch=epoch))
    return rng.permutation(positions)
