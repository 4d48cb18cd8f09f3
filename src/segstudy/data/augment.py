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

from segstudy.core.intensity import COLOURS
from segstudy.core.outputs import BINARY, IGNORED_CLASS, IGNORED_TARGET, Outputs
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
    image: Tensor,
    target: Tensor,
    kind: Literal["flips", "full"],
    changes: Tensor,
    outputs: Outputs = BINARY,
) -> tuple[Tensor, Tensor]:
    """Alter a batch, image and target alike.

    Args:
        image: ``(batch, channels, H, W)`` in [0, 1].
        target: as ``batches.targets_of`` makes it.
        kind: ``flips`` mirrors only; ``full`` adds rotation, scale and colour; of other channels than three,
            which are no colours, brightness and contrast alone.
        changes: ``(batch, 8)`` of ``changes_of``, on the same device.
        outputs: what the target holds.

    Returns:
        Image and target of the same shapes and types. What comes in from outside the frame is the reflected
        picture, in both. Between pixels the classes are decided as ``mask_to_network`` does it.
    """
    values = {field.name: changes[:, column] for column, field in enumerate(fields(Change))}
    planes = _planes(target, outputs)
    both = _flip(torch.cat([image, planes], dim=1), values)
    if kind == "full":
        both = _warp(both, values)
    number = image.shape[1]
    image, target = both[:, :number], _decided(both[:, number:], outputs)
    if kind == "full":
        image = _colour(image, values)
    return image.contiguous(memory_format=torch.channels_last), target


def _planes(target: Tensor, outputs: Outputs) -> Tensor:
    """A target as shares of its classes ``(batch, K, H, W)``; of two the second; then of what is ignored."""
    if outputs.task == "multiclass":
        numbers = torch.arange(len(outputs.names), device=target.device).view(-1, 1, 1)
        planes = (target.unsqueeze(1) == numbers).float()
        ignored = target.unsqueeze(1) == IGNORED_CLASS
    else:
        ignored = target[:, :1] == IGNORED_TARGET
        planes = target.masked_fill(ignored, 0) if outputs.has_ignored else target
    return torch.cat([planes, ignored.float()], dim=1) if outputs.has_ignored else planes


def _decided(planes: Tensor, outputs: Outputs) -> Tensor:
    """Return the target of shares as ``_planes`` makes them; of equal classes the last wins."""
    if outputs.task == "multiclass":
        last = planes.shape[1] - 1
        target = last - planes.flip(1).argmax(dim=1)
        return target.masked_fill(target == last, IGNORED_CLASS) if outputs.has_ignored else target
    if not outputs.has_ignored:
        return (planes >= 0.5).float()
    shares, ignored = planes[:, :-1], planes[:, -1:]
    if outputs.task == "multilabel":
        target, ignored = shares >= (1 - ignored) / 2, ignored >= 0.5
    else:
        background = 1 - shares - ignored
        target, ignored = shares >= background, ignored >= torch.maximum(shares, background)
    return target.float().masked_fill(ignored, IGNORED_TARGET)


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

    if image.shape[1] == COLOURS:
        image = enhance.adjust_saturation(image, values["saturation"])
        image = enhance.adjust_hue(image, values["hue_rad"])
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    image = (image - mean) * values["contrast"].view(-1, 1, 1, 1) + mean
    return (image + values["brightness"].view(-1, 1, 1, 1)).clamp(0, 1)
