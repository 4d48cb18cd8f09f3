"""Wall time, processor time and peak memory of named steps, and the exponents of their growth."""

import ctypes
import gc
import math
import resource
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

Steps = dict[str, dict[str, float]]


class Clock:
    """Seconds on the clock and of all processors, and peak memory, of named steps; steps may be nested."""

    def __init__(self) -> None:
        self.steps: Steps = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        _give_back()
        peak, over = memory_mb(), threading.Event()

        def watch() -> None:
            nonlocal peak
            while not over.wait(0.02):
                peak = max(peak, memory_mb())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        start, cpu = time.perf_counter(), cpu_seconds()
        yield
        seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        over.set()
        thread.join()
        self.steps[name] = {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak}


def memory_mb() -> float:
    """Of this process alone: its anonymous pages, without mapped files and the system's cache of files."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _give_back() -> None:
    """Return to the system what the step before has freed."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Slope of log value over log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0])


def show(what: str, found: Mapping[int, Steps]) -> None:
    """Seconds on the clock and of the processors, peak memory, and exponents of the processor time."""
    sizes = tuple(found)
    steps = {name: [found[n][name] for n in sizes] for name in found[sizes[0]]}
    table = Table(what, *(f"{n:,}: s, CPU s, MB" for n in sizes), "exponent", "of the last decade")
    late = [i for i, n in enumerate(sizes) if n * 10 >= sizes[-1]]
    for name, rows in steps.items():
        cpu = [row["cpu_seconds"] for row in rows]
        cells = [f"{row['seconds']:.1f}, {row['cpu_seconds']:.1f}, {row['peak_mb']:.0f}" for row in rows]
        table.add_row(name, *cells, *_exponents(sizes, cpu, late))
    Console(width=160).print(table)


def _exponents(sizes: Sequence[int], values: Sequence[float], late: Sequence[int]) -> list[str]:
    last = [(sizes[i], values[i]) for i in late]
    chosen = [(sizes, values), tuple(zip(*last, strict=True))]
    return ["" if len(s) < 2 or math.isclose(max(v), 0) else f"{exponent(s, v):.2f}" for s, v in chosen]
