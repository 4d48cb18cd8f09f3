"""How long until something happens: help, a finished study's second run, data prepared from scratch.

    python benchmarks/start.py PH2Dataset ISIC_FOLDER docs/results/speed/start.json

Medians of the rounds; each call is a process of its own. Preparing is measured inside one process, from the
reader to arrays on the disk, with an empty cache.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from machine import described, write_result
from rich.console import Console
from rich.table import Table

SEGSTUDY = [sys.executable, "-m", "segstudy"]


def seconds(command: list[str], **environment: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - start


def prepared_from_scratch(data: str, size: int) -> dict[str, float]:
    """Seconds for each part of what stands before the first training."""
    from segstudy.data.check import check
    from segstudy.data.datasets import read
    from segstudy.data.fingerprint import fingerprint
    from segstudy.data.prepared import prepare

    marks = [time.perf_counter()]
    dataset = read(data)
    marks.append(time.perf_counter())
    hashed = fingerprint(dataset.samples)
    marks.append(time.perf_counter())
    prepare(dataset.samples, hashed, (size, size), "squash")
    marks.append(time.perf_counter())
    check(dataset)
    marks.append(time.perf_counter())
    parts = [after - before for before, after in pairwise(marks)]
    return dict(zip(("read", "hash", "prepare", "check"), parts, strict=True))


def prepared_elsewhere(data: str, size: int) -> float:
    """The same in a fresh process with an empty cache; without the check."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--prepare", data, "--size", str(size)]
        environment = {**os.environ, "SEGSTUDY_CACHE": cache}
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
    parts = json.loads(answer)
    return float(parts["read"] + parts["hash"] + parts["prepare"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ph2", nargs="?")
    parser.add_argument("jpegs", nargs="?")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prepare")
    parser.add_argument("--size", type=int, default=128)
    asked = parser.parse_args()
    if asked.prepare:
        print(json.dumps(prepared_from_scratch(asked.prepare, asked.size)))
        return
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        study = str(Path(folder) / "study")
        cache = {"SEGSTUDY_CACHE": str(Path(folder) / "cache")}
        quickly = ["--architecture", "unet", "--loss", "bce,dice", "--epochs", "1", "--image-size", "32"]
        run = [*SEGSTUDY, "run", "--out", study, *quickly]
        found["first run: 2 small runs on drawn images, report"] = [seconds(run, **cache)]
        for _ in range(asked.rounds):
            for name, command in {
                "python -c pass": [sys.executable, "-c", "pass"],
                "segstudy --help": [*SEGSTUDY, "--help"],
                "a finished study's run, the same command": run,
                "a finished study's run, by its folder": [*SEGSTUDY, "run", study],
                "segstudy table": [*SEGSTUDY, "table", study],
                "segstudy status": [*SEGSTUDY, "status", study],
                "import torch": [sys.executable, "-c", "import torch"],
            }.items():
                found.setdefault(name, []).append(seconds(command, **cache))
            for name, data, size in (
                ("PH2 (200 BMP) prepared from scratch, 128 px", asked.ph2, 128),
                ("PH2 (200 BMP) prepared from scratch, 256 px", asked.ph2, 256),
                ("ISIC-2017 (2,000 JPEG) prepared from scratch, 128 px", asked.jpegs, 128),
            ):
                if data:
                    found.setdefault(name, []).append(prepared_elsewhere(data, size))
    table = Table("seconds", "median", "lowest", "highest")
    for name, times in found.items():
        table.add_row(name, *(f"{value:.2f}" for value in (statistics.median(times), min(times), max(times))))
    Console(width=110).print(table)
    result: dict[str, Any] = {"machine": described(), "seconds": found}
    if asked.out:
        write_result(asked.out, result)


if __name__ == "__main__":
    main()
