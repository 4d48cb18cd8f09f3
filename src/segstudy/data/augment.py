"""Augmentation: random parameters per sample from their own stream, applied to whole batches.

Kornia's own random augmentations draw differently for different batch sizes at equal seed; here every
sample's parameters depend on seed, epoch and its id alone, and Kornia's functional transforms apply them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from kornia import enhance
from kornia.geometry import transform as geometry
from torch import Tensor

from segstudy.core.seeding import seed_for

NUMERICS = 1  # raised when any number below changes; enters the keys of runs that augment


@dataclass(frozen=True, slots=True)
class Change:
    """How one sample is altered in one epoch.

    Attributes:
        flip_x, flip_y: mirrored left to right, top to bottom.
        angle_deg: rotation about the centre.
        scale: magnification about the centre.
        brightness: added to all values.
        contrast, saturation: factors; 1 leaves as is.
        hue_rad: shift of the hue.
    """

    flip_x: bool
    flip_y: bool
    angle_deg: float
    scale: float
    brightness: float
    contrast: float
    saturation: float
    hue_rad: float


def draw(sample_id: str, seed: int, epoch: int) -> Change:
    """The change of one sample: equal for every architecture, loss and batch size."""
    rng = np.random.default_rng(seed_for("augmentation", seed=seed, epoch=epoch, sample=sample_id))
    return Change(
        flip_x=bool(rng.random() < 0.5),
        flip_y=bool(rng.random() < 0.5),
        angle_deg=float(rng.uniform(-180, 180)),
        scale=math.exp(rng.uniform(math.log(0.8), math.log(1.25))),
        brightness=float(rng.uniform(-0.1, 0.1)),
        contrast=math.exp(rng.uniform(math.log(0.8), math.log(1.25))),
        saturation=math.exp(rng.uniform(math.log(0.8), math.log(1.25))),
        hue_rad=float(rng.uniform(-0.1, 0.1)),
    )


def augment(
    image: Tensor,
    mask: Tensor,
    kind: Literal["flips", "full"],
    ids: Sequence[str],
    seed: int,
    epoch: int,
) -> tuple[Tensor, Tensor]:
    """Alter a batch, image and mask alike.

    Args:
        image: ``(batch, 3, H, W)`` in [0, 1].
        mask: ``(batch, 1, H, W)``, 0 or 1.
        kind: ``flips`` mirrors only; ``full`` adds rotation, scale and colour.
        ids: the samples, in the batch's order.
        seed: the run's seed; names the stream with epoch and id.
        epoch: counted from 1.

    Returns:
        Image and mask of the same shapes; the mask again 0 or 1. What comes in from outside the frame is
        the reflected picture, in both.
    """
    changes = [draw(sample_id, seed, epoch) for sample_id in ids]
    both = _flip(torch.cat([image, mask], dim=1), changes)
    if kind == "full":
        both = _warp(both, changes)
    image, mask = both[:, :3], (both[:, 3:] >= 0.5).float()
    if kind == "full":
        image = _colour(image, changes)
    return image.contiguous(memory_format=torch.channels_last), mask


def _flip(x: Tensor, changes: Sequence[Change]) -> Tensor:
    for axis, flags in ((3, [c.flip_x for c in changes]), (2, [c.flip_y for c in changes])):
        flagged = torch.tensor(flags, device=x.device).view(-1, 1, 1, 1)
        x = torch.where(flagged, x.flip(axis), x)
    return x


def _warp(x: Tensor, changes: Sequence[Change]) -> Tensor:
    height, width = x.shape[-2:]
    centre = torch.tensor([[(width - 1) / 2, (height - 1) / 2]], device=x.device).expand(len(x), -1)
    angle = torch.tensor([c.angle_deg for c in changes], device=x.device)
    scale = torch.tensor([[c.scale, c.scale] for c in changes], device=x.device)
    matrix = geometry.get_rotation_matrix2d(centre, angle, scale)
    warped: Tensor = geometry.warp_affine(x, matrix, (height, width), padding_mode="reflection")
    return warped


def _colour(image: Tensor, changes: Sequence[Change]) -> Tensor:
    def values(name: str) -> Tensor:
        return torch.tensor([getattr(c, name) for c in changes], device=image.device)

    image = enhance.adjust_saturation(image, values("saturation"))
    image = enhance.adjust_hue(image, values("hue_rad"))
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    image = (image - mean) * values("contrast").view(-1, 1, 1, 1) + mean
    return (image + values("brightness").view(-1, 1, 1, 1)).clamp(0, 1)
