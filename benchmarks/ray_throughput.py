"""The throughput of ``--executor ray`` over that of ``processes``, on the same cores of this machine.

    python benchmarks/ray_throughput.py --pairs 2

Both train the same runs in turns, processes and ray, with as many runs in parallel as there are cores. The
clock begins when the first run begins and stops when the last one is stored. What Ray needs before is its
start, printed apart. If other programs use the cores, times vary. Processor seconds vary less: those of the
trainings and of all that the executor itself starts, such as Ray's own processes.
"""

import argparse
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import psutil
from rich.console import Console
from rich.table import Table

from segstudy.config.study import override, preset_study
from segstudy.core.resources import allowed_cores
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import choose_machine
from segstudy.study.plan import Plan, make_plan, write_plan
from segstudy.training.executors.base import Watch

LOOK_S = 0.25


@dataclass
class ProcessorTime:
    """The processor seconds of this process and all that it starts, while inside."""

    seconds: dict[tuple[int, float], float] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "ProcessorTime":
        self.before = self._used(psutil.Process())
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def total(self) -> float:
        return sum(self.seconds.values()) - self.before

    def _look(self) -> None:
        me = psutil.Process()
        while not self.ended.wait(LOOK_S):
            for process in (me, *me.children(recursive=True)):
                try:
                    self.seconds[process.pid, process.create_time()] = self._used(process)
                except psutil.Error:
                    continue

    @staticmethod
    def _used(process: psutil.Process) -> float:
        times = process.cpu_times()
        return times.user + times.system


@dataclass(frozen=True)
class Session:
    """One training of all runs.

    Attributes:
        start_s: from the call until the first run begins.
        wall_s: from then until the last run is stored.
        processor_s: of everything, from then on.
        run_s: mean seconds of a run, as it records itself.
        load: of the machine at the end.
    """

    start_s: float
    wall_s: float
    processor_s: float
    run_s: float
    load: float


def session(plan: Plan, executor: str, workers: int, folder: StudyFolder) -> Session:
    """Train all runs of a plan."""
    write_plan(plan, folder)
    machine = choose_machine("cpu", threads=1, workers=workers, executor=executor)
    begun: list[tuple[float, float]] = []
    called: list[float] = []

    def stage(_what: str, _done: int, _total: int) -> None:
        called[:] = [time.perf_counter()]  # the last stage before the training

    with ProcessorTime() as used:
        watch = Watch(begin=lambda _: begun.append((time.perf_counter(), used.total())))
        outcomes = list(carry_out(plan, plan.runs, folder, machine, watch, stage))
        ended = time.perf_counter()
    assert all(outcome.status == "finished" for outcome in outcomes), outcomes
    run_s = mean(record.seconds.total for record in folder.run_records(folder.finished()))
    began, before_s = begun[0]
    return Session(began - called[-1], ended - began, used.total() - before_s, run_s, os.getloadavg()[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=allowed_cores())
    parser.add_argument("--runs", type=int, default=0, help="of each session; 0: one for each worker")
    parser.add_argument("--epochs", type=int, default=24)
    options = parser.parse_args()
    os.environ["RAY_ADDRESS"] = "local"
    fields = {"image_size": [128], "width": [16], "epochs": [options.epochs], "architecture": ["unet"]}
    fields |= {"loss": ["bce"], "batch_size": [8], "seeds": [options.runs or options.workers]}
    plan = make_plan(
        override(preset_study("classic", "throughput", "synthetic"), fields),
        choose_machine("cpu", threads=1, executor="serial"),
    )
    console = Console()
    found: dict[str, list[Session]] = {"processes": [], "ray": []}
    table = Table("executor", "start", "wall", "processor", "a run", "load", title=f"{len(plan.runs)} runs")
    with tempfile.TemporaryDirectory() as place:
        for pair in range(options.pairs):
            for executor, sessions in found.items():
                folder = StudyFolder(Path(place) / f"{executor}{pair}")
                each = session(plan, executor, options.workers, folder)
                sessions.append(each)
                cells = (each.start_s, each.wall_s, each.processor_s, each.run_s)
                table.add_row(executor, *(f"{s:.1f} s" for s in cells), f"{each.load:.1f}")
                console.print(f"{executor}: {each}")
    console.print(table)
    for name in ("wall_s", "processor_s"):
        of = {
            executor: mean(getattr(each, name) for each in sessions) for executor, sessions in found.items()
        }
        console.print(f"throughput of ray over processes, by {name}: {of['processes'] / of['ray']:.3f}")


if __name__ == "__main__":
    main()
