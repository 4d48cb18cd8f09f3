"""What each loss costs: processor time of a training step, relative to the same step with bce.

Run ``python benchmarks/losses.py [SIDE_PX]``: U-Net of width 16, batch 8, one thread, masks of ellipses.
Steps of all losses alternate, so that other work on the machine concerns all of them alike.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from segstudy.losses import LOSSES, build_loss
from segstudy.models import build

SIDE_PX, WIDTH, BATCH, ROUNDS = 128, 16, 8, 15


def ellipses(side: int) -> Tensor:
    """Masks ``(BATCH, 1, side, side)`` of a fifth to a half of the sides."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    radii = torch.linspace(0.1, 0.25, BATCH).view(-1, 1, 1) * side
    inside = ((y - side / 2) / radii) ** 2 + ((x - side / 3) / radii / 0.8) ** 2 < 1
    return inside.unsqueeze(1).float()


def seconds(function: Callable[[], None]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


def main() -> None:
    torch.set_num_threads(1)
    side = int(sys.argv[1]) if len(sys.argv) > 1 else SIDE_PX
    torch.manual_seed(0)
    network = build("unet", WIDTH, 0).to(memory_format=torch.channels_last)
    image = torch.rand(BATCH, 3, side, side).contiguous(memory_format=torch.channels_last)
    target = ellipses(side)
    losses = {name: build_loss(name) for name in LOSSES}
    logits = 4 * target - 2 + torch.randn(target.shape)

    def step(name: str) -> None:
        network.zero_grad()
        losses[name](network(image), target).backward()

    def alone(name: str) -> None:
        losses[name](logits.clone().requires_grad_(), target).backward()

    steps: dict[str, list[float]] = {name: [] for name in losses}
    parts: dict[str, list[float]] = {name: [] for name in losses}
    for _ in range(ROUNDS):
        for name in losses:
            steps[name].append(seconds(lambda name=name: step(name)))
            parts[name].append(seconds(lambda name=name: alone(name)))
    usual = median(steps["bce"])
    table = Table(f"{side} px, batch {BATCH}", "a step / one with bce", "the loss alone")
    for name in losses:
        table.add_row(name, f"{median(steps[name]) / usual:.2f}", f"{median(parts[name]) * 1e3:.1f} ms")
    Console().print(table, f"a step with bce: {usual * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
