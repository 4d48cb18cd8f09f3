r"""One training step in three forms, in turns in one process: what the joined decoder stages bring.

    python benchmarks/step_interleaved.py docs/results/speed/step-interleaved.json
    ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 python benchmarks/step_interleaved.py OUT  # as without AMX

- hand-tuned: textbook layers with what a careful user switches on: bfloat16, channels last, fused Adam, and
  memory that is kept;
- before: segstudy's layers, with concatenations;
- now: with joined decoder stages, see ``models/joined.py``.

One thread, width 16, 128 px, a batch of 8. Times are the processor's, not the clock's: other programs change
them less. Of steps, the median ratio over the turns is shown; a turn takes one step of each form. The second
table has the first layers of the decoder's stages alone, forward and backward: the least time of each, which
other programs change least of all, summed over the three stages that are joined.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import described, write_result
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from training_step import ARCHITECTURES, Case, Step

from segstudy.core.allocator import keep_memory
from segstudy.models import build
from segstudy.models.blocks import concatenate, upsampled_nearest
from segstudy.models.dilated_unet import dilated_up
from segstudy.models.joined import after_dilated, after_nearest, after_transposed
from segstudy.models.unet2 import upsampled

SAME: dict[str, Any] = {
    "precision": "bfloat16",
    "channels_last": True,
    "kept": True,
    "fused": True,
    "threads": 1,
}
FORMS: dict[str, dict[str, Any]] = {
    "hand-tuned": {"form": "textbook"},
    "before": {"form": "ours", "joined": False},
    "now": {"form": "ours"},
}
STAGES: dict[str, dict[str, Callable[..., Tensor]]] = {
    "unet": {
        "before": lambda stage, skip, x, _: stage(concatenate(skip, upsampled_nearest(x, skip.shape[-2:]))),
        "now": lambda stage, skip, x, _: after_nearest(stage, skip, x),
    },
    "unet2": {
        "before": lambda stage, skip, x, up: stage(concatenate(skip, upsampled(x, up, skip.shape[-2:]))),
        "now": after_transposed,
    },
    "dilated_unet": {
        "before": lambda stage, skip, x, up: stage(concatenate(skip, dilated_up(x, up, skip.shape[-2:]))),
        "now": after_dilated,
    },
}


def processor_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def turns(architecture: str, seconds: float) -> dict[str, list[float]]:
    """Processor seconds of a step of each form, turn by turn."""
    steps = {name: Step(Case(architecture, **SAME, **form)) for name, form in FORMS.items()}
    for step in steps.values():
        step()
        step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found["now"]) < 5:
        for name, step in steps.items():
            found[name].append(processor_seconds(step))
    return found


def least_of_stage(architecture: str, form: str, place: int, seconds: float) -> float:
    """Processor seconds of the first layer of a decoder's stage, counted from the deepest."""
    model = build(architecture, 16, 0).to(memory_format=torch.channels_last)
    first = nn.Sequential(next(model.decoder[place].children()))
    up = None if architecture == "unet" else model.up[place]
    channels, side_px = 16 * 2 ** (3 - place), 16 * 2**place

    def packed(channels: int, side_px: int) -> Tensor:
        return torch.randn(8, channels, side_px, side_px).bfloat16().to(memory_format=torch.channels_last)

    skip, x = packed(channels, side_px).requires_grad_(), packed(2 * channels, side_px // 2).requires_grad_()
    gradient = packed(channels, side_px)

    def call() -> None:
        for tensor in (x, skip, *model.parameters()):
            tensor.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            out = STAGES[architecture][form](first, skip, x, up)
        out.backward(gradient)

    call()
    times, end = [processor_seconds(call)], time.perf_counter() + seconds
    while time.perf_counter() < end:
        times.append(processor_seconds(call))
    return min(times)


def measured(seconds: float) -> dict[str, Any]:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"steps": {}, "stages": {}}
    keep_memory()
    for architecture in STAGES:
        found["stages"][architecture] = {
            form: [least_of_stage(architecture, form, place, seconds / 6) for place in (1, 2, 3)]
            for form in ("before", "now")
        }
    for architecture in ARCHITECTURES:
        found["steps"][architecture] = turns(architecture, seconds)
    return found


def show(found: dict[str, Any]) -> None:
    """As two tables."""
    console = Console()
    table = Table("one step", *FORMS, "as fast as before", "as hand-tuned")
    ratios = []
    for architecture, times in found["steps"].items():
        of_turns = [
            statistics.median(a / b for a, b in zip(times[form], times["now"], strict=True))
            for form in ("before", "hand-tuned")
        ]
        ratios.append(of_turns)
        medians = (f"{1000 * statistics.median(times[form]):.0f} ms" for form in FORMS)
        table.add_row(architecture, *medians, *(f"{ratio:.2f}" for ratio in of_turns))
    means = (f"{statistics.geometric_mean(column):.2f}" for column in zip(*ratios, strict=True))
    table.add_row("geometric mean", *[""] * len(FORMS), *means)
    console.print(table)
    table = Table("first layers of three stages", "before", "now", "ratio")
    for architecture, times in found["stages"].items():
        before, now = (1000 * sum(times[form]) for form in ("before", "now"))
        table.add_row(architecture, f"{before:.1f} ms", f"{now:.1f} ms", f"{before / now:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=20, help="for each architecture")
    asked = parser.parse_args()
    found = measured(asked.seconds)
    show(found)
    if asked.out:
        about = {
            "machine": described(),
            "instructions of oneDNN": os.environ.get("ONEDNN_MAX_CPU_ISA", "all"),
        }
        write_result(asked.out, {**about, **found})


if __name__ == "__main__":
    main()
