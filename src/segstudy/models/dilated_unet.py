"""DilatedUNet: UNet2 with dilation 2 in its down- and upsampling layers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segstudy.models.blocks import concatenate, conv_block, head
from segstudy.models.joined import after_dilated, is_joined


class DilatedUNet(nn.Module):
    """``UNet2`` with dilation 2 in the strided and the transposed convolutions, as the study describes it.

    Stride and dilation share the factor 2, so the strided convolution reads only every second row and
    column of its input, and the transposed one reaches only every second row and column of its output:
    the other three quarters are its bias alone. A dilation with gcd(stride, dilation) = 1 would avoid
    that; this is the network of the study, and a test states the property.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.
    """

    def __init__(self, width: int = 64, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        channels = [width * 2**i for i in range(5)]
        stages = zip([image_channels, *channels], channels, strict=False)
        self.encoder = nn.ModuleList(conv_block(a, b) for a, b in stages)
        self.down = nn.ModuleList(nn.Conv2d(c, c, 3, stride=2, padding=2, dilation=2) for c in channels[:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(c, c, 3, stride=2, padding=2, dilation=2) for c in reversed(channels[1:])
        )
        self.decoder = nn.ModuleList(conv_block(3 * c, c) for c in reversed(channels[:-1]))
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](image)
        features = [x]
        for down, stage in zip(self.down, list(self.encoder)[1:], strict=True):
            x = stage(dilated_down(x, down))
            features.append(x)
        for up, stage, skip in zip(self.up, self.decoder, reversed(features[:-1]), strict=True):
            if is_joined(x, skip):
                x = after_dilated(stage, skip, x, up)
            else:
                x = dilated_up(x, up, skip.shape[-2:])
                x = stage(concatenate(skip, x))
        logits: Tensor = self.head(x)
        return logits


def dilated_down(x: Tensor, layer: nn.Module) -> Tensor:
    """Return ``layer(x)`` for a 3x3 convolution of stride 2 and dilation 2, several times as fast.

    Its kernel reads even rows and columns only, so it is an ordinary convolution of every second pixel.
    """
    assert isinstance(layer, nn.Conv2d)
    return F.conv2d(x[..., ::2, ::2], layer.weight, layer.bias, padding=1)


def dilated_up(x: Tensor, layer: nn.Module, size: torch.Size) -> Tensor:
    """``layer(x, size)`` for a 3x3 transposed convolution of stride 2 and dilation 2, several times as fast.

    It is a transposed convolution of stride 1 whose result lands on the even rows and columns of a grid
    that otherwise holds the bias.

    Args:
        x: ``(batch, channels, h, w)``.
        layer: the transposed convolution.
        size: height and width of the result, ``2h - 1`` or ``2h`` and ``2w - 1`` or ``2w``.
    """
    assert isinstance(layer, nn.ConvTranspose2d)
    reached = F.conv_transpose2d(x, layer.weight, layer.bias, padding=1)
    assert layer.bias is not None
    grid = layer.bias.to(reached.dtype).view(1, -1, 1, 1).expand(*reached.shape[:2], *size)
    out = grid.contiguous(memory_format=torch.channels_last)
    out[..., ::2, ::2] = reached
    return out
