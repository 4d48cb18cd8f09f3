"""Time and memory as a study grows: in images, in runs, in workers; exponents of the growth.

    python benchmarks/growth.py docs/results/speed/growth.json --only images runs workers
    python benchmarks/growth.py docs/results/speed/growth-of-runs.json --only plans reports

Images: every step of a study with one run of one epoch, on 1,000 to 100,000 made-up images of 64 px, one in a
hundred of which is a changed copy of another; GROWTH_IMAGES may name a folder with such images. Scenes: the
search for near-duplicates, when half of the images are noisy frames of ten still scenes. Runs: plan, carry
out, plan again and rank 10 to 10,000 runs whose training is a stub that stores a small result. Workers:
8 small real runs on 1, 2 and 4 workers. Plans: plan 1,000 to 100,000 runs, of which none is carried out.
Reports: status, table and report of 1,000 to 10,000 made-up runs of 500 images (20 seeds of 50 to 500
configurations). Each size is measured in a process of its own.

The exponent is the slope of log time over log size between the largest size and the one two steps below, once
for seconds of the clock and once for those of all processors, which other programs move less. Memory is the
peak of what belongs to the process, without the pages of mapped files, which the system takes back when it
needs them. Of the images' growth, exponents are fitted to all sizes, and to those of the last decade.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import growth_clock
import numpy as np
from growth_clock import Clock
from growth_images import in_images, in_scenes
from machine import described, write_result
from PIL import Image
from rich.console import Console
from rich.table import Table

SIZES = {
    "images": (1000, 10_000, 30_000, 100_000),
    "scenes": (10_000, 20_000, 40_000),
    "runs": (10, 100, 1000, 10_000),
    "workers": (1, 2, 4),
    "plans": (1000, 10_000, 100_000),
    "reports": (1000, 3000, 10_000),
}
KINDS = ("seconds", "cpu_seconds")
SEEDS = 20  # of each configuration, in plans and reports
TESTS = Path(__file__).parents[1] / "tests"
TESTED = 50  # images of the stub's runs


def made_up_images(folder: Path, n: int) -> None:
    """Smooth noise with an ellipse, different in every image, as small PNG files."""
    rng = np.random.default_rng(n)
    y, x = np.mgrid[:96, :128]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(n):
        noise = Image.fromarray(rng.integers(60, 200, (12, 16, 3), np.uint8)).resize((128, 96))
        centre, radii = rng.uniform(30, 66, 2), rng.uniform(8, 28, 2)
        mask = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1] - 16) / radii[1]) ** 2 < 1
        image = np.where(mask[..., None], np.asarray(noise) // 2, noise).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{i:06}.png", compress_level=1)
        Image.fromarray(mask).save(folder / "masks" / f"{i:06}.png")


def in_runs(n: int, folder: Path) -> dict[str, Any]:
    """One size of the runs' growth."""
    import polars as pl

    import segstudy
    import segstudy.training.worker
    from segstudy.config.study import override, preset_study
    from segstudy.store.folder import StudyFolder
    from segstudy.study.execution import carry_out
    from segstudy.study.machine import choose_machine
    from segstudy.study.plan import make_plan, missing_runs, write_plan

    made_up_images(folder / "data", 4 * TESTED)

    def stub(job: Any, _listener: object) -> bool:
        rng = np.random.default_rng(int(job.run.key[:8], 16))
        tables = []
        for part in ("validation", "test"):
            ids = job.split.part(part)
            iou = rng.normal(0.8, 0.1, len(ids)).clip(0, 1)
            names = (
                "network_iou",
                "native_iou",
                "network_dice",
                "native_dice",
                "native_iou_tuned",
                "native_hd95_px",
            )
            tables.append(pl.DataFrame({"id": ids, "part": [part] * len(ids), **dict.fromkeys(names, iou)}))
        epochs = pl.DataFrame({"epoch": [1], "validation_iou": [0.8]})
        record = {
            "name": job.name,
            **segstudy.training.worker._identity(job.run),
            "description": job.run.description(),
            "summary": {"selected_epoch": 1, "tuned_threshold": 0.5, "scores": {}},
            "num_parameters": 1,
            "cost": {"num_macs": 1, "inference_ms": 1.0, "peak_memory_bytes": 1},
            "started": "2026-01-01T00:00:00+00:00",
            "seconds": {"total": 1.0},
            "environment": {"torch": "2", "device": "cpu", "threads": 1},
        }
        contents = {"epochs": epochs, "images": pl.concat(tables)}
        StudyFolder(job.study).write_run(job.run.key, record, contents, {"model.json": b"{}"})
        return True

    segstudy.training.worker._train_and_store = stub
    seeds = max(1, n // 10)
    fields = {"architecture": ["unet", "segnet"], "loss": ["bce", "focal", "dice", "tversky", "combo"]}
    study = override(
        preset_study("classic", "growth", str(folder / "data")),
        {**fields, "batch_size": [8], "image_size": [32], "seeds": [seeds]},
    )
    machine, store, clock = choose_machine("cpu", 1, 1, "serial"), StudyFolder(folder / "study"), Clock()
    write_plan(make_plan(study, machine), store)  # data are hashed and checked once
    with clock.step("plan"):
        plan = make_plan(study, machine, store.data())
        write_plan(plan, store)
        missing = missing_runs(plan, store)
    assert len(missing) == n
    with clock.step("carry out"):
        for outcome in carry_out(plan, missing, store, machine):
            assert outcome.status == "finished", outcome
    with clock.step("plan again"):
        assert not missing_runs(make_plan(study, machine, store.data()), store)
    with clock.step("rank"):
        segstudy.table(store.path)
    return clock.steps


def in_workers(n: int, folder: Path) -> dict[str, Any]:
    """One number of workers, one thread each."""
    from segstudy.config.study import override, preset_study
    from segstudy.store.folder import StudyFolder
    from segstudy.study.execution import carry_out
    from segstudy.study.machine import choose_machine
    from segstudy.study.plan import make_plan, write_plan

    made_up_images(folder / "data", 200)
    fields = {"architecture": ["unet"], "loss": ["bce"], "batch_size": [8], "image_size": [64], "width": [8]}
    fields |= {"epochs": [6], "seeds": [8], "record_test": [False]}
    machine, store, clock = choose_machine("cpu", 1, n, "processes"), StudyFolder(folder / "study"), Clock()
    plan = make_plan(override(preset_study("classic", "growth", str(folder / "data")), fields), machine)
    write_plan(plan, store)
    with clock.step("8 runs"):
        for outcome in carry_out(plan, plan.runs, store, machine):
            assert outcome.status == "finished", outcome
    return clock.steps


def in_plans(n: int, folder: Path) -> dict[str, Any]:
    """One number of planned runs, with 20 seeds of each configuration."""
    import segstudy
    from segstudy.config.study import override, preset_study
    from segstudy.store.folder import StudyFolder
    from segstudy.study.machine import choose_machine
    from segstudy.study.plan import make_plan, missing_runs, write_plan

    made_up_images(folder / "data", 4 * TESTED)
    fields = {"architecture": ["unet", "segnet"], "loss": ["bce", "focal", "dice", "tversky", "combo"]}
    sizes = [n + 1 for n in range(n // SEEDS // 10)]
    study = override(
        preset_study("quick", "growth", str(folder / "data")),
        {**fields, "batch_size": sizes, "image_size": [32], "seeds": [SEEDS]},
    )
    machine, store, clock = choose_machine("cpu", 1, 1, "serial"), StudyFolder(folder / "study"), Clock()
    write_plan(make_plan(study, machine), store)  # data are hashed and checked once
    with clock.step("plan"):
        plan = make_plan(study, machine, store.data())
        write_plan(plan, store)
        missing = missing_runs(plan, store)
    assert len(missing) == n
    with clock.step("status"):
        assert segstudy.status(store.path).num_left == n
    return clock.steps


def in_reports(n: int, folder: Path) -> dict[str, Any]:
    """One number of finished runs, with 20 seeds of each configuration."""
    import segstudy

    sys.path.insert(0, str(TESTS))
    from big_store import make_big_store  # beside the tests, which use it too

    study, sizes = folder / "study", n // SEEDS // 10
    make_big_store(study, seeds=SEEDS, batch_sizes=sizes, architectures=("segnet", "unet"))
    time.sleep(2.5)  # the index leaves out runs of the last two seconds
    clock = Clock()
    with clock.step("status"):
        assert segstudy.status(study).num_finished == n
    with clock.step("status again"):
        assert segstudy.status(study).num_finished == n
    with clock.step("table"):
        segstudy.table(study)
    with clock.step("report"):
        segstudy.report(study)
    clock.steps["report"]["page_mb"] = (study / "report.html").stat().st_size / 1e6
    return clock.steps


MEASURES: dict[str, Callable[[int, Path], dict[str, Any]]] = {
    "images": in_images,
    "scenes": in_scenes,
    "runs": in_runs,
    "workers": in_workers,
    "plans": in_plans,
    "reports": in_reports,
}


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Slope of log time over log size, from the third largest to the largest size."""
    return math.log(seconds[-1] / seconds[-3]) / math.log(sizes[-1] / sizes[-3])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--one", nargs=2)
    parser.add_argument("--only", choices=MEASURES, nargs="+", default=list(MEASURES))
    asked = parser.parse_args()
    if asked.one:
        what, n = asked.one[0], int(asked.one[1])
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SEGSTUDY_CACHE"] = str(Path(folder) / "cache")
            print(json.dumps(MEASURES[what](n, Path(folder))))
        return
    result: dict[str, Any] = {"machine": described()}
    for what in asked.only:
        result[what] = {}
        for n in SIZES[what]:
            command = [sys.executable, __file__, "--one", what, str(n)]
            result[what][n] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        (growth_clock.show if what == "images" else show)(what, result[what])
    if asked.out:
        write_result(asked.out, result)


def show(what: str, found: dict[int, Any]) -> None:
    """Seconds and peak memory by size, and the exponents."""
    sizes = tuple(found)
    table = Table(what, *(f"{n}: s, processors (MB)" for n in sizes), "exponents")
    for step in found[sizes[0]]:
        steps = [found[n][step] for n in sizes]
        cells = [f"{s['seconds']:.2f}, {s['cpu_seconds']:.2f} ({s['peak_mb']:.0f})" for s in steps]
        powers = [exponent(sizes, [s[kind] for s in steps]) for kind in KINDS]
        table.add_row(step, *cells, ", ".join(f"{power:.2f}" for power in powers))
        if "page_mb" in steps[0]:
            table.add_row("its page", *(f"{s['page_mb']:.1f} MB" for s in steps))
    whole = [[sum(step[kind] for step in found[n].values()) for n in sizes] for kind in KINDS]
    cells = [", ".join(f"{each[i]:.2f}" for each in whole) for i in range(len(sizes))]
    table.add_row("all", *cells, ", ".join(f"{exponent(sizes, each):.2f}" for each in whole))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
