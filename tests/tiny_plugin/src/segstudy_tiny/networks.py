"""A network of one convolution."""

from segstudy.models import Model
from torch import Tensor, nn


class TinyNet(nn.Module):
    def __init__(self, width: int, kernel_px: int = 3):
        super().__init__()
        self.body = nn.Conv2d(3, width, kernel_px, padding=kernel_px // 2)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(image).relu())
        return logits


TINY_NET = Model(TinyNet, "tiny network")
