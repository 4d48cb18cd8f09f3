"""Batches of prepared samples, in an order that depends on seed and epoch alone."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segstudy.data.prepared import Prepared
from segstudy.seeding import seed_for

Positions = NDArray[np.int64]


def shuffled(positions: Positions, seed: int, epoch: int) -> Positions:
    """The positions in the order of one epoch: the same for every architecture, loss and batch size."""
    rng = np.random.default_rng(seed_for("order", seed=seed, epoch=epoch))
    return rng.permutation(positions)


def in_batches(positions: Positions, batch_size: int) -> Iterator[Positions]:
    """Cut into batches. The last one is kept; a last one of a single image joins its predecessor."""
    stops = list(range(batch_size, len(positions), batch_size))
    if stops and len(positions) - stops[-1] == 1 and batch_size > 1:
        stops.pop()
    yield from np.split(positions, stops)


def num_batches(num_samples: int, batch_size: int) -> int:
    """How many batches ``in_batches`` makes."""
    full, rest = divmod(num_samples, batch_size)
    joined = rest == 1 and full > 0 and batch_size > 1
    return full + (rest > 0 and not joined)


def load_batch(prepared: Prepared, positions: Positions, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images ``(batch, 3, H, W)`` in [0, 1], channels last in memory, and masks ``(batch, 1, H, W)``."""
    image = torch.from_numpy(prepared.images[positions]).to(device).permute(0, 3, 1, 2)
    mask = torch.from_numpy(prepared.masks[positions]).to(device).unsqueeze(1)
    return image.float().div_(255), mask.float()
