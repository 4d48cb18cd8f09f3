r"""Images per second of one training step: what each measure brings, and how far the hardware would go.

    python benchmarks/training_step.py docs/results/speed/training-step.json

Three tables, for every architecture at width 16, 128 px and batch 8 (and U-Net at other sizes):

- a ladder from a notebook's float32 step to segstudy's, one measure more on each rung;
- the bare convolutions of a step, called one by one at the same precision and format, as a ceiling;
- the share of whole epochs (training, validation, saved states) outside forward, backward and optimizer.

Every figure is of a process of its own. Rungs alternate, round by round; figures are medians of the rounds,
ratios are of figures of one round. Ceilings are of one process on an idle machine, shares of as many at once
as there are cores (their mean). A share counts the forward passes of validation as inside.

One case alone, also compiled ones, which a study never uses:

    python benchmarks/training_step.py --measure steps --case \
        '{"architecture": "unet", "form": "ours", "precision": "bfloat16", "threads": 1, "compiled": true,
          "fused": true}'
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from machine import described, write_result
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent / "throughput"))
from textbook import textbook

from segstudy.core.allocator import keep_memory
from segstudy.core.device import reproducible
from segstudy.core.resources import allowed_cores
from segstudy.models import build, dilated_unet, joined, unet, unet2

ARCHITECTURES = ("segnet", "unet", "unet2", "dilated_unet")
CORES = allowed_cores()
SECONDS = 2.0  # of steps that are timed
WARM_UP = 3


@dataclass(frozen=True)
class Case:
    """One way to train.

    Attributes:
        form: ``textbook`` (every layer as it stands) or ``ours``.
        joined: whether ours has decoder stages without concatenations, see ``models/joined.py``.
        fused: whether one kernel updates all weights.
        workers: trainings side by side.
        kept: whether freed memory is kept.
    """

    architecture: str
    form: str = "textbook"
    precision: str = "float32"
    channels_last: bool = False
    kept: bool = False
    joined: bool = True
    fused: bool = False
    threads: int = CORES
    workers: int = 1
    compiled: bool = False
    width: int = 16
    image_size: int = 128
    batch_size: int = 8


def ladder(architecture: str) -> dict[str, Case]:
    """From the notebook's step to ours; each rung keeps what the one before brought."""
    notebook = Case(architecture)
    packed = replace(notebook, channels_last=True)
    lower = replace(packed, precision="bfloat16")
    ours = replace(lower, form="ours", fused=True, joined=False)
    kept = replace(ours, kept=True)
    newest = replace(kept, joined=True)
    return {
        "float32, as in a notebook": notebook,
        "+ channels last": packed,
        "+ bfloat16": lower,
        "+ rewritten layers, fused Adam": ours,
        "+ kept memory": kept,
        "+ joined decoder stages": newest,
        "+ a run per core": replace(newest, threads=1, workers=CORES),
    }


def other_cases() -> dict[str, Case]:
    """U-Net at other sizes, precisions and compiled, all with everything else switched on."""
    ours = Case("unet", "ours", "bfloat16", channels_last=True, kept=True, fused=True)
    return {
        "width 8, 64 px": replace(ours, width=8, image_size=64),
        "width 8, 64 px, a run per core": replace(ours, width=8, image_size=64, threads=1, workers=CORES),
        "width 16, 128 px, batch 16": replace(ours, batch_size=16),
        "width 16, 128 px, float32": replace(ours, precision="float32"),
        "width 16, 128 px, float32, a run per core": replace(
            ours, precision="float32", threads=1, workers=CORES
        ),
        "width 32, 128 px": replace(ours, width=32),
        "width 32, 128 px, a run per core": replace(ours, width=32, threads=1, workers=CORES),
        "width 64, 256 px, batch 2": replace(ours, width=64, image_size=256, batch_size=2),
        "width 64, 256 px, batch 2, a run per core": replace(
            ours, width=64, image_size=256, batch_size=2, threads=1, workers=CORES
        ),
    }


