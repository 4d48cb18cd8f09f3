"""What the architectures share: the 3x3 convolution block, the skip connection and the output layer."""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


def conv_block(in_channels: int, channels: int, num_convs: int = 2) -> nn.Sequential:
    """``num_convs`` times: 3x3 convolution, batch norm, ReLU. Height and width stay.

    The convolutions carry no bias: batch norm subtracts it again.
    """
    layers: list[nn.Module] = []
    for i in range(num_convs):
        layers += [
            nn.Conv2d(in_channels if i == 0 else channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def head(channels: int) -> nn.Conv2d:
    """The 1x1 convolution from the last feature maps to one logit per pixel."""
    return nn.Conv2d(channels, 1, 1)


def concatenate(skip: Tensor, x: Tensor) -> Tensor:
    """``torch.cat([skip, x], dim=1)``, whose gradients lie in memory as the layers before want them.

    PyTorch hands each input a view of the whole gradient, with gaps between the pixels' channels; adding
    two such views, or undoing an upsampling on one, then takes up to ten times as long as copying it out.
    Same bits either way.
    """
    joined: Tensor = _Concatenation.apply(skip, x)  # type: ignore[no-untyped-call]
    return joined


class _Concatenation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, skip: Tensor, x: Tensor) -> Tensor:
        ctx.channels = [skip.shape[1], x.shape[1]]  # type: ignore[attr-defined]
        return torch.cat([skip, x], dim=1)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        of_skip, of_x = torch.split(gradients[0], ctx.channels, dim=1)  # type: ignore[attr-defined]
        packed = torch.channels_last
        return of_skip.contiguous(memory_format=packed), of_x.contiguous(memory_format=packed)
