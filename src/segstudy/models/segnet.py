"""SegNet: pooling indices, carried from the encoder into the decoder's unpooling."""

import torch
from torch import Tensor, nn

from segstudy.models.blocks import conv_block, head, max_pool, put_back


class SegNet(nn.Module):
    """SegNet (Badrinarayanan, Kendall, Cipolla 2017, arXiv:1511.00561).

    A VGG16-like encoder of 2, 2, 3, 3, 3 convolutions at ``width`` x 1, 2, 4, 8, 8 channels. Every
    pooling keeps the index of each maximum, which the mirrored unpooling uses; nothing else passes from
    encoder to decoder.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.
    """

    def __init__(self, width: int = 64, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        w = width
        self.encoder = nn.ModuleList(
            [
                conv_block(image_channels, w, 2),
                conv_block(w, 2 * w, 2),
                conv_block(2 * w, 4 * w, 3),
                conv_block(4 * w, 8 * w, 3),
                conv_block(8 * w, 8 * w, 3),
            ]
        )
        # Mirrored: the last convolution of a stage has the channels of the next unpooling.
        self.decoder = nn.ModuleList(
            [
                conv_block(8 * w, 8 * w, 3),
                nn.Sequential(conv_block(8 * w, 8 * w, 2), conv_block(8 * w, 4 * w, 1)),
                nn.Sequential(conv_block(4 * w, 4 * w, 2), conv_block(4 * w, 2 * w, 1)),
                nn.Sequential(conv_block(2 * w, 2 * w, 1), conv_block(2 * w, w, 1)),
                conv_block(w, w, 2),
            ]
        )
        self.head = head(w, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        pooled: list[tuple[Tensor, torch.Size]] = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[-2:]
            x, index = max_pool(x)
            pooled.append((index, size))
        for stage in self.decoder:
            index, size = pooled.pop()
            x = stage(put_back(x, index, size))
        logits: Tensor = self.head(x)
        return logits