class Step:
    """A training step of a case, ready to be repeated."""

    def __init__(self, case: Case):
        torch.set_num_threads(case.threads)
        if case.kept:
            keep_memory()
        make = textbook if case.form == "textbook" else build
        self.model = make(case.architecture, case.width, 0).train()
        self.joined = case.joined
        self.image = torch.rand(case.batch_size, 3, case.image_size, case.image_size)
        if case.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
            self.image = self.image.contiguous(memory_format=torch.channels_last)
        self.mask = (self.image[:, :1] > 0.5).float()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=case.fused or None)
        self.called: nn.Module = torch.compile(self.model) if case.compiled else self.model  # type: ignore[assignment]
        self.lower = case.precision == "bfloat16"

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.lower), joined_stages(self.joined):
            logits = self.called(self.image)
        F.binary_cross_entropy_with_logits(logits.float(), self.mask).backward()
        self.optimizer.step()


def images_per_second(case: Case) -> float:
    """Median over some seconds of steps."""
    step = Step(case)
    with reproducible(case.threads) if case.form == "ours" else nothing():
        return case.batch_size / median_seconds(step)


@contextmanager
def joined_stages(wanted: bool) -> Iterator[None]:
    """Compute decoder stages without concatenations while inside, or with them."""
    before = unet.is_joined
    for module in (unet, unet2, dilated_unet):
        module.is_joined = joined.is_joined if wanted else lambda *_: False
    try:
        yield
    finally:
        for module in (unet, unet2, dilated_unet):
            module.is_joined = before


@contextmanager
def nothing() -> Iterator[None]:
    yield


