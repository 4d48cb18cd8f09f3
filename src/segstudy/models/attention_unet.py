"""AttentionUNet: U-Net whose skip connections are weighted, pixel by pixel, by attention gates."""

import torch
from torch import Tensor, nn

from segstudy.models.blocks import concatenate, conv_block, head, max_pool, upsampled_nearest


class AttentionUNet(nn.Module):
    """Attention U-Net (Oktay et al. 2018, arXiv:1804.03999), as ``UNet`` else.

    A gate before every concatenation compares the encoder's map with the decoder's, and scales each pixel of
    the encoder's map by a factor between 0 and 1. Here the decoder's map is first upsampled and convolved to
    the channels of the encoder's, so that both are compared at its size; the paper compares at half of it.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.
    """

    def __init__(self, width: int = 64, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        channels = [width * 2**i for i in range(5)]
        stages = zip([image_channels, *channels], channels, strict=False)
        self.encoder = nn.ModuleList(conv_block(a, b) for a, b in stages)
        upwards = list(reversed(channels[:-1]))
        self.up = nn.ModuleList(conv_block(2 * c, c, num_convs=1) for c in upwards)
        self.gates = nn.ModuleList(Gate(c) for c in upwards)
        self.decoder = nn.ModuleList(conv_block(2 * c, c) for c in upwards)
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](image)
        features = [x]
        for stage in list(self.encoder)[1:]:
            x = stage(max_pool(x)[0])
            features.append(x)
        steps = zip(self.up, self.gates, self.decoder, reversed(features[:-1]), strict=True)
        for up, gate, stage, skip in steps:
            x = up(upsampled_nearest(x, skip.shape[-2:]))
            x = stage(concatenate(skip * gate(skip, x), x))
        logits: Tensor = self.head(x)
        return logits


class Gate(nn.Module):
    """The additive attention gate: ``sigmoid(psi(relu(of_skip(skip) + of_signal(signal))))``.

    All three are 1x1 convolutions, to half the channels and then to one (equations 1 and 2 of the paper).
    Maps two maps ``(batch, channels, h, w)`` to factors ``(batch, 1, h, w)``.
    """

    def __init__(self, channels: int):
        super().__init__()
        inner = max(1, channels // 2)
        self.of_skip = nn.Conv2d(channels, inner, 1, bias=False)
        self.of_signal = nn.Conv2d(channels, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        return torch.sigmoid(self.psi(torch.relu(self.of_skip(skip) + self.of_signal(signal))))
