"""The whole original study: 30 runs, its time and the memory of a run.

    python benchmarks/original_study.py PH2Dataset OUT --minutes 9
    python benchmarks/original_study.py PH2Dataset OUT --image-size 64 --width 8 --epochs 4   # on a small CPU

By default what the original trained: four architectures and five losses, 80 epochs at 256 px and width 64, in
the lower precision that the machine has in hardware. After so many minutes it stops, with everything saved,
and the same command goes on. The study's folder holds the finished runs all the while; ``OUT/speed.json``
sums up what is there.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import described, write_result
from rich.console import Console
from rich.table import Table

from segstudy.store.folder import StudyFolder
from segstudy.store.records import RunRecord

STOPPED = 128 + signal.SIGTERM


def trained(asked: argparse.Namespace) -> int:
    """Let `segstudy run` work for so long; its exit code."""
    command = [sys.executable, "-m", "segstudy", "run"]
    if StudyFolder(asked.out).exists():
        command += [str(asked.out)]
    else:
        command += [asked.data, "--protocol", "classic", "--out", str(asked.out), "--set", "precision=auto"]
        for name in ("image_size", "width", "epochs"):
            if getattr(asked, name):
                command += [f"--{name.replace('_', '-')}", str(getattr(asked, name))]
    command += ["--no-images", "--yes", "--workers", str(asked.workers)]
    command += ["--checkpoint-every", str(asked.checkpoint_every)]
    running = subprocess.Popen(command)
    try:
        return running.wait(60 * asked.minutes if asked.minutes else None)
    except subprocess.TimeoutExpired:
        running.terminate()  # after the epoch, saved
        return running.wait()


def summed_up(folder: StudyFolder) -> dict[str, Any]:
    """Of the finished runs: seconds, peak memory, by architecture and batch size."""
    groups: dict[str, list[RunRecord]] = {}
    for record in folder.run_records(sorted(folder.finished())):
        name = f"{record.architecture}, batch {record.protocol['batch_size']}"
        groups.setdefault(name, []).append(record)
    return {
        name: {
            "runs": len(records),
            "median_seconds": statistics.median(record.seconds.total for record in records),
            "peak_memory_gb": max(record.cost["peak_memory_bytes"] or 0 for record in records) / 1e9,
        }
        for name, records in sorted(groups.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=0, help="stop then, saved; 0: never")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--checkpoint-every", type=int, default=20, help="a state is half a GB at width 64")
    for name in ("image-size", "width", "epochs"):
        parser.add_argument(f"--{name}", type=int)
    asked = parser.parse_args()
    start = time.perf_counter()
    code = trained(asked)
    seconds = time.perf_counter() - start
    folder = StudyFolder(asked.out)
    found = summed_up(folder)
    table = Table("architecture", "runs", "median seconds", "peak memory, GB")
    for name, row in found.items():
        table.add_row(name, str(row["runs"]), f"{row['median_seconds']:.1f}", f"{row['peak_memory_gb']:.2f}")
    Console().print(table)
    num_runs = sum(row["runs"] for row in found.values())
    stopped = " (stopped; the same command goes on)" if code == STOPPED else ""
    print(f"{num_runs} runs finished; this call took {seconds / 60:.1f} min{stopped}")
    result = {"machine": described(), "minutes_of_this_call": seconds / 60, "exit_code": code, "runs": found}
    write_result(asked.out / "speed.json", result)
    sys.exit(code)


if __name__ == "__main__":
    main()
