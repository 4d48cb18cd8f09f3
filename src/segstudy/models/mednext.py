"""MedNeXt: a U-Net of depthwise convolutions between wider 1x1 convolutions, as in ConvNeXt."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segstudy.core.errors import UserError
from segstudy.models.blocks import head


class MedNeXt(nn.Module):
    """MedNeXt (Roy et al. 2023, arXiv:2303.09975) for images, without deep supervision.

    A 1x1 convolution to ``width`` channels; four steps down and up, ``width`` x 1, 2, 4, 8, 16 channels,
    ``blocks`` residual blocks a stage. Both ways the step is such a block too, and the encoder's map is added
    to the decoder's. The defaults are the paper's MedNeXt-S, of width 32.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.

    Args:
        width: channels of the first stage.
        kernel: side of the depthwise convolutions in pixels, odd.
        blocks: residual blocks a stage.
        expansion: how many times as many channels the inside of a block has.
        num_logits: of every pixel.
        image_channels: of the images.

    Raises:
        UserError: an even kernel, or a number under 1.
    """

    def __init__(
        self,
        width: int = 32,
        kernel: int = 3,
        blocks: int = 2,
        expansion: int = 2,
        num_logits: int = 1,
        image_channels: int = 3,
    ):
        super().__init__()
        if min(kernel, blocks, expansion) < 1 or kernel % 2 == 0:
            raise UserError("mednext: kernel must be odd, and blocks and expansion at least 1")
        channels = [width * 2**i for i in range(5)]
        inside = (kernel, expansion)
        self.stem = nn.Conv2d(image_channels, width, 1)
        self.encoder = nn.ModuleList(_stage(c, blocks, inside) for c in channels)
        self.down = nn.ModuleList(Down(c, *inside) for c in channels[:-1])
        self.up = nn.ModuleList(Up(c, *inside) for c in reversed(channels[1:]))
        self.decoder = nn.ModuleList(_stage(c, blocks, inside) for c in reversed(channels[:-1]))
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](self.stem(image))
        features = [x]
        for down, stage in zip(self.down, list(self.encoder)[1:], strict=True):
            x = stage(down(x))
            features.append(x)
        for up, stage, skip in zip(self.up, self.decoder, reversed(features[:-1]), strict=True):
            x = stage(skip + up(x, skip.shape[-2:]))
        logits: Tensor = self.head(x)
        return logits


def _stage(channels: int, blocks: int, inside: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(*(Block(channels, *inside) for _ in range(blocks)))


def _mixed(channels: int, expansion: int, out_channels: int) -> nn.Sequential:
    """Return norm, 1x1 convolution to more channels, GELU, 1x1 convolution to ``out_channels``."""
    return nn.Sequential(
        nn.GroupNorm(channels, channels),
        nn.Conv2d(channels, expansion * channels, 1),
        nn.GELU(),
        nn.Conv2d(expansion * channels, out_channels, 1),
    )


class Block(nn.Module):
    """A depthwise convolution, then ``_mixed``; added to the input. Its shape stays."""

    def __init__(self, channels: int, kernel: int, expansion: int):
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False
        )
        self.mixed = _mixed(channels, expansion, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.mixed(self.depthwise(x))
        return y


class Down(nn.Module):
    """A block of stride 2 to twice the channels; added to a 1x1 convolution of stride 2 of the input."""

    def __init__(self, channels: int, kernel: int, expansion: int):
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, stride=2, padding=kernel // 2, groups=channels, bias=False
        )
        self.mixed = _mixed(channels, expansion, 2 * channels)
        self.projection = nn.Conv2d(channels, 2 * channels, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.mixed(self.depthwise(x)) + self.projection(x)
        return y


class Up(nn.Module):
    """A block of transposed convolutions of stride 2 to half the channels; added to one of the input."""

    def __init__(self, channels: int, kernel: int, expansion: int):
        super().__init__()
        self.depthwise = nn.ConvTranspose2d(
            channels, channels, kernel, stride=2, padding=kernel // 2, groups=channels, bias=False
        )
        self.mixed = _mixed(channels, expansion, channels // 2)
        self.projection = nn.ConvTranspose2d(channels, channels // 2, 1, stride=2, bias=False)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        y: Tensor = self.mixed(_enlarged(x, self.depthwise, size)) + _enlarged(x, self.projection, size)
        return y


def _enlarged(x: Tensor, layer: nn.ConvTranspose2d, size: torch.Size) -> Tensor:
    """Return ``layer(x, size)`` for a layer of stride 2, exportable for any size.

    It computes the larger of the two possible sizes, then cuts: ONNX knows no output padding that depends on
    the input.
    """
    padding = layer.kernel_size[0] // 2
    larger = F.conv_transpose2d(
        x, layer.weight, stride=2, padding=padding, output_padding=1, groups=layer.groups
    )
    return larger[..., : size[0], : size[1]]
