"""NNUNet: the plain convolutional U-Net that nnU-Net plans and trains."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from segstudy.core.errors import UserError
from segstudy.models.blocks import concatenate, head

MOST_CHANNELS = 16  # times ``width``: 512 at nnU-Net's width of 32
SMALLEST_MAP_PX = 4


def planned_stages(side_px: int) -> int:
    """Return how many stages nnU-Net plans for images whose shorter side has so many pixels.

    It halves the maps as long as the result has at least 4 px a side: 5 stages for 64 px, 6 for 128, 7 for
    256.
    """
    stages = 1
    while side_px // 2 >= SMALLEST_MAP_PX:
        side_px //= 2
        stages += 1
    return stages


class NNUNet(nn.Module):
    """The U-Net of nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), without deep supervision.

    Two 3x3 convolutions a stage, each with instance norm and leaky ReLU of slope 0.01; the first of a stage
    has stride 2, and a 2x2 transposed convolution leads up. ``width`` x 1, 2, 4, 8, 16, 16, ... channels.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32, and large enough that the deepest map has more than one pixel.

    Args:
        width: channels of the first stage.
        stages: of the encoder. The default suits any image; ``planned_stages`` says nnU-Net's own number.
        num_logits: of every pixel.
        image_channels: of the images.

    Raises:
        UserError: fewer than two stages.
    """

    def __init__(self, width: int = 32, stages: int = 5, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        if stages < 2:
            raise UserError(f"nnunet: stages must be at least 2, got {stages}")
        channels = [width * min(2**i, MOST_CHANNELS) for i in range(stages)]
        self.encoder = nn.ModuleList([_stage(image_channels, width, stride=1)])
        self.encoder.extend(_stage(a, b, stride=2) for a, b in pairwise(channels))
        upwards = [(b, a) for a, b in reversed(list(pairwise(channels)))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in upwards)
        self.decoder = nn.ModuleList(_stage(2 * b, b, stride=1) for _, b in upwards)
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        _refuse_too_deep(image.shape[-2:], len(self.encoder))
        x = image
        features = []
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
        for up, stage, skip in zip(self.up, self.decoder, reversed(features[:-1]), strict=True):
            height, width = skip.shape[-2:]
            x = stage(concatenate(skip, up(x)[..., :height, :width]))
        logits: Tensor = self.head(x)
        return logits


def _refuse_too_deep(size: torch.Size, stages: int) -> None:
    """Refuse images whose deepest map is one pixel: its instance norm would be zero.

    Raises:
        UserError: as above, with the stages that nnU-Net plans for them.
    """
    if max(size) > 2 ** (stages - 1):
        return
    raise UserError(
        f"nnunet:stages={stages} is too deep for images of {size[0]}x{size[1]} px: use "
        f"nnunet:stages={planned_stages(min(size))}, as nnU-Net plans it, or larger images"
    )


def _stage(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """Return twice 3x3 convolution, instance norm, leaky ReLU; no bias, which the norm would subtract."""
    layers: list[nn.Module] = []
    for i in range(2):
        layers += [
            nn.Conv2d(
                channels if i else in_channels,
                channels,
                3,
                stride=1 if i else stride,
                padding=1,
                bias=False,
            ),
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)
