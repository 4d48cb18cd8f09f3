r"""Test IoU of segstudy's layers against the textbook's, both in bfloat16, from the same initial weights.

    python benchmarks/textbook_iou.py PH2Dataset runs.jsonl

Every architecture, the losses bce and combo, several seeds, at 64 px and width 8. Each run adds a line to the
file; called again, the program trains what is missing, so it can be stopped at any time. A difference is of
runs with equal seeds; its 95 % interval is over seeds (Student's t). Of all settings, the mean difference
should lie within a hundredth.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student

sys.path.insert(0, str(Path(__file__).parent / "throughput"))
from textbook import textbook

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Run
from segstudy.core.allocator import keep_memory
from segstudy.core.device import reproducible
from segstudy.core.intensity import COLOURS
from segstudy.core.outputs import BINARY, Outputs
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.split import make_split
from segstudy.models import MODELS, build
from segstudy.training import loop

LOSSES = ("bce", "combo")


def textbook_form(
    architecture: str, width: int, seed: int, outputs: Outputs, channels: int
) -> torch.nn.Module:
    """Return the textbook's network, which has one logit for three channels."""
    assert (outputs, channels) == (BINARY, COLOURS)
    return textbook(architecture, width, seed)


FORMS = {"ours": build, "textbook": textbook_form}
Setting = tuple[str, str, int, str]  # architecture, loss, seed, form


def settings(seeds: int, architectures: list[str]) -> Iterator[Setting]:
    """Every run, seed by seed."""
    for seed in range(seeds):
        for architecture in architectures:
            for loss in LOSSES:
                for form in FORMS:
                    yield architecture, loss, seed, form


def finished(file: Path) -> dict[Setting, float]:
    """The test IoU of the runs in the file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["architecture"], row["loss"], row["seed"], row["form"]): row["test_iou"] for row in rows}


class Data:
    """The prepared images and their split."""

    def __init__(self, folder: str, epochs: int):
        self.epochs = epochs
        samples = read(folder).samples
        self.split = make_split(samples, "auto", 0)
        self.prepared = open_prepared(prepare(samples, fingerprint(samples), (64, 64), "squash"))

    def test_iou(self, setting: Setting) -> float:
        """Train one run as segstudy does; the mean test IoU at native size."""
        architecture, loss, seed, form = setting
        protocol = Protocol(
            image_size=64, width=8, batch_size=8, epochs=self.epochs, precision="bfloat16", record_test=False
        )
        configuration = Configuration(architecture=architecture, loss=loss, protocol=protocol)
        run = Run(configuration=configuration, seed=seed, fold=None, data="d", split="s", numerics={})
        loop.build = FORMS[form]
        # PyTorch refuses the textbook's unpooling where results must be deterministic.
        with nullcontext() if form == "textbook" else reproducible(1):
            images = loop.train(run, self.prepared, self.split, torch.device("cpu")).images
        return float(images.filter(images["part"] == "test")["native_iou"].mean())


def show(found: dict[Setting, float], architectures: list[str]) -> None:
    """As a table: ours minus the textbook's."""
    table = Table("test IoU, ours - textbook", "seeds", "ours", "textbook", "difference", "95 % interval")
    means = []
    for architecture in architectures:
        for loss in LOSSES:
            seeds = {seed for a, b, seed, _ in found if (a, b) == (architecture, loss)}
            pairs = [
                (found[architecture, loss, seed, "ours"], found[architecture, loss, seed, "textbook"])
                for seed in sorted(seeds)
                if all((architecture, loss, seed, form) in found for form in FORMS)
            ]
            if not pairs:
                continue
            differences = [a - b for a, b in pairs]
            means.append(statistics.mean(differences))
            ours, theirs = (f"{statistics.mean(column):.4f}" for column in zip(*pairs, strict=True))
            table.add_row(
                f"{architecture}, {loss}",
                str(len(pairs)),
                ours,
                theirs,
                f"{means[-1]:+.4f}",
                f"± {half_width(differences):.4f}",
            )
    if means:
        table.add_row("mean of all", "", "", "", f"{statistics.mean(means):+.4f}", "")
    Console().print(table)


def half_width(differences: list[float]) -> float:
    """Of the 95 % interval of a mean."""
    if len(differences) < 2:
        return math.nan
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return float(student.ppf(0.975, len(differences) - 1)) * error


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--architectures", nargs="+", default=list(MODELS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    found = finished(asked.runs)
    data = Data(asked.data, asked.epochs)
    for setting in settings(asked.seeds, asked.architectures):
        if setting in found:
            continue
        found[setting] = data.test_iou(setting)
        row = dict(zip(("architecture", "loss", "seed", "form"), setting, strict=True))
        with asked.runs.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "test_iou": found[setting]}) + "\n")
    show(found, asked.architectures)


if __name__ == "__main__":
    main()
