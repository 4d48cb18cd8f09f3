"""The cost of a network: parameters, and multiply-adds of one image."""

from typing import Any

import torch
from torch import nn
from torch.utils import flop_counter

from segstudy.core import torch_compiler
from segstudy.core.intensity import COLOURS

# Of no multiply-adds. The counter would take them apart by code that imports a library for symbols.
RESIZING = [
    getattr(packet, form)
    for packet in (torch.ops.aten.upsample_nearest2d, torch.ops.aten.upsample_bilinear2d)
    for form in ("default", "vec")
]


def num_parameters(model: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.inference_mode()
def num_macs(model: nn.Module, image_size: tuple[int, int], channels: int = COLOURS) -> int:
    """Return the multiply-adds of one image in the network's convolutions and products of matrices.

    Args:
        model: on any device; it is in evaluation mode afterwards.
        image_size: height and width in pixels.
        channels: of the image.
    """
    model.eval()
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    mode = getattr(flop_counter, "_FlopCounterMode", None)  # the counter's hidden half
    torch_compiler.leave_alone(vars(mode).values() if mode else ())
    nothing = dict.fromkeys(RESIZING, _nothing)
    with flop_counter.FlopCounterMode(display=False, custom_mapping=nothing) as counter:
        model(torch.zeros(1, channels, *image_size, device=device))
    return int(counter.get_total_flops()) // 2


def _nothing(*_: Any, **__: Any) -> int:
    return 0
