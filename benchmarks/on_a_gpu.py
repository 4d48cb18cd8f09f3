"""Training on a GPU: equal bits, and the time of an epoch.

    python benchmarks/on_a_gpu.py out.json
    python benchmarks/on_a_gpu.py out.json --device cpu --size 64 --width 4   # the same script without a GPU

First, for each architecture: are two trainings equal bit for bit, is one that was resumed after its first
epoch equal to one in a single session, and how far are the losses from those of a CPU in float32? Then the
seconds of an epoch (100 images trained, 50 validated, 50 tested), the time that the GPU's kernels took in it,
and the memory. Images are random: no data set is needed.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described, write_result
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.core.device import peak_memory, reproducible, reset_peak_memory
from segstudy.data.split import Split
from segstudy.store.weights import read_state, state_bytes
from segstudy.training.loop import Training, begin, epochs, restore, snapshot

ARCHITECTURES = ("segnet", "unet", "unet2", "dilated_unet")


@dataclass(frozen=True)
class Noise:
    """Random images and masks in place of prepared data."""

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]

    def positions(self, ids: tuple[str, ...]) -> NDArray[np.int64]:
        return np.array([self.ids.index(each) for each in ids], np.int64)


def noise(num_images: int, size: int) -> Noise:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (num_images, size, size, 3), dtype=np.uint8)
    return Noise(tuple(f"{i:04d}" for i in range(num_images)), images, images[..., 0] < 80)


def begun(architecture: str, data: Noise, device: str, **fields: Any) -> Training:
    """Half of the images train; a quarter each validates and tests."""
    size, num_images = data.images.shape[1], len(data.ids)
    protocol = Protocol(image_size=size, batch_size=8, record_test=True, **fields)
    configuration = Configuration(architecture=architecture, loss="combo", protocol=protocol)
    run = Run(configuration=configuration, seed=0, fold=None, data="noise", split="halves", numerics={})
    half, three_quarters = num_images // 2, 3 * num_images // 4
    split = Split(
        train=data.ids[:half], validation=data.ids[half:three_quarters], test=data.ids[three_quarters:]
    )
    return begin(run, data, split, torch.device(device))  # type: ignore[arg-type]


def trained(training: Training) -> Training:
    for _ in epochs(training):
        pass
    return training


def same(one: Training, other: Training) -> bool:
    states = one.model.state_dict(), other.model.state_dict()
    return one.rows == other.rows and all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def equality(architecture: str, device: str) -> dict[str, Any]:
    """Whether bits are equal, and the largest relative difference of a loss from a CPU's in float32."""
    data, fields = noise(40, 64), {"width": 8, "epochs": 3, "augmentation": "full"}
    once, again = (trained(begun(architecture, data, device, precision="bfloat16", **fields)) for _ in "ab")
    stopped = begun(architecture, data, device, precision="bfloat16", **fields)
    next(epochs(stopped))
    state = bytes(state_bytes(snapshot(stopped)))
    resumed = begun(architecture, data, device, precision="bfloat16", **fields)
    restore(resumed, read_state(memoryview(state)))
    losses = {
        where: np.array(
            [row["train_loss"] for row in trained(begun(architecture, data, where, **fields)).rows]
        )
        for where in {device, "cpu"}
    }
    return {
        "repeated": same(once, again),
        "resumed": same(once, trained(resumed)),
        "loss_off": float(np.max(np.abs(losses[device] / losses["cpu"] - 1))),
    }


def speed(architecture: str, device: str, size: int, width: int) -> dict[str, float]:
    """Seconds of an epoch after two to warm up, mean of two, and what the kernels took in a third."""
    reset_peak_memory(device)
    training = begun(architecture, noise(200, size), device, width=width, epochs=5, precision="bfloat16")
    remaining = epochs(training)
    for _ in range(2):
        next(remaining)
    start, before = time.perf_counter(), training.seconds["train"]
    for _ in range(2):
        next(remaining)  # an epoch ends with reading its scores, so the device has finished
    seconds, train = (time.perf_counter() - start) / 2, (training.seconds["train"] - before) / 2
    kernels = 0.0
    if device == "cuda":
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            next(remaining)
        of_device = (event for event in seen.events() if event.device_type == torch.autograd.DeviceType.CUDA)
        kernels = sum(event.self_device_time_total for event in of_device) / 1e6
    return {
        "epoch_s": seconds,
        "training_s": train,
        "kernels_s": kernels,
        "peak_memory_gb": (peak_memory(device) or 0) / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    asked = parser.parse_args()
    table = Table(
        "architecture", "repeated", "resumed", "loss off", "epoch, s", "training, s", "kernels, s", "GB"
    )
    rows = {}
    for architecture in ARCHITECTURES:
        with reproducible(1):
            row = equality(architecture, asked.device)
            row |= speed(architecture, asked.device, asked.size, asked.width)
        rows[architecture] = row
        figures = (f"{row[name]:.3f}" for name in ("loss_off", "epoch_s", "training_s", "kernels_s"))
        table.add_row(
            architecture, str(row["repeated"]), str(row["resumed"]), *figures, f"{row['peak_memory_gb']:.2f}"
        )
    Console(width=110).print(table)
    name = torch.cuda.get_device_name() if asked.device == "cuda" else asked.device
    write_result(asked.out, {"machine": described(), "device": name, "rows": rows})


if __name__ == "__main__":
    main()
