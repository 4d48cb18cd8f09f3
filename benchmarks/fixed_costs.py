"""What a run costs besides its epochs: the start of a worker, final scores, storing; two versions in turn.

    python benchmarks/fixed_costs.py PH2Dataset OTHER_CHECKOUT docs/results/speed/fixed-costs.json

Each version trains the same two runs (U-Net of width 16, 3 epochs, one thread, bfloat16 where the processor
has it) in a fresh process, as a worker does. Fixed is all but the training and evaluation of the epochs.
Versions alternate; figures are medians of the rounds, ratios medians of the ratios within a round. Seconds
of the clock, and of the processor, which other programs move less.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from machine import described, write_result
from rich.console import Console
from rich.progress import track
from rich.table import Table

HERE = Path(__file__).resolve().parent.parent
JOBS = """
import sys
from pathlib import Path
from segstudy.config.study import override, preset_study
from segstudy.core.device import best_precision
from segstudy.store.folder import StudyFolder
from segstudy.study.machine import choose_machine
from segstudy.study.execution import jobs_of
from segstudy.study.plan import make_plan, write_plan

data, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
fields = {"architecture": ["unet"], "loss": ["combo"], "batch_size": [8], "image_size": [size], "width": [16],
          "epochs": [3], "scheduler": ["none"], "precision": [best_precision("cpu")], "seeds": [2]}
store, machine = StudyFolder(folder), choose_machine("cpu", threads=1, executor="serial")
plan = make_plan(override(preset_study("classic", "fixed", data), fields), machine)
write_plan(plan, store)
jobs = jobs_of(plan, plan.runs, store, machine, lambda *_: None)
(folder / "jobs.txt").write_text("\\n".join(job.model_dump_json() for job in jobs))
"""
# As ``segstudy.training.executors.worker_process``, with clocks.
WORKER = """
import time
began, used = time.perf_counter(), 0.0
import json, sys
from pathlib import Path
from segstudy.store.folder import StudyFolder
from segstudy.store.trained_elsewhere import stored_files
from segstudy.training import loop
from segstudy.training.job import Job, Listener
from segstudy.training.worker import execute

spent = {"seconds": 0.0, "cpu_seconds": 0.0}

def watched(function):
    def call(*args, **named):
        clock, cpu = time.perf_counter(), time.process_time()
        try:
            return function(*args, **named)
        finally:
            spent["seconds"] += time.perf_counter() - clock
            spent["cpu_seconds"] += time.process_time() - cpu
    return call

loop._train_epoch, loop.score_part = watched(loop._train_epoch), watched(loop.score_part)
found = {"start": {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time()}}
for name, line in zip(("first", "second"), Path(sys.argv[1]).read_text().splitlines()):
    job = Job.model_validate_json(line)
    spent.update(seconds=0.0, cpu_seconds=0.0)
    clock, cpu = time.perf_counter(), time.process_time()
    outcome = execute(job, Listener())
    assert outcome.status == "finished", outcome
    whole = {"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time() - cpu}
    record = json.loads((job.study / "runs" / job.run.key / "run.json").read_text())
    found[name] = {kind: whole[kind] - spent[kind] for kind in whole}
    found[f"{name}, epochs"] = dict(spent)
    found[f"{name}, final scores"] = {"seconds": record["seconds"]["final"]}
print(json.dumps(found))
"""


def python(checkout: Path, code: str, *words: str) -> str:
    """Run code with one version and return its standard output."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", code, *words]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def fixed(checkout: Path, data: str, size_px: int) -> dict[str, Any]:
    """Seconds of one version's two runs, with the start of its process and without."""
    with tempfile.TemporaryDirectory() as place:
        python(checkout, JOBS, data, f"{place}/study", str(size_px))
        found = dict(json.loads(python(checkout, WORKER, f"{place}/study/jobs.txt").splitlines()[-1]))
    kinds = ("seconds", "cpu_seconds")
    found["a worker's first run"] = {kind: found["start"][kind] + found["first"][kind] for kind in kinds}
    return found


STEPS = {
    "start of a worker": "start",
    "its first run, fixed": "first",
    "both": "a worker's first run",
    "its second run, fixed": "second",
    "of it final scores": "second, final scores",
    "epochs of a run": "second, epochs",
}


def show(rounds: dict[str, list[dict[str, Any]]], size_px: int) -> None:
    table = Table(f"{size_px} px", "before: s, CPU s", "now: s, CPU s", "now / before: s, CPU s")
    for title, step in STEPS.items():
        cells: list[list[str]] = [[], [], []]
        for kind in ("seconds", "cpu_seconds"):
            before, now = ([each[step].get(kind) for each in found] for found in rounds.values())
            if None in before:
                continue
            ratio = statistics.median(b / a for a, b in zip(before, now, strict=True))
            values = statistics.median(before), statistics.median(now), ratio
            for row, value in zip(cells, values, strict=True):
                row.append(f"{value:.2f}")
        table.add_row(title, *(", ".join(row) for row in cells))
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("other", type=Path, help="another checkout of this repository")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    asked = parser.parse_args()
    result: dict[str, Any] = {"machine": described(), "rounds": asked.rounds}
    for size in asked.sizes:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _ in track(range(asked.rounds), f"{size} px"):
            for version, checkout in (("before", asked.other.resolve()), ("now", HERE)):
                found[version].append(fixed(checkout, asked.data, size))
        show(found, size)
        result[f"{size} px"] = found
    if asked.out:
        write_result(asked.out, result)


if __name__ == "__main__":
    main()
