"""Whether memory grows with the number of runs: resident memory after each of 200 tiny trainings.

Run ``python benchmarks/memory_of_many_runs.py docs/results/memory-of-200-runs.svg``: serially in this
process, and with one worker process, whose memory and whose caller's are both read. A line is fitted after
the first 50 runs, in which libraries are loaded and allocators fill.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
import psutil
import scipy.stats
import vl_convert

from segstudy.config.study import override, preset_study
from segstudy.data.datasets import synthetic
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, write_plan

RUNS, WARM_UP = 200, 50
NAMES = {"serial": ["one process"], "processes": ["caller", "worker"]}


def memory(executor: str, num_runs: int, folder: Path) -> Iterator[dict[str, object]]:
    """Resident memory of the caller and of its worker in MB, after every run."""
    synthetic.write(folder / "set", 12, 0)
    fields = {"image_size": [32], "width": [2], "epochs": [1], "batch_size": [4], "seeds": [num_runs]}
    fields |= {"architecture": ["unet"], "loss": ["bce"]}
    machine = Machine("cpu", threads=1, workers=1, executor=executor)
    plan = make_plan(override(preset_study("classic", "m", str(folder / "set")), fields), machine)
    study = StudyFolder(folder / "study")
    write_plan(plan, study)
    caller = psutil.Process()
    for number, outcome in enumerate(carry_out(plan, plan.runs, study, machine), 1):
        assert outcome.status == "finished"
        processes = {"serial": [caller], "processes": [caller, *caller.children()[:1]]}[executor]
        for name, process in zip(NAMES[executor], processes, strict=False):
            resident = process.memory_info().rss / 1e6
            if resident:  # else it is ending: all is done
                yield {"run": number, "process": name, "MB": resident}


def slope(runs: pl.DataFrame) -> str:
    """KB a run with its 95 % interval, by least squares after the warm-up."""
    late = runs.filter(pl.col("run") > WARM_UP)
    fit = scipy.stats.linregress(late["run"], 1000 * late["MB"])
    half = scipy.stats.t.ppf(0.975, late.height - 2) * np.nan_to_num(fit.stderr)  # of a constant: no number
    low, high = fit.slope - half, fit.slope + half
    ends = f"{late['MB'][0]:.0f} MB after run {WARM_UP + 1}, {late['MB'][-1]:.0f} MB after the last"
    return f"{ends}; {fit.slope:+.1f} KB a run [{low:+.1f}, {high:+.1f}]"


def figure(table: pl.DataFrame) -> str:
    chart = alt.Chart(table, width=560, height=260).mark_line()
    chart = chart.encode(
        alt.X("run:Q", title="runs done"),
        alt.Y("MB:Q", title="resident memory (MB)", scale=alt.Scale(domainMin=0)),
        alt.Color("process:N", title=None),
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def main(out: Path | None, num_runs: int = RUNS) -> None:
    rows = []
    for executor in ("serial", "processes"):
        with tempfile.TemporaryDirectory() as folder:
            rows += list(memory(executor, num_runs, Path(folder)))
    table = pl.DataFrame(rows)
    for (name,), runs in table.group_by("process", maintain_order=True):
        print(f"{name}: {num_runs} runs, {slope(runs)}")
    if out is not None:
        out.write_text(figure(table), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
