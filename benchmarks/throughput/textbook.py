"""The four architectures as a textbook writes them: the same parameters, every layer called as it stands.

This is what a notebook, Lightning or MONAI would train. ``tests/end_to_end/test_benchmarks.py`` shows that
they compute what segstudy's own forms compute.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segstudy.models import build
from segstudy.models.dilated_unet import DilatedUNet
from segstudy.models.segnet import SegNet
from segstudy.models.unet import UNet
from segstudy.models.unet2 import UNet2


class TextbookSegNet(SegNet):
    def forward(self, image: Tensor) -> Tensor:
        x, pooled = image, []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[-2:]
            x, index = F.max_pool2d(x, 2, return_indices=True)
            pooled.append((index, size))
        for stage in self.decoder:
            index, size = pooled.pop()
            x = stage(F.max_unpool2d(x, index, 2, output_size=size))
        return self.head(x)


class TextbookUNet(UNet):
    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](image)
        features = [x]
        for stage in list(self.encoder)[1:]:
            x = stage(F.max_pool2d(x, 2))
            features.append(x)
        for stage, skip in zip(self.decoder, reversed(features[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = stage(torch.cat([skip, x], dim=1))
        return self.head(x)


class TextbookUNet2(UNet2):
    def forward(self, image: Tensor) -> Tensor:
        return learned_resizing(self, image)


class TextbookDilatedUNet(DilatedUNet):
    def forward(self, image: Tensor) -> Tensor:
        return learned_resizing(self, image)


def learned_resizing(network: UNet2 | DilatedUNet, image: Tensor) -> Tensor:
    x = network.encoder[0](image)
    features = [x]
    for down, stage in zip(network.down, list(network.encoder)[1:], strict=True):
        x = stage(down(x))
        features.append(x)
    for up, stage, skip in zip(network.up, network.decoder, reversed(features[:-1]), strict=True):
        x = up(x, output_size=skip.shape[-2:])
        x = stage(torch.cat([skip, x], dim=1))
    return network.head(x)


TEXTBOOK: dict[str, type[nn.Module]] = {
    "segnet": TextbookSegNet,
    "unet": TextbookUNet,
    "unet2": TextbookUNet2,
    "dilated_unet": TextbookDilatedUNet,
}


def textbook(architecture: str, width: int, seed: int) -> nn.Module:
    """The network that segstudy would train, with the same weights, in its textbook form."""
    network = TEXTBOOK[architecture](width)
    network.load_state_dict(build(architecture, width, seed).state_dict())
    return network
