"""Runs per hour: segstudy beside others that train the same networks on the same data, for the same epochs.

    pip install lightning monai
    python benchmarks/throughput.py PH2Dataset docs/results/speed/throughput.json
    python benchmarks/throughput.py PH2Dataset docs/results/speed/throughput-without-amx.json --without-amx
    python benchmarks/throughput.py --show docs/results/speed/throughput.json

The others are a notebook's loop, as it stands and with freed memory kept, Lightning, MONAI, and a loop tuned
by hand that trains a run on each core. Each trains the four architectures (all but segstudy textbook
networks, with equal initial weights) with binary cross-entropy and Adam at width 16, 128 px and batch 8, and
validates after every epoch; timed from the first training's start to the last one's end, with the data in
memory. segstudy does more meanwhile: it starts its workers, saves states, scores validation and test at
native size with boundary distances, and stores each run. Contenders alternate in processes of their own;
figures are medians of the rounds, ratios are medians of the ratios within a round.

``--without-amx`` makes oneDNN, which computes the convolutions, behave as on a processor without AMX.
``--iou`` compares what is learned instead: best validation IoU of smaller, longer trainings, several seeds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import described, write_result
from rich.progress import track

from segstudy.core import allocator
from segstudy.core.environment import environment

HERE = Path(__file__).parent / "throughput"
WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}
# Of the GNU C library, as ``segstudy.core.allocator`` sets them in a process that runs already.
KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(allocator.LARGEST_KEPT_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(allocator.KEPT_BYTES),
    "MALLOC_TOP_PAD_": str(allocator.STEP_BYTES),
}


@dataclass(frozen=True)
class Contender:
    """One way to train.

    Attributes:
        script: in ``throughput/``.
        options: of the script, besides those of the task.
        settings: variables of its environment.
        packed: whether it trains a run on each core; else one after the other, on all cores.
    """

    script: str
    options: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    packed: bool = False


CONTENDERS = {
    "notebook": Contender("notebook.py"),
    "notebook, memory kept": Contender("notebook.py", settings=KEPT_MEMORY),
    "Lightning": Contender("with_lightning.py"),
    "MONAI": Contender("with_monai.py"),
    "tuned by hand, packed": Contender("hand_tuned.py", settings=KEPT_MEMORY, packed=True),
    # The gain from each of its measures: training_step.py.
    "segstudy": Contender("ours.py", ("--variant", "bfloat16-packed"), packed=True),
}


def contend(name: str, data: str, options: Sequence[str]) -> dict[str, Any]:
    """One contender's answer."""
    contender = CONTENDERS[name]
    command = [sys.executable, str(HERE / contender.script), "--data", data, *contender.options, *options]
    variables = {**os.environ, **contender.settings}
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables).stdout
    return dict(json.loads(answer.strip().splitlines()[-1]))


def rate(answer: dict[str, Any]) -> float:
    """Runs per hour."""
    return 3600 * len(answer["trainings"]) / float(answer["seconds"])


def grid(data: str, names: Sequence[str], rounds: int, size: Sequence[str]) -> dict[str, Any]:
    """The grid of four architectures, and U-Net alone."""
    found: dict[str, Any] = {"grid": defaultdict(list), "unet": defaultdict(list)}
    for _ in track(range(rounds), "throughput"):
        for name in names:
            answer = contend(name, data, size)
            found["grid"][name].append(rate(answer))
            if CONTENDERS[name].packed:  # trainings overlap, so U-Net's are timed by themselves
                found["unet"][name].append(
                    rate(contend(name, data, [*size, "--architectures", "unet", "--seeds", "4"]))
                )
            else:
                unet = [t["seconds"] for t in answer["trainings"] if t["architecture"] == "unet"]
                found["unet"][name].append(3600 / statistics.mean(unet))
    return found


def learned(data: str) -> dict[str, Any]:
    """Best validation IoU of every training."""
    size = ["--image-size", "64", "--width", "8", "--epochs", "15"]
    options = [*size, "--seeds", "3", "--architectures", "segnet,unet"]
    found = {}
    kinds = [name for name in CONTENDERS if "memory" not in name]  # which changes no number
    for name in track(kinds, "learned"):
        by_architecture = defaultdict(list)
        for training in contend(name, data, options)["trainings"]:
            by_architecture[training["architecture"]].append(training["iou"])
        found[name] = by_architecture
    return found


def show(result: dict[str, Any]) -> None:
    """Print the tables of ``docs/speed.md``, in Markdown."""
    if "grid" in result:
        print(f"{result['machine']['processor']}, bfloat16: {result.get('bfloat16', 'unknown')}\n")
        print("| | runs per hour | ratio of segstudy | U-Net alone | ratio of segstudy |")
        print("|---|--:|--:|--:|--:|")
        for name in result["grid"]:
            cells = [cell for what in ("grid", "unet") for cell in _cells(result[what], name)]
            print(f"| {name} | {' | '.join(cells)} |")
    if "iou" in result:
        print("| | segnet | unet |\n|---|--:|--:|")
        for name, scores in result["iou"].items():
            pairs = (scores[architecture] for architecture in ("segnet", "unet"))
            cells = [f"{statistics.mean(s):.3f} ± {statistics.stdev(s):.3f}" for s in pairs]
            print(f"| {name} | {' | '.join(cells)} |")


def _cells(rates: Mapping[str, list[float]], name: str) -> tuple[str, str]:
    """Runs per hour, and so many times as fast as that segstudy is."""
    ratios = [ours / theirs for ours, theirs in zip(rates["segstudy"], rates[name], strict=True)]
    return f"{statistics.median(rates[name]):.0f}", f"{statistics.median(ratios):.2f} x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    for name, default in (("epochs", 6), ("image-size", 128), ("width", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument(
        "--leave-out", nargs="+", default=[], choices=[name for name in CONTENDERS if name != "segstudy"]
    )
    parser.add_argument("--without-amx", action="store_true")
    parser.add_argument("--iou", action="store_true")
    parser.add_argument("--show", type=Path)
    asked = parser.parse_args()
    if asked.show:
        show(json.loads(asked.show.read_text(encoding="utf-8")))
    else:
        measure(asked)


def measure(asked: argparse.Namespace) -> None:
    """Carry out the command line, print the tables, and write the result."""
    os.environ |= WITHOUT_AMX if asked.without_amx else {}
    sizes = {name: getattr(asked, name) for name in ("epochs", "image_size", "width")}
    result: dict[str, Any] = {
        "machine": described(),
        "bfloat16": environment("cpu", 1)["bfloat16"],
        **sizes,
        "rounds": asked.rounds,
    }
    options = [word for name, value in sizes.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    names = [name for name in CONTENDERS if name not in asked.leave_out]
    result |= {"iou": learned(asked.data)} if asked.iou else grid(asked.data, names, asked.rounds, options)
    show(result)
    if asked.out:
        write_result(asked.out, result)


if __name__ == "__main__":
    main()
