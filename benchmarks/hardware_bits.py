"""Which differences of hardware and settings change the bits of a run, and by how much its score.

    python benchmarks/hardware_bits.py bits
    python benchmarks/hardware_bits.py scores --seeds 6

``bits`` trains the same small runs (two architectures, float32 and bfloat16) under one setting after the
other, each in a process of its own, and compares every file but ``run.json`` with those of the first setting.
It also prints whether ``environment`` shows the difference: as a field, and in the hash ``arithmetic``.

``scores`` trains longer runs of one configuration under each setting, with several seeds. It compares the
difference in test IoU that a setting makes at equal seeds with the difference that another seed makes.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import described

import segstudy
from segstudy.core.environment import SWITCHES, differing

FIRST = "1 thread"
# Of each setting: threads of a run, environment variables, and what the command begins with.
SETTINGS: Mapping[str, tuple[int, Mapping[str, str], tuple[str, ...]]] = {
    FIRST: (1, {}, ()),
    "1 thread again": (1, {}, ()),
    "1 thread, pinned to one core": (1, {}, ("taskset", "-c", "0")),
    "2 threads": (2, {}, ()),
    "PyTorch without AVX-512": (1, {"ATEN_CPU_CAPABILITY": "avx2"}, ()),
    "PyTorch without AVX": (1, {"ATEN_CPU_CAPABILITY": "default"}, ()),
    "oneDNN with AVX2": (1, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, ()),
    "oneDNN with AVX-512": (1, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, ()),
    "oneDNN with AVX-512 and bfloat16": (1, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, ()),
    "MKL for any processor": (1, {"MKL_CBWR": "COMPATIBLE"}, ()),
    "MKL with AVX2": (1, {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}, ()),
    "OpenBLAS (NumPy) with AVX2": (1, {"OPENBLAS_CORETYPE": "Haswell"}, ()),
    "NumPy without AVX-512": (1, {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX"}, ()),
    "all of them with AVX2": (
        1,
        {
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
        },
        (),
    ),
}
FOR_SCORES = (FIRST, "oneDNN with AVX2", "PyTorch without AVX", "MKL for any processor", "2 threads")
SMALL = ("--architecture", "unet,segnet", "--loss", "dice", "--set", "precision=float32,bfloat16")
SHORT = ("--image-size", "64", "--width", "8", "--epochs", "3", "--batch-size", "4", "--seeds", "1")
LONGER = ("--architecture", "unet", "--loss", "dice", "--image-size", "64", "--width", "8", "--epochs", "25")
# Times, and what is derived from them.
NOT_COMPARED = ("run.json", "report.html", "report.json", "reports.json", "leaderboard.csv", "forecast.json")


def train(folder: Path, setting: str, options: Sequence[str], data: str) -> None:
    threads, variables, prefix = SETTINGS[setting]
    plain = {name: value for name, value in os.environ.items() if not SWITCHES.fullmatch(name)}
    command = [*prefix, sys.executable, "-P", "-m", "segstudy", "run", data, "--out", str(folder), "--yes"]
    machine = ("--device", "cpu", "--threads", str(threads), "--workers", "1", "--no-images")
    subprocess.run(
        [*command, *options, *machine],
        env={**plain, **variables},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def runs_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The record of each run, by key."""
    return {file.parent.name: json.loads(file.read_text()) for file in sorted(folder.glob("runs/*/run.json"))}


def hashes(folder: Path, key: str) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((folder / "runs" / key).iterdir())
        if file.name not in NOT_COMPARED
    }


def test_iou(record: Mapping[str, Any]) -> float:
    return float(record["summary"]["scores"]["test"]["native_iou"])


def compare_bits(place: Path) -> list[list[str]]:
    """One line for each setting and precision: files that differ, scores that differ, fields that show it."""
    first, lines = place / "0", []
    for number, setting in enumerate(SETTINGS):
        folder = place / str(number)
        train(folder, setting, (*SMALL, *SHORT), "synthetic:n=40")
        before, now = runs_of(first), runs_of(folder)
        assert before.keys() == now.keys()
        for precision in ("float32", "bfloat16"):
            keys = [key for key in now if now[key]["protocol"]["precision"] == precision]
            changed = sum(hashes(first, key) != hashes(folder, key) for key in keys)
            apart = max(abs(test_iou(before[key]) - test_iou(now[key])) for key in keys)
            key = keys[0]
            fields = differing([before[key]["environment"], now[key]["environment"]])
            same = before[key]["environment"]["arithmetic"] == now[key]["environment"]["arithmetic"]
            lines.append(
                [
                    setting,
                    precision,
                    f"{changed} of {len(keys)}",
                    f"{apart:.4f}",
                    ", ".join(fields) or "none",
                    "equal" if same else "differs",
                ]
            )
            print(" | ".join(lines[-1]), flush=True)
    return lines


def compare_scores(place: Path, seeds: int) -> None:
    """Print the change of test IoU by each setting at equal seeds, and the deviation between seeds."""
    found: dict[str, list[float]] = {}
    for number, setting in enumerate(FOR_SCORES):
        folder = place / str(number)
        train(folder, setting, (*LONGER, "--seeds", str(seeds)), "synthetic:n=80")
        by_seed = {record["seed"]: test_iou(record) for record in runs_of(folder).values()}
        found[setting] = [by_seed[seed] for seed in sorted(by_seed)]
        changes = [now - before for now, before in zip(found[setting], found[FIRST], strict=True)]
        print(
            f"{setting}: test IoU {statistics.mean(found[setting]):.4f}, deviation between seeds "
            f"{statistics.stdev(found[setting]):.4f}; change at equal seeds: mean "
            f"{statistics.mean(changes):+.4f}, deviation {statistics.stdev(changes):.4f}, "
            f"largest {max(map(abs, changes)):.4f}",
            flush=True,
        )
    seeds_differ = statistics.stdev(found[FIRST]) * 2**0.5
    print(f"two seeds under one setting differ with a deviation of {seeds_differ:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("bits", "scores"))
    parser.add_argument("--seeds", type=int, default=6)
    asked = parser.parse_args()
    print(json.dumps(described()), f"segstudy from {Path(segstudy.__file__).parent}", sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as place:
        if asked.what == "bits":
            compare_bits(Path(place))
        else:
            compare_scores(Path(place), asked.seeds)


if __name__ == "__main__":
    main()
