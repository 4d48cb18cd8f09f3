"""What a user sees while a study runs: a live table on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from segstudy.errors import printable
from segstudy.stages import Stages

if TYPE_CHECKING:  # they import torch, and a finished study is shown without
    from segstudy.estimate import Estimate
    from segstudy.receipt import Overview
    from segstudy.study import Machine
    from segstudy.worker import Job, Outcome

PLAIN_SECONDS = 30.0  # between plain lines about one run


class Display:
    """Told of everything that happens in a study; says it once, where and how it can be read."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True)
        self._names: dict[str, str] = {}
        self._running: dict[str, tuple[Job, dict[str, float]]] = {}
        self._said: dict[str, float] = {}
        self._hours_ahead = 0.0
        self._started = time.monotonic()
        self._progress = Progress(
            TextColumn("[bold]runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self._task = self._progress.add_task("runs", total=0, left="")
        self._live: Live | None = None
        self.stage = Stages(self.console)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stage.end()
        self.stop()

    def plan(self, plan: "Overview", num_missing: int) -> None:
        """Say what the study consists of and what is left to do."""
        sizes = [
            f"{train} / {validation} / {test} images in training / validation / test"
            for train, validation, test in plan.parts
        ]
        self.console.print(
            f"[bold]{_plain(plan.name)}[/]: {plan.num_runs} runs "
            f"({plan.num_configurations} configurations), "
            f"{plan.num_runs - num_missing} finished, {num_missing} to train"
        )
        self.console.print(
            f"data: {_plain(plan.data)}, {plan.num_samples} samples: {'; '.join(sorted(sizes))}"
        )
        if plan.num_warnings or plan.num_notes:
            self.console.print(
                f"check: {plan.num_warnings} warnings, {plan.num_notes} notes; "
                "[italic]segstudy check[/] lists them"
            )

    def unnamed(self, num_runs: int) -> None:
        """Say that finished runs are not among the planned ones."""
        if num_runs:
            runs = f"{num_runs} finished run{'s' if num_runs > 1 else ''}"
            self.console.print(
                f"beside them {runs} of other options, or of the data as they were; "
                "[italic]segstudy table --all[/] shows them"
            )

    def estimate(self, estimate: "Estimate", machine: "Machine") -> None:
        """Say what it will cost."""
        self._hours_ahead = estimate.hours
        self.console.print(
            f"ahead: about {duration(estimate.hours * 3600)} on {machine.device} ({machine.workers} x "
            f"{machine.threads} thread{'s' if machine.threads > 1 else ''}), "
            f"{size(estimate.worker_bytes)} memory a run, {size(estimate.disk_bytes)} on disk"
        )

    def start(self, num_runs: int) -> None:
        """From here on runs are trained."""
        self.stage.end()
        self._started = time.monotonic()
        self._progress.update(self._task, total=num_runs)
        if self.console.is_terminal:
            self._live = Live(
                get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True
            )
            self._live.start()

    def epoch(self, job: "Job", row: dict[str, float]) -> None:
        """An epoch of a run has ended."""
        self._running[job.run.key] = (job, row)
        now = time.monotonic()
        if self._live is None and now - self._said.get(job.run.key, 0) >= PLAIN_SECONDS:
            self._said[job.run.key] = now
            self.console.print(
                f"{self._title(job)} epoch {row['epoch']}: training loss {row['train_loss']:.4f}, "
                f"validation loss {row['validation_loss']:.4f}, validation IoU {row['validation_iou']:.3f}"
            )

    def say(self, job: "Job", text: str) -> None:
        """Something out of the ordinary happened to a run."""
        self.console.print(printable(f"{self._title(job)}: {text}"), markup=False, highlight=False)

    def stopping(self) -> None:
        """The study was asked to stop."""
        self.console.print(
            "[yellow]stopping[/] after the epoch, which is saved; once more stops now",
            highlight=False,
        )

    def outcome(self, outcome: "Outcome", done: int, total: int) -> None:
        """A run has ended."""
        job, row = self._running.pop(outcome.key, (None, None))
        self._progress.update(self._task, completed=done, left=self._left(done, total))
        name = self._title(job) if job else outcome.key
        if outcome.status == "failed":
            what = _plain(f"{name}: {outcome.reason}: {outcome.detail}")
            self.console.print(f"[red]failed[/] {what}", highlight=False)
        elif outcome.status == "stopped":
            epoch = f" after epoch {row['epoch']}" if row else ""
            self.console.print(f"saved {name}{epoch}", markup=False, highlight=False)
        elif self._live is None and row is not None:
            self.console.print(f"[{done}/{total}] {name} finished; {self._left(done, total)}", markup=False)

    def stop(self) -> None:
        """Nothing is trained any more."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _title(self, job: "Job") -> str:
        fold = "" if job.run.fold is None else f", fold {job.run.fold}"
        return f"{job.name} (seed {job.run.seed}{fold})"

    def _left(self, done: int, total: int) -> str:
        """Time to go, by the pace so far."""
        if done == total:
            return "all done"
        spent = time.monotonic() - self._started
        ahead = self._hours_ahead * 3600 - spent if done == 0 else spent / done * (total - done)
        return f"about {duration(max(0.0, ahead))} to go"

    def _render(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for title in ("run", "epoch", "training loss", "validation loss", "validation IoU", "rate"):
            table.add_column(title, justify="left" if title == "run" else "right")
        for job, row in list(self._running.values()):
            table.add_row(
                self._title(job),
                f"{row['epoch']}",
                f"{row['train_loss']:.4f}",
                f"{row['validation_loss']:.4f}",
                f"{row['validation_iou']:.3f}",
                f"{row['lr']:.1e}",
            )
        return Group(self._progress, table)


def _plain(name: str) -> str:
    return escape(printable(name))


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(num_bytes: float) -> str:
    """``12 MB``, ``3.4 GB``."""
    return f"{num_bytes / 1e6:.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.1f} GB"
