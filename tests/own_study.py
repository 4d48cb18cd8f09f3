"""A small study of networks from one's own file: one that can be exported, and one that cannot."""

from pathlib import Path

from small import TINY, write_dataset

import segstudy

SOURCE = '''
import torch
from torch import nn


class Net(nn.Module):
    """Keeps a number drawn at the start outside of its state."""

    def __init__(self, width=4, depth: int = 1):
        super().__init__()
        self.scale = float(torch.rand(()))
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Conv2d(width, 1, depth, padding=depth // 2)

    def forward(self, x):
        return self.head(self.body(x)) * (1 + self.scale)


class Branch(Net):
    """What it computes depends on the pixels: no graph of it is right for all."""

    def forward(self, x):
        logits = super().forward(x)
        return logits if x.mean() > 0.5 else logits - 1
'''


def train(place: Path, architectures: list[str], name: str = "study", data: Path | None = None) -> Path:
    """Train ``Net``, ``Branch`` or others of ``place/my.py``; returns the study's folder."""
    if not (place / "my.py").exists():
        (place / "my.py").write_text(SOURCE)
    data = data or write_dataset(place / "discs", n=12)
    spelled = [f"{place}/my.py:{each}" for each in architectures]
    segstudy.run(
        data,
        protocol="classic",
        out=place / name,
        images=False,
        executor="serial",
        architecture=spelled,
        loss=["bce"],
        batch_size=[4],
        **TINY,
    )
    return place / name
