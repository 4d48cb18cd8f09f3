"""Runs per hour: segstudy beside a notebook's loop, Lightning and MONAI; equal networks, data and epochs.

    pip install lightning monai
    python benchmarks/throughput.py PH2Dataset docs/results/speed/throughput.json

Each contender trains the four architectures (the others textbook networks, with equal initial weights) with
binary cross-entropy and Adam at width 16, 128 px and batch 8, and validates after every epoch; timed from the
first training's start to the last one's end, with the data in memory. segstudy does more meanwhile: it saves
states, scores validation and test at native size with boundary distances, and stores each run. Contenders
alternate in processes of their own; figures are medians of the rounds, ratios of figures of one round.

``--iou`` compares what is learned instead: best validation IoU of smaller, longer trainings, several seeds.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from machine import described, write_result
from rich.console import Console
from rich.progress import track
from rich.table import Table

HERE = Path(__file__).parent / "throughput"
OTHERS = {"notebook": "notebook.py", "Lightning": "with_lightning.py", "MONAI": "with_monai.py"}
OURS = {"segstudy": "bfloat16-packed"}  # the gain from each of its measures: training_step.py


def contend(name: str, data: str, options: list[str]) -> dict[str, Any]:
    """One contender's answer."""
    script = OTHERS.get(name, "ours.py")
    variant = ["--variant", OURS[name]] if name in OURS else []
    command = [sys.executable, str(HERE / script), "--data", data, *variant, *options]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(answer.strip().splitlines()[-1]))


def rate(answer: dict[str, Any]) -> float:
    """Runs per hour."""
    return 3600 * len(answer["trainings"]) / float(answer["seconds"])


def grid(data: str, rounds: int, epochs: int) -> dict[str, Any]:
    """The grid of four architectures, and U-Net alone."""
    found: dict[str, Any] = {"grid": defaultdict(list), "unet": defaultdict(list)}
    names = [*OTHERS, *OURS]
    for _ in track(range(rounds), "throughput"):
        for name in names:
            options = ["--epochs", str(epochs)]
            answer = contend(name, data, options)
            found["grid"][name].append(rate(answer))
            if name in OTHERS:  # one after the other, so that each training's time is its own
                unet = [t["seconds"] for t in answer["trainings"] if t["architecture"] == "unet"]
                found["unet"][name].append(3600 / statistics.mean(unet))
        ours = contend("segstudy", data, ["--epochs", str(epochs), "--architectures", "unet", "--seeds", "4"])
        found["unet"]["segstudy"].append(rate(ours))
    return found


def learned(data: str) -> dict[str, Any]:
    """Best validation IoU of every training."""
    size = ["--image-size", "64", "--width", "8", "--epochs", "15"]
    options = [*size, "--seeds", "3", "--architectures", "segnet,unet"]
    found = {}
    for name in track([*OTHERS, "segstudy"], "learned"):
        by_architecture = defaultdict(list)
        for training in contend(name, data, options)["trainings"]:
            by_architecture[training["architecture"]].append(training["iou"])
        found[name] = by_architecture
    return found


def show(result: dict[str, Any]) -> None:
    console = Console(width=110)
    for what in ("grid", "unet"):
        if what not in result:
            continue
        found = result[what]
        table = Table(what, "runs/h", *(f"segstudy is so many times {name}" for name in OTHERS))
        for name, rates in found.items():
            ratios = [
                statistics.median(a / b for a, b in zip(rates, found[other], strict=True)) for other in OTHERS
            ]
            table.add_row(name, f"{statistics.median(rates):.0f}", *(f"{ratio:.2f}" for ratio in ratios))
        console.print(table)
    if "iou" in result:
        table = Table("best validation IoU", "segnet", "unet")
        for name, scores in result["iou"].items():
            cells = [
                f"{statistics.mean(s):.3f} +- {statistics.stdev(s):.3f}"
                for s in (scores["segnet"], scores["unet"])
            ]
            table.add_row(name, *cells)
        console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--iou", action="store_true")
    asked = parser.parse_args()
    result: dict[str, Any] = {"machine": described(), "epochs": asked.epochs, "rounds": asked.rounds}
    result |= {"iou": learned(asked.data)} if asked.iou else grid(asked.data, asked.rounds, asked.epochs)
    show(result)
    if asked.out:
        write_result(asked.out, result)


if __name__ == "__main__":
    main()
