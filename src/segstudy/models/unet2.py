"""UNet2: U-Net whose down- and upsampling are learned."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segstudy.models.blocks import concatenate, conv_block, head
from segstudy.models.joined import after_transposed, is_joined


class UNet2(nn.Module):
    """U-Net with strided convolutions for max-pooling and transposed ones for upsampling.

    Every 2x2 max-pooling of ``UNet`` becomes a 3x3 convolution of stride 2, every nearest-neighbour
    upsampling a 3x3 transposed convolution of stride 2. Both keep the number of channels and have
    no batch norm or activation, as the layers that they replace.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.
    """

    def __init__(self, width: int = 64, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        channels = [width * 2**i for i in range(5)]
        stages = zip([image_channels, *channels], channels, strict=False)
        self.encoder = nn.ModuleList(conv_block(a, b) for a, b in stages)
        self.down = nn.ModuleList(nn.Conv2d(c, c, 3, stride=2, padding=1) for c in channels[:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(c, c, 3, stride=2, padding=1) for c in reversed(channels[1:])
        )
        self.decoder = nn.ModuleList(conv_block(3 * c, c) for c in reversed(channels[:-1]))
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](image)
        features = [x]
        for down, stage in zip(self.down, list(self.encoder)[1:], strict=True):
            x = stage(down(x))
            features.append(x)
        for up, stage, skip in zip(self.up, self.decoder, reversed(features[:-1]), strict=True):
            if is_joined(x, skip):
                x = after_transposed(stage, skip, x, up)
            else:
                x = upsampled(x, up, skip.shape[-2:])
                x = stage(concatenate(skip, x))
        logits: Tensor = self.head(x)
        return logits


def upsampled(x: Tensor, layer: nn.Module, size: torch.Size) -> Tensor:
    """Return ``layer(x, size)`` for a 3x3 transposed convolution of stride 2, exportable for any size.

    The exported form computes the larger of the two possible sizes, then cuts: ONNX knows no output padding
    that depends on the input. Same numbers up to rounding.
    """
    assert isinstance(layer, nn.ConvTranspose2d)
    if not torch.compiler.is_exporting():
        own: Tensor = layer(x, output_size=list(size))
        return own
    larger = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1, output_padding=1)
    return larger[..., : size[0], : size[1]]