def median_seconds(call: Callable[[], object], seconds: float = SECONDS) -> float:
    for _ in range(WARM_UP):
        call()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Convolutions(TorchDispatchMode):
    """Takes down every convolution of a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution.default:
            self.calls.append(args)
        return function(*args, **(kwargs or {}))


def bare_convolutions(case: Case) -> float:
    """Images per second if a step were its convolutions alone, forward and backward, one after the other."""
    step = Step(case)
    with Convolutions() as seen, torch.autocast("cpu", torch.bfloat16, enabled=step.lower):
        step.model(step.image)
    total = 0.0
    for place, (given, kernel, bias, *geometry) in enumerate(seen.calls):
        x, weight = given.detach().clone(), kernel.detach().clone()
        out = torch.ops.aten.convolution(x, weight, bias, *geometry)
        gradient = torch.randn_like(out)
        wanted = [place > 0, True, bias is not None]  # nothing learns from the image's own gradient

        def both(x=x, weight=weight, bias=bias, geometry=geometry, gradient=gradient, wanted=wanted) -> None:
            torch.ops.aten.convolution(x, weight, bias, *geometry)
            sizes = None if bias is None else [len(bias)]
            torch.ops.aten.convolution_backward(gradient, x, weight, sizes, *geometry, wanted)

        total += median_seconds(both, 0.2)
    return case.batch_size / total


def outside(case: Case) -> float:
    """The share of whole epochs, as a worker trains them, outside forward, backward and optimizer."""
    import tempfile

    from segstudy.config.study import override, preset_study
    from segstudy.store.folder import StudyFolder
    from segstudy.study.execution import carry_out
    from segstudy.study.machine import choose_machine
    from segstudy.study.plan import make_plan, write_plan
    from segstudy.training import loop

    inside = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                inside += time.perf_counter() - start

        return call

    make_model, make_loss, make_optimizer = loop.build, loop.build_loss, loop.make_optimizer

    def model(*args: Any) -> nn.Module:
        made = make_model(*args)
        made.forward = timed(made.forward)
        return made

    def optimizer(*args: Any) -> torch.optim.Optimizer:
        made = make_optimizer(*args)
        made.step = timed(made.step)  # type: ignore[method-assign]
        return made

    loop.build, loop.make_optimizer = model, optimizer
    loop.build_loss = lambda text: timed(make_loss(text))
    torch.Tensor.backward = timed(torch.Tensor.backward)  # type: ignore[method-assign]
    fields = {"architecture": [case.architecture], "loss": ["combo"], "batch_size": [case.batch_size]}
    fields |= {"image_size": [case.image_size], "width": [case.width], "precision": [case.precision]}
    fields |= {"record_test": [False]}
    machine = choose_machine("cpu", threads=1, executor="serial")
    with tempfile.TemporaryDirectory() as folder:
        study = override(preset_study("classic", "outside", "synthetic"), {**fields, "epochs": [4]})
        plan = make_plan(study, machine)
        store = StudyFolder(Path(folder) / "study")
        write_plan(plan, store)
        inside_until: list[float] = []
        marks: list[float] = []
        from segstudy.training.executors.base import Watch

        def mark(*_: object) -> None:
            marks.append(time.perf_counter())
            inside_until.append(inside)

        list(carry_out(plan, plan.runs, store, machine, Watch(epoch=mark)))
    # From the end of the first epoch to that of the last: its states saved, nothing warming up any more.
    return 1 - (inside_until[-1] - inside_until[0]) / (marks[-1] - marks[0])


MEASURES = {"steps": images_per_second, "ceiling": bare_convolutions, "outside": outside}


def measured(measure: str, case: Case) -> float:
    """In processes of their own, as many at once as the case has workers; their sum."""
    command = [sys.executable, __file__, "--measure", measure, "--case", json.dumps(asdict(case))]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(case.workers)]
    figures = [float(process.communicate()[0]) for process in running]
    return statistics.mean(figures) if measure == "outside" else sum(figures)


def rounds_of(asked: dict[str, tuple[str, Case]], rounds: int) -> dict[str, list[float]]:
    """One figure a round of each of these measures, by name."""
    found: dict[str, list[float]] = {name: [] for name in asked}
    (_, first), *_ = asked.values()
    for _ in track(range(rounds), first.architecture):
        for name, (measure, case) in asked.items():
            found[name].append(measured(measure, case))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=MEASURES)
    parser.add_argument("--case")
    asked = parser.parse_args()
    if asked.case:
        print(MEASURES[asked.measure](Case(**json.loads(asked.case))))
        return
    result: dict[str, Any] = {"machine": described(), "rounds": asked.rounds, "ladder": {}, "one thread": {}}
    for architecture in ARCHITECTURES:
        rungs = ladder(architecture)
        result["ladder"][architecture] = rounds_of(
            {name: ("steps", rungs[name]) for name in rungs}, asked.rounds
        )
        alone = replace(rungs["+ joined decoder stages"], threads=1)
        result["one thread"][architecture] = rounds_of(
            {
                "step": ("steps", alone),
                "bare convolutions": ("ceiling", alone),
                "outside": ("outside", replace(alone, workers=CORES)),
            },
            asked.rounds,
        )
    cases = other_cases()
    result["other"] = rounds_of({name: ("steps", cases[name]) for name in cases}, asked.rounds)
    show(result)
    if asked.out:
        write_result(asked.out, result)


def show(result: dict[str, Any]) -> None:
    """As tables."""
    console = Console(width=110)
    names = list(next(iter(result["ladder"].values())))
    table = Table("images/s (ratio to the first rung)", *result["ladder"])
    for name in names:
        cells = []
        for rungs in result["ladder"].values():
            ratio = statistics.median(a / b for a, b in zip(rungs[name], rungs[names[0]], strict=True))
            cells.append(f"{statistics.median(rungs[name]):.0f} ({ratio:.2f})")
        table.add_row(name, *cells)
    alone = [
        {name: statistics.median(figures) for name, figures in measures.items()}
        for measures in result["one thread"].values()
    ]
    for name in ("step", "bare convolutions"):
        table.add_row(f"one thread: {name}", *(f"{each[name]:.0f}" for each in alone))
    table.add_row(
        "share of that ceiling", *(f"{each['step'] / each['bare convolutions']:.0%}" for each in alone)
    )
    table.add_row("outside forward, backward, optimizer", *(f"{each['outside']:.1%}" for each in alone))
    console.print(table)
    table = Table("unet, all measures", "images/s")
    for name, figures in result["other"].items():
        table.add_row(name, f"{statistics.median(figures):.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
