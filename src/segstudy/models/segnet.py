"""SegNet: pooling indices, carried from the encoder into the decoder's unpooling."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segstudy.models.blocks import conv_block, head


class SegNet(nn.Module):
    """SegNet (Badrinarayanan, Kendall, Cipolla 2017, arXiv:1511.00561).

    A VGG16-like encoder of 2, 2, 3, 3, 3 convolutions at ``width`` x 1, 2, 4, 8, 8 channels. Where
    each maximum came from is remembered by every pooling and used by the mirrored unpooling; nothing
    else passes from encoder to decoder.

    Maps images ``(batch, 3, H, W)`` to logits ``(batch, 1, H, W)``; H and W at least 32.
    """

    numerics = 1

    def __init__(self, width: int = 64):
        super().__init__()
        w = width
        self.encoder = nn.ModuleList(
            [
                conv_block(3, w, 2),
                conv_block(w, 2 * w, 2),
                conv_block(2 * w, 4 * w, 3),
                conv_block(4 * w, 8 * w, 3),
                conv_block(8 * w, 8 * w, 3),
            ]
        )
        # Mirrored: the last convolution of a stage brings the channels of the next unpooling.
        self.decoder = nn.ModuleList(
            [
                conv_block(8 * w, 8 * w, 3),
                nn.Sequential(conv_block(8 * w, 8 * w, 2), conv_block(8 * w, 4 * w, 1)),
                nn.Sequential(conv_block(4 * w, 4 * w, 2), conv_block(4 * w, 2 * w, 1)),
                nn.Sequential(conv_block(2 * w, 2 * w, 1), conv_block(2 * w, w, 1)),
                conv_block(w, w, 2),
            ]
        )
        self.head = head(w)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        pooled: list[tuple[Tensor, torch.Size]] = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[-2:]
            x, index = F.max_pool2d(x, 2, return_indices=True)
            pooled.append((index, size))
        for stage in self.decoder:
            index, size = pooled.pop()
            x = stage(unpool(x, index, size))
        logits: Tensor = self.head(x)
        return logits


def unpool(x: Tensor, index: Tensor, size: torch.Size) -> Tensor:
    """Put every value back where its maximum was; all other places are zero.

    Equal to ``max_unpool2d`` bit for bit, but deterministic and exportable: that one raises under
    ``torch.use_deterministic_algorithms`` even on a CPU.

    Args:
        x: ``(batch, channels, h, w)``.
        index: of the same shape, positions in the flattened ``size``, as ``max_pool2d`` gives them.
        size: height and width of the result (passed on because odd sizes lose a row in pooling).
    """
    height, width = size
    batch, channels = x.shape[:2]
    flat = x.new_zeros(batch, channels, height * width).scatter(2, index.flatten(2), x.flatten(2))
    return flat.view(batch, channels, height, width)
