"""The forward pass over prepared images: probabilities, mean loss and mean IoU."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudy.core.device import autocast
from segstudy.core.network_outputs import OutputError, wrong_with
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.scratch import scratch_array
from segstudy.data.batches import Pixels
from segstudy.data.prepared import Positions, Samples
from segstudy.data.tiled import Tiled
from segstudy.evaluation.tiles import probabilities_of_images, scores_of_windows
from segstudy.metrics.class_means import mean_of_present
from segstudy.metrics.counts import Confusion
from segstudy.metrics.overlap import iou
from segstudy.models.activation import probabilities_from

EVALUATION_BATCH = 16  # fixed, because the batch size can change the last bits


@dataclass(frozen=True, slots=True)
class PartScore:
    """Mean loss and mean per-image IoU (network size) over one subset; with tiles the loss is of windows.

    Masks are decided at threshold .5, or are the most probable class. The IoU of an image with several
    classes is the mean over those that are scored and present, see ``metrics.class_means``.
    """

    loss: float
    iou: float


@dataclass
class Tally:
    """Losses and overlaps of batches, collected on the device, without waiting for it before ``score``.

    Logits that are NaN give a NaN loss, whatever the loss function: they would count as background.
    """

    outputs: Outputs = BINARY
    _losses: list[Tensor] = field(default_factory=list)
    _counts: list[Tensor] = field(default_factory=list)

    def add(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        """Add one batch: its mean loss, logits and targets, as losses take them."""
        no_numbers = logits.detach().isnan().any()
        self._losses.append(loss.detach().reshape(()).masked_fill(no_numbers, math.nan))
        self._counts.append(overlaps(logits.detach(), target, self.outputs))

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

    The logits are added to ``kept``, batch by batch, for ``probabilities_of``; not of tiles.
    """
    if isinstance(pixels.prepared, Tiled):
        return PartScore(*scores_of_windows(model, loss, pixels, positions, precision))
    tally = Tally(pixels.prepared.outputs)
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


def overlaps(logits: Tensor, target: Tensor, outputs: Outputs = BINARY) -> Tensor:
    """Return the pixel counts of each image of a batch and each class that is scored: ``(batch, C, 4)``.

    Binary and overlapping classes are cut at threshold .5, a logit of 0; of exclusive ones the most probable
    is predicted. Ignored pixels are not counted.

    Args:
        logits: of the network.
        target: as losses take it.
        outputs: the classes.
    """
    if outputs.task == "multiclass":
        counted = (target >= 0).unsqueeze(1)
        # Made on the device: the background is the first class, if it is one.
        numbers = torch.arange(outputs.scored[0], len(outputs.names), device=logits.device)[:, None, None]
        predicted, true = logits.argmax(1, keepdim=True) == numbers, target.unsqueeze(1) == numbers
    else:
        counted, predicted, true = target >= 0, logits >= 0, target > 0
    num_counted = counted.flatten(2).sum(2)
    if outputs.has_ignored:
        predicted = predicted & counted
    tp, positive, real = (each.flatten(2).sum(2) for each in (predicted & true, predicted, true))
    return torch.stack([tp, positive - tp, real - tp, num_counted - positive - real + tp], dim=2)


def ious_of(counts: Tensor) -> list[float]:
    """Return the IoU of every image of ``overlaps``, the mean over its classes."""
    found = []
    for rows in counts.tolist():
        classes = [Confusion(*row) for row in rows]
        found.append(mean_of_present([iou(c) for c in classes], [c.tp + c.fp + c.fn > 0 for c in classes]))
    return found


@torch.inference_mode()
def probabilities(
    model: nn.Module, pixels: Pixels, positions: Positions, precision: str
) -> Collection[NDArray[np.float32]]:
    """Return probabilities at network size, of each image ``outputs.prob_shape(height, width)``.

    They are one array, unless images have their own sizes: ``resize = tiles``.

    Those of many images lie in a file, see ``scratch_array``.

    Raises:
        OutputError: some are not finite, and would count as background; or there are too many or too few.
    """
    if isinstance(pixels.prepared, Tiled):
        return probabilities_of_images(model, pixels, positions, precision)
    passes = _passes(model, pixels, positions, precision)
    return probabilities_of((logits for logits, _ in passes), pixels.prepared, positions)


@torch.inference_mode()
def probabilities_of(
    batches: Iterable[Tensor], prepared: Samples, positions: Positions
) -> NDArray[np.float32]:
    """Return the same as one array from the logits of the batches of resized images."""
    outputs = prepared.outputs
    size = prepared.network_mask(int(positions[0])).shape
    out = scratch_array((len(positions), *outputs.prob_shape(*size)), np.float32)
    done = 0
    for logits in batches:
        prob = probabilities_from(logits, outputs).cpu().numpy()
        batch = positions[done : done + len(prob)]
        if problem := wrong_with(prob, (len(batch), *out.shape[1:])):
            odd = next(
                (i for i, each in zip(batch, prob, strict=True) if not np.isfinite(each).all()), batch[0]
            )
            raise OutputError(f"the network gives {problem} for {prepared.ids[odd]}")
        out[done : done + len(batch)] = prob
        done += len(batch)
    return out
