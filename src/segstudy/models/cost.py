"""The cost of a network: parameters, and multiply-adds of one image."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def num_parameters(model: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.inference_mode()
def num_macs(model: nn.Module, image_size: tuple[int, int]) -> int:
    """Return the multiply-adds of one image in the network's convolutions and products of matrices.

    Args:
        model: on any device; it is in evaluation mode afterwards.
        image_size: height and width in pixels.
    """
    model.eval()
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *image_size, device=device))
    return int(counter.get_total_flops()) // 2
