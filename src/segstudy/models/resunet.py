"""ResUNet: U-Net of residual units with full pre-activation."""

from itertools import pairwise

from torch import Tensor, nn

from segstudy.models.blocks import concatenate, head, upsampled_nearest


class ResUNet(nn.Module):
    """Deep Residual U-Net (Zhang, Liu, Wang 2018, arXiv:1711.10684).

    Three steps down by convolutions of stride 2, ``width`` x 1, 2, 4, 8 channels, one residual unit a stage;
    nearest-neighbour upsampling, then concatenation with the encoder's map of that size.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.
    """

    def __init__(self, width: int = 64, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        channels = [width * 2**i for i in range(4)]
        self.encoder = nn.ModuleList([Residual(image_channels, width, is_first=True)])
        self.encoder.extend(Residual(a, b, stride=2) for a, b in pairwise(channels))
        self.decoder = nn.ModuleList(Residual(3 * c, c) for c in reversed(channels[:-1]))
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        features = []
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
        for stage, skip in zip(self.decoder, reversed(features[:-1]), strict=True):
            x = stage(concatenate(skip, upsampled_nearest(x, skip.shape[-2:])))
        logits: Tensor = self.head(x)
        return logits


class Residual(nn.Module):
    """Twice batch norm, ReLU, 3x3 convolution; added to a 1x1 convolution of the input.

    The first unit of the network begins with its convolution. The convolution before a batch norm has no
    bias; the last one has, as the projection would need no second.

    Args:
        in_channels: of the input.
        channels: of the result.
        stride: of the first convolution and of the projection.
        is_first: whether the input is an image.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1, is_first: bool = False):
        super().__init__()
        before: list[nn.Module] = [] if is_first else [nn.BatchNorm2d(in_channels), nn.ReLU()]
        self.layers = nn.Sequential(
            *before,
            nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.projection = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x) + self.projection(x)
        return y
