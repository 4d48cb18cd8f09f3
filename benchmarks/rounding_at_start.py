r"""How far bfloat16 moves the logits of a network, and how far a little noise on the image does in float32.

    python benchmarks/rounding_at_start.py PH2Dataset

At 64 px and width 8, before training and after 104 steps in float32 (8 epochs of PH2). Batch norm uses the
statistics of the batch. Distances are root mean squares, relative to the standard deviation of the logits in
float32.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent / "throughput"))
from contest import Task, arrays

from segstudy.models import MODELS, build

EPOCHS, BATCH_SIZE, SEEDS, NOISE = 8, 8, 3, 0.001


@torch.no_grad()
def logits(model: nn.Module, image: Tensor, lower: bool = False) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=lower):
        return model(image).float()


def distances(model: nn.Module, image: Tensor) -> tuple[float, float]:
    """Of bfloat16, and of noise on the image, from the logits in float32."""
    exact = logits(model, image)
    noisy = image + NOISE * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    others = logits(model, image, lower=True), logits(model, noisy)
    return tuple(((each - exact).square().mean().sqrt() / exact.std()).item() for each in others)


def train(model: nn.Module, images: Tensor, masks: Tensor) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for at in torch.randperm(len(images), generator=generator).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(images[at]), masks[at]).backward()
            optimizer.step()


def main() -> None:
    torch.set_num_threads(1)
    task = Task(sys.argv[1], tuple(MODELS), SEEDS, EPOCHS, BATCH_SIZE, image_size=64, width=8, variant="")
    part = arrays(task)["train"]
    images = torch.from_numpy(part.images).contiguous(memory_format=torch.channels_last)
    masks = torch.from_numpy(part.masks)
    table = Table("", "bfloat16, at the start", f"noise of {NOISE}", "bfloat16, trained", f"noise of {NOISE}")
    for architecture in MODELS:
        rows = []
        for seed in range(SEEDS):
            model = build(architecture, 8, seed).to(memory_format=torch.channels_last)
            before = distances(model, images[:BATCH_SIZE])
            train(model, images, masks)
            rows.append((*before, *distances(model, images[:BATCH_SIZE])))
        table.add_row(architecture, *(f"{value:.1%}" for value in np.mean(rows, axis=0)))
    Console().print(table)


if __name__ == "__main__":
    main()
