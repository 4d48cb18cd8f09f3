"""What the architectures share: the 3x3 convolution block and the output layer."""

from torch import nn


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
