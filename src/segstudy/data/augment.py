"""Augmentation: random parameters per sample from their own stream, applied to whole batches.

Kornia's own random augmentations draw differently for different batch sizes at equal seed; here every
sample's parameters depend on seed, epoch and its id alone, and Kornia's functional transforms apply them.
The parameters of an epoch are one tensor, which is sent to a device once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Literal

import numpy as np
import torch
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


def changes_of(ids: Sequence[str], seed: int, epoch: int) -> Tensor:
    """Return the changes of samples in one epoch: float32 ``(len(ids), 8)``, columns as in ``Change``."""
    return torch.tensor([astuple(draw(sample_id, seed, epoch)) for sample_id in ids], dtype=torch.float32)


def augment(
    image: Tensor, mask: Tensor, kind: Literal["flips", "full"], changes: Tensor
) -> tuple[Tensor, Tensor]:
    """Alter a batch, image and mask alike.

    Args:
        image: ``(batch, 3, H, W)`` in [0, 1].
        mask: ``(batch, 1, H, W)``, 0 or 1.
        kind: ``flips`` mirrors only; ``full`` adds rotation, scale and colour.
        changes: ``(batch, 8)`` of ``changes_of``, on the same device.

    Returns:
        Image and mask of the same shapes; the mask again 0 or 1. What comes in from outside the frame is
        the reflected picture, in both.
    """
    values = {field.name: changes[:, column] for column, field in enumerate(fields(Change))}
    both = _flip(torch.cat([image, mask], dim=1), values)
    if kind == "full":
        both = _warp(both, values)
    image, mask = both[:, :3], (both[:, 3:] >= 0.5).float()
    if kind == "full":
        image = _colour(image, values)
    return image.contiguous(memory_format=torch.channels_last), mask


def _flip(x: Tensor, values: Mapping[str, Tensor]) -> Tensor:
    for axis, name in ((3, "flip_x"), (2, "flip_y")):
        x = torch.where(values[name].bool().view(-1, 1, 1, 1), x.flip(axis), x)
    return x


def _warp(x: Tensor, values: Mapping[str, Tensor]) -> Tensor:
    from kornia.geometry import transform as geometry  # a third of a second, and few studies augment

    height, width = x.shape[-2:]
    centre = torch.stack(  # filled on the device: a tensor made from numbers would be sent there
        [x.new_full((len(x),), (width - 1) / 2), x.new_full((len(x),), (height - 1) / 2)], dim=1
    )
    scale = torch.stack([values["scale"], values["scale"]], dim=1)
    matrix = geometry.get_rotation_matrix2d(centre, values["angle_deg"], scale)
    warped: Tensor = geometry.warp_affine(x, matrix, (height, width), padding_mode="reflection")
    return warped


def _colour(image: Tensor, values: Mapping[str, Tensor]) -> Tensor:
    from kornia import enhance  # as above

    image = enhance.adjust_saturation(image, values["saturation"])
    image = enhance.adjust_hue(image, values["hue_rad"])
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    image = (image - mean) * values["contrast"].view(-1, 1, 1, 1) + mean
    return (image + values["brightness"].view(-1, 1, 1, 1)).clamp(0, 1)
