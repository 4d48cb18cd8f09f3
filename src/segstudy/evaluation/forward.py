"""The forward pass over prepared images: probabilities, mean loss and mean IoU."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudy.core.device import autocast
from segstudy.core.network_outputs import OutputError, wrong_with
from segstudy.core.scratch import scratch_array
from segstudy.data.batches import Pixels, Positions
from segstudy.data.prepared import Prepared
from segstudy.metrics.counts import Confusion
from segstudy.metrics.overlap import iou

EVALUATION_BATCH = 16  # fixed, because the batch size can change the last bits


@dataclass(frozen=True, slots=True)
class PartScore:
    """Mean loss and mean per-image IoU (threshold .5, network size) over one subset."""

    loss: float
    iou: float


@dataclass
class Tally:
    """Losses and overlaps of batches, collected on the device, without waiting for it before ``score``.

    Logits that are NaN give a NaN loss, whatever the loss function: they would count as background.
    """

    _losses: list[Tensor] = field(default_factory=list)
    _counts: list[Tensor] = field(default_factory=list)

    def add(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        """Add one batch: its mean loss, logits and targets ``(batch, 1, H, W)``."""
        no_numbers = logits.detach().isnan().any()
        self._losses.append(loss.detach().reshape(()).masked_fill(no_numbers, math.nan))
        self._counts.append(overlaps(logits.detach(), target))

    def score(self) -> PartScore:
        """Return the means over all images so far."""
        sizes = [len(counts) for counts in self._counts]
        losses = torch.stack(self._losses).tolist()
        total = sum(size * loss for size, loss in zip(sizes, losses, strict=True))
        ious = ious_of(torch.cat(self._counts))
        return PartScore(total / sum(sizes), float(np.mean(ious)))


@torch.inference_mode()
def score_part(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    pixels: Pixels,
    positions: Positions,
    precision: str,
    kept: list[Tensor] | None = None,
) -> PartScore:
    """Return loss and IoU of a subset with the network's present weights; batch norm in evaluation mode.

    The logits are added to ``kept``, batch by batch, for ``probabilities_of``.
    """
    tally = Tally()
    for logits, target in _passes(model, pixels, positions, precision):
        tally.add(loss(logits.float(), target), logits, target)
        if kept is not None:
            kept.append(logits.clone())  # a network that is not ours may use its memory again
    return tally.score()


def _passes(
    model: nn.Module, pixels: Pixels, positions: Positions, precision: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits and targets of each batch."""
    model.eval()
    for image, target in pixels.batches(positions, EVALUATION_BATCH):
        with autocast(pixels.device, precision):
            logits = model(image)
        yield logits, target


def overlaps(logits: Tensor, target: Tensor) -> Tensor:
    """Return the pixel counts of each image of a batch at threshold .5, a logit of 0: ``(batch, 4)``."""
    predicted, true = (logits >= 0).flatten(1), target.bool().flatten(1)
    tp = (predicted & true).sum(1)
    fp, fn = predicted.sum(1) - tp, true.sum(1) - tp
    return torch.stack([tp, fp, fn, predicted.shape[1] - tp - fp - fn], dim=1)


def ious_of(counts: Tensor) -> list[float]:
    """Return the IoU of every row of ``overlaps``."""
    return [iou(Confusion(*row)) for row in counts.tolist()]


@torch.inference_mode()
def probabilities(
    model: nn.Module, pixels: Pixels, positions: Positions, precision: str
) -> NDArray[np.float32]:
    """Return the foreground probability of every pixel at network size, ``(len(positions), height, width)``.

    Those of many images lie in a file, see ``scratch_array``.

    Raises:
        OutputError: some are not finite, and would count as background.
    """
    passes = _passes(model, pixels, positions, precision)
    return probabilities_of((logits for logits, _ in passes), pixels.prepared, positions)


@torch.inference_mode()
def probabilities_of(
    batches: Iterable[Tensor], prepared: Prepared, positions: Positions
) -> NDArray[np.float32]:
    """Return the same from the logits of the batches."""
    out = scratch_array((len(positions), *prepared.masks.shape[1:]), np.float32)
    done = 0
    for logits in batches:
        prob = logits.float().sigmoid().squeeze(1).cpu().numpy()
        batch = positions[done : done + len(prob)]
        if problem := wrong_with(prob, (len(batch), *out.shape[1:])):
            odd = next(
                (i for i, each in zip(batch, prob, strict=True) if not np.isfinite(each).all()), batch[0]
            )
            raise OutputError(f"the network gives {problem} for {prepared.ids[odd]}")
        out[done : done + len(batch)] = prob
        done += len(batch)
    return out
