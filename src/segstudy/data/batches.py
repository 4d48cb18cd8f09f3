"""Batches of prepared samples, in an order that depends on seed and epoch alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segstudy.core.outputs import IGNORED, IGNORED_CLASS, IGNORED_TARGET, Outputs
from segstudy.data.prepared import Positions, Samples
from segstudy.data.tiled import Tiled

RESIDENT_SHARE = 0.25  # of a GPU's free memory that the samples may take


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


@dataclass(frozen=True)
class Pixels:
    """Prepared samples, as the device takes them that trains on them.

    Attributes:
        prepared: the samples.
        device: where batches are wanted.
        resident: all images ``(N, H, W, channels)`` and masks ``(N, H, W)`` as ``targets_of`` takes them, on
            the device; None where each batch is sent there.
    """

    prepared: Samples
    device: torch.device
    resident: tuple[Tensor, Tensor] | None = None

    def batches(self, order: Positions, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of ``in_batches``: images and targets in the order of their positions.

        Images are ``(batch, channels, H, W)`` in [0, 1], channels last in memory; targets of ``targets_of``.
        Where the samples lie on the device, the order is sent there once, and no batch waits for the host.
        """
        outputs = self.prepared.outputs
        parts = list(in_batches(order, batch_size))
        if self.resident is not None:
            index = torch.from_numpy(order).to(self.device)
            for part in torch.split(index, [len(part) for part in parts]):
                image, mask = (pixels[part] for pixels in self.resident)
                yield _as_input(image), targets_of(mask, outputs)
        else:
            for positions in parts:
                image = torch.from_numpy(self.prepared.inputs(positions)).to(self.device)
                mask = _as_tensor(self.prepared.targets(positions)).to(self.device)
                yield _as_input(image), targets_of(mask, outputs)


def _as_input(image: Tensor) -> Tensor:
    return image.permute(0, 3, 1, 2).float().div_(255)


def _as_tensor(mask: NDArray[Any]) -> Tensor:
    """Masks as they are; bits of overlapping classes as int16, which PyTorch can shift on every device."""
    return torch.from_numpy(mask.view(np.int16) if mask.dtype == np.uint16 else mask)


def targets_of(mask: Tensor, outputs: Outputs) -> Tensor:
    """Masks ``(batch, H, W)`` as losses take them.

    Of binary masks float ``(batch, 1, H, W)``, of overlapping classes ``(batch, K, H, W)``: 0 or 1, and
    ``IGNORED_TARGET`` where a pixel is ignored. Of exclusive classes int64 ``(batch, H, W)``, the class's
    number, and ``IGNORED_CLASS`` where a pixel is ignored.
    """
    if outputs.task == "multiclass":
        target = mask.long()
        return target.masked_fill(mask == IGNORED, IGNORED_CLASS) if outputs.has_ignored else target
    if outputs.task == "multilabel":
        bits = torch.arange(len(outputs.names), device=mask.device, dtype=mask.dtype).view(-1, 1, 1)
        target, ignored = (mask.unsqueeze(1) >> bits & 1).float(), mask < 0
    else:
        target, ignored = mask.unsqueeze(1).float(), mask == IGNORED
    return target.masked_fill(ignored.unsqueeze(1), IGNORED_TARGET) if outputs.has_ignored else target


def pixels_on(prepared: Samples, device: torch.device) -> Pixels:
    """Samples for a device; on a GPU all of them at once, where they fit: no batch waits for the host.

    Tiles are read for each batch.
    """
    if isinstance(prepared, Tiled):
        return Pixels(prepared, device)
    needed = prepared.images.nbytes + prepared.masks.nbytes
    if device.type != "cuda" or needed > RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return Pixels(prepared, device)
    images = torch.from_numpy(np.array(prepared.images)).to(device)
    return Pixels(prepared, device, (images, _as_tensor(np.array(prepared.masks)).to(device)))
