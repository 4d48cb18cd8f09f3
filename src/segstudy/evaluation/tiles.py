"""The forward pass over images that are not resized: in windows, whose probabilities are blended."""

from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudy.core.device import autocast
from segstudy.core.network_outputs import OutputError, wrong_with
from segstudy.core.scratch import scratch_array
from segstudy.core.windowing import Place
from segstudy.data.batches import Pixels
from segstudy.data.prepared import Positions
from segstudy.data.tiled import Tiled
from segstudy.data.windows import WINDOWS_AT_ONCE, whole
from segstudy.evaluation.class_scores import compare
from segstudy.models.activation import probabilities_from

Seen = Callable[[Tensor, Tensor], None]


def scores_of_windows(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    pixels: Pixels,
    positions: Positions,
    precision: str,
) -> tuple[float, float]:
    """Return the mean loss over the windows of these images, and the mean of the images' IoU.

    The IoU is of the blended probabilities, as it is scored at the end; each pixel counts once. Logits that
    are NaN give a NaN loss: they would count as background.
    """
    losses: list[float] = []
    num_windows: list[int] = []

    def seen(logits: Tensor, target: Tensor) -> None:
        value = loss(logits.float(), target)
        losses.append(float("nan") if bool(logits.isnan().any()) else float(value))
        num_windows.append(len(logits))

    samples = _tiled(pixels)
    ious = []
    for position, prob in zip(positions, _of_images(model, pixels, positions, precision, seen), strict=True):
        predicted, truth = samples.outputs.decide(prob), samples.native_mask(int(position))
        found = compare(predicted, truth, samples.outputs, "native", takes=("counts",))
        ious.append(found.mean()["native_iou"])
    return float(np.average(losses, weights=num_windows)), float(np.mean(ious))


def probabilities_of_images(
    model: nn.Module, pixels: Pixels, positions: Positions, precision: str
) -> list[NDArray[np.float32]]:
    """Return the probabilities of each image at its own size, ``outputs.prob_shape(H, W)``.

    Those of many images lie in a file, see ``scratch_array``.

    Raises:
        OutputError: some are not finite, and would count as background.
    """
    samples = _tiled(pixels)
    shapes = [samples.outputs.prob_shape(*samples.native_sizes[position]) for position in positions]
    ends = np.cumsum([prod(shape) for shape in shapes])
    flat = scratch_array((int(ends[-1]),), np.float32)
    found = [
        each.reshape(shape) for each, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)
    ]  # views
    of_images = _of_images(model, pixels, positions, precision, lambda _logits, _target: None)
    for out, prob, position in zip(found, of_images, positions, strict=True):
        if problem := wrong_with(prob, out.shape):
            raise OutputError(f"the network gives {problem} for {samples.ids[position]}")
        out[:] = prob
    return found


@torch.inference_mode()
def _of_images(
    model: nn.Module, pixels: Pixels, positions: Sequence[int] | Positions, precision: str, seen: Seen
) -> Iterator[NDArray[np.float32]]:
    """Yield the blended probabilities of each image; ``seen`` is called with what they come from."""
    model.eval()
    samples = _tiled(pixels)
    for position in map(int, positions):

        def forward(places: Sequence[Place], position: int = position) -> NDArray[np.float32]:
            ((image, target),) = pixels.batches(samples.inputs_at(position, places), WINDOWS_AT_ONCE)
            with autocast(pixels.device, precision):
                logits = model(image)
            seen(logits, target)
            return probabilities_from(logits, samples.outputs).cpu().numpy()

        yield whole(samples.windows(position), forward, scratch_array)


def _tiled(pixels: Pixels) -> Tiled:
    assert isinstance(pixels.prepared, Tiled)
    return pixels.prepared
