"""A model and prepared images in, one row per image out."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudy.data.batches import Pixels, Positions, in_batches
from segstudy.data.prepared import Prepared
from segstudy.data.samples import Part
from segstudy.engines import OutputError, wrong_with
from segstudy.metrics import Confusion, Mask, calibration_scores, confusion, iou, scores, surface_scores
from segstudy.preprocess import prob_to_native

EVALUATION_BATCH = 16  # fixed: a batch size of its own could move the last bits
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))

Logits = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class PartScore:
    """Mean loss and mean per-image IoU (threshold .5, network size) over one part."""

    loss: float
    iou: float


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The precision of forward passes; losses are computed in float32 outside of it."""
    lower = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    return torch.autocast(device.type, lower, enabled=lower is not None)


def best_precision(device: str) -> str:
    """bfloat16 where the hardware has it: emulated, it is slower than float32. Older GPUs have float16."""
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device == "cpu":
        return "bfloat16" if _cpu_has_bfloat16() else "float32"
    return "float32"


def _cpu_has_bfloat16() -> bool:
    capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # not in 2.9
    return bool(capabilities().get("avx512_bf16"))


@dataclass
class Tally:
    """Losses and overlaps of batches, gathered on the device: nothing waits for it before ``score``.

    Logits that are no numbers have no loss, whatever a loss makes of them: they would count as background.
    """

    _losses: list[Tensor] = field(default_factory=list)
    _counts: list[Tensor] = field(default_factory=list)

    def add(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        """Take one batch in: its mean loss, logits and targets ``(batch, 1, H, W)``."""
        no_numbers = logits.detach().isnan().any()
        self._losses.append(loss.detach().reshape(()).masked_fill(no_numbers, math.nan))
        self._counts.append(overlaps(logits.detach(), target))

    def score(self) -> PartScore:
        """Means over all images so far."""
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
) -> PartScore:
    """Loss and IoU of a part as the network stands; batch norm in evaluation mode."""
    model.eval()
    tally = Tally()
    for batch in in_batches(positions, EVALUATION_BATCH):
        image, target = pixels.batch(batch)
        with autocast(pixels.device, precision):
            logits = model(image)
        tally.add(loss(logits.float(), target), logits, target)
    return tally.score()


def overlaps(logits: Tensor, target: Tensor) -> Tensor:
    """Pixels of every image of a batch at threshold .5, a logit of 0: ``(batch, 4)``, as ``Confusion``."""
    predicted, true = (logits >= 0).flatten(1), target.bool().flatten(1)
    tp = (predicted & true).sum(1)
    fp, fn = predicted.sum(1) - tp, true.sum(1) - tp
    return torch.stack([tp, fp, fn, predicted.shape[1] - tp - fp - fn], dim=1)


def ious_of(counts: Tensor) -> list[float]:
    """IoU of every row of ``overlaps``."""
    return [iou(Confusion(*row)) for row in counts.tolist()]


@torch.inference_mode()
def probabilities(
    model: nn.Module, pixels: Pixels, positions: Positions, precision: str
) -> NDArray[np.float32]:
    """Foreground probability of every pixel at network size, ``(len(positions), height, width)``.

    Raises:
        OutputError: for an image, these are no numbers: they would count as background in silence.
    """
    model.eval()
    out = np.empty((len(positions), *pixels.prepared.masks.shape[1:]), np.float32)
    done = 0
    for batch in in_batches(positions, EVALUATION_BATCH):
        image, _ = pixels.batch(batch)
        with autocast(pixels.device, precision):
            logits = model(image)
        prob = logits.float().sigmoid().squeeze(1).cpu().numpy()
        if problem := wrong_with(prob, (len(batch), *out.shape[1:])):
            odd = next(
                (i for i, each in zip(batch, prob, strict=True) if not np.isfinite(each).all()), batch[0]
            )
            raise OutputError(f"the network gives {problem} for {pixels.prepared.ids[odd]}")
        out[done : done + len(batch)] = prob
        done += len(batch)
    return out


def best_threshold(prob: NDArray[np.float32], prepared: Prepared, positions: Positions) -> float:
    """The threshold of ``THRESHOLDS`` with the highest mean IoU at network size; .5 wins ties.

    To be chosen on validation only.
    """
    masks = prepared.masks[positions]

    def mean_iou(threshold: float) -> float:
        return float(np.mean([iou(confusion(p >= threshold, m)) for p, m in zip(prob, masks, strict=True)]))

    return max(THRESHOLDS, key=lambda threshold: (mean_iou(threshold), threshold == 0.5))


def image_rows(
    prob: NDArray[np.float32],
    prepared: Prepared,
    positions: Sequence[int] | Positions,
    part: Part,
    tuned_threshold: float,
) -> pl.DataFrame:
    """One row per image: every metric at network and native size, and IoU at the tuned threshold.

    Columns: ``id``, ``part``, then ``network_iou``, ``native_iou``, ``network_dice`` and so on at
    threshold .5, ``network_iou_tuned``, ``native_iou_tuned``, and at native size alone surface distances
    (``native_hd95_px`` and so on) and calibration (``native_ece``, ``native_brier``).
    """
    rows = []
    for p, position in zip(prob, positions, strict=True):
        native_prob = prob_to_native(p, prepared.native_sizes[position], prepared.resize)
        truth = {"network": prepared.masks[position], "native": prepared.native_mask(int(position))}
        row: dict[str, str | float] = {"id": prepared.ids[position], "part": part}
        for resolution, at_resolution in (("network", p), ("native", native_prob)):
            target = np.asarray(truth[resolution])
            row |= {f"{resolution}_{name}": v for name, v in scores(at_resolution >= 0.5, target).items()}
            row[f"{resolution}_iou_tuned"] = iou(confusion(at_resolution >= tuned_threshold, target))
        row |= boundary_columns(native_prob >= 0.5, truth["native"])
        row |= {f"native_{name}": v for name, v in calibration_scores(native_prob, truth["native"]).items()}
        rows.append(row)
    return pl.DataFrame(rows)


def mask_columns(predicted: Mask, target: Mask) -> dict[str, float]:
    """What a row of ``image_rows`` says of a mask without probabilities, at native size."""
    columns = {f"native_{name}": value for name, value in scores(predicted, target).items()}
    return columns | boundary_columns(predicted, target)


def boundary_columns(predicted: Mask, target: Mask) -> dict[str, float]:
    """Surface distances of two masks at native size, as columns."""
    return {f"native_{name}": value for name, value in surface_scores(predicted, target).items()}
