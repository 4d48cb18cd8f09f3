"""The display of a running study: a live table on a terminal, plain lines elsewhere."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from segstudy.core.errors import printable
from segstudy.core.progress import Stages
from segstudy.core.quantities import and_more, counted, duration, size
from segstudy.study.duration import Forecast, Pace
from segstudy.study.trackers.base import StudyStart
from segstudy.study.trackers.live_table import AtWork, table_of

if TYPE_CHECKING:  # they import torch, and a finished study is shown without
    from segstudy.study.choices import Choice
    from segstudy.study.estimate import Estimate
    from segstudy.study.machine import Machine
    from segstudy.study.overview import Overview
    from segstudy.training.job import Job, Outcome

MOST_UNSCORED = 4  # classes without a mask in a subset that are named
PLAIN_SECONDS = 30.0  # between plain lines about one run


class Display:
    """The tracker ``terminal``; before the training it also shows the plan and asks questions.

    Attributes:
        console: where it prints.
        stage: called with what is being done before and after the training.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True)
        self.stage = Stages(self.console)
        self._running: dict[str, tuple[Job, dict[str, float]]] = {}
        self._said: dict[str, float] = {}
        self._pace = Pace(Forecast(workers=1, runs={}), [])
        self._best: tuple[float, str] | None = None
        self._until = "left"
        self._num_done = self._num_runs = 0
        self._progress = Progress(
            TextColumn("[bold]runs"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self._task = self._progress.add_task("runs", total=0, left="")
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stage.end()
        self.study_ends()

    def plan(self, plan: "Overview", num_missing: int) -> None:
        """Print the summary of the plan and the work that is left."""
        self.stage.end()
        sizes = [
            f"{train} / {validation} / {test} images in training / validation / test"
            for train, validation, test in plan.parts
        ]
        grids = f": {_plain(plan.grids)}" if plan.grids else ""
        leave_out = f"; {plan.leave_out}" if plan.leave_out and num_missing else ""
        self._say(f"[bold]{_plain(plan.name)}[/]{grids}{leave_out}", highlight=False)
        self._say(
            f"{counted(plan.num_runs, 'run')} ({counted(plan.num_configurations, 'configuration')}), "
            f"{plan.num_runs - num_missing:,} finished, {num_missing:,} to train"
        )
        if plan.num_earlier or plan.num_earlier_begun:
            note = _earlier(plan.num_earlier, plan.num_earlier_begun)
            self._say(f"[yellow]{note}[/]", highlight=False)
        samples = counted(plan.num_samples, "sample")
        self._say(f"data: {_plain(plan.data)}, {samples}: {'; '.join(sorted(sizes))}")
        if plan.folds:
            self._say(_plain(plan.folds))
        self._found(plan)

    def _found(self, plan: "Overview") -> None:
        """Say what the check of the data found, and what the image size allows."""
        notes = [counted(plan.num_notes, "note")] if plan.num_notes else []
        if plan.warnings:
            found = f"warnings: {', '.join(plan.warnings)}{''.join(f'; {note}' for note in notes)}"
            self._say(f"[yellow]{_plain(found)}[/]", highlight=False)
            self._print(f"to see them: {plan.check} --html check.html")
        elif notes:
            self._print(f"check: {notes[0]}; {plan.check} lists them")
        if plan.about_classes:
            self._say(f"[yellow]{_plain(plan.about_classes)}[/]", highlight=False)
        if plan.unscored:
            few = _plain("; ".join(plan.unscored[:MOST_UNSCORED]))
            more = and_more(len(plan.unscored) - MOST_UNSCORED)
            other = "--set split_seed=N puts other images there"
            self._say(f"[yellow]{few}{more}: nothing will be known of it there; {other}[/]", highlight=False)
        for text in plan.tiles:
            self._say(text, highlight=False)
        for text, is_low in plan.best_iou:
            self._say(f"[yellow]{_plain(text)}[/]" if is_low else _plain(text), highlight=False)

    def unnamed(self, num_runs: int, folder: Path, set_aside: str = "") -> None:
        """Print that finished runs are not among the planned ones, and what the study named before."""
        where = shlex.quote(str(folder))
        if num_runs:
            self._print(
                f"also stored: {counted(num_runs, 'finished run')} with other options or earlier data, or of "
                "an earlier version of segstudy; "
                f"segstudy table {where} --all shows {'it' if num_runs == 1 else 'them'}"
            )
        if set_aside:
            self._print(f"{set_aside}; to add to the study instead: segstudy run {where} OPTIONS")

    def say(self, text: str) -> None:
        """Print a sentence on the study, before or after the training."""
        self.stage.end()
        self._print(text)

    def estimate(self, estimate: "Estimate", machine: "Machine") -> None:
        """Print the estimated cost."""
        self.stage.end()
        self._say(
            f"estimate: about {duration(estimate.hours * 3600)} on {machine.device} ({machine.workers} x "
            f"{counted(machine.threads, 'thread')}), "
            f"{size(estimate.worker_bytes)} memory per run, {size(estimate.disk_bytes)} on disk"
        )
        if estimate.busy:
            self._say(f"[yellow]{estimate.busy}[/]", highlight=False)

    def choices(self, choices: "Sequence[Choice]", numbered: bool) -> None:
        """Print the choices instead of a long study: numbered, or as commands."""
        self.stage.end()
        self._say(
            "This takes long. What would you like to train?" if numbered else "Use one of these commands:"
        )
        for number, choice in enumerate(choices, 1):
            if numbered:
                self._say(f"  {number}  {choice.title}: {choice.cost}", markup=False, highlight=False)
            else:
                line = f"    {choice.command}  # {choice.title}: {choice.cost}"
                self._say(line, markup=False, highlight=False)

    def study_begins(self, start: StudyStart) -> None:
        """From here on runs are trained."""
        self.stage.end()
        self._pace, self._best = Pace(start.forecast, start.runs), start.best
        self._until = start.until or "left"
        self._num_done, self._num_runs = 0, len(start.runs)
        self._progress.reset(self._task, total=self._num_runs, left="")
        if self.console.is_interactive:
            self._live = Live(
                get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True
            )
            self._live.start()

    def run_begins(self, job: "Job") -> None:
        """Show nothing yet: a run is shown after its first epoch."""

    def run_progresses(self, job: "Job", row: dict[str, float]) -> None:
        """Show an epoch of a run."""
        now = time.monotonic()
        self._running[job.run.key] = (job, row)
        self._pace.epoch(job.run.key, int(row["epoch"]), row.get("session_s", 0.0), now)
        if self._best is None or row["validation_iou"] > self._best[0]:
            self._best = row["validation_iou"], job.name
        if self._live is None and now - self._said.get(job.run.key, -PLAIN_SECONDS) >= PLAIN_SECONDS:
            self._said[job.run.key] = now
            self._print(
                f"{self._title(job)} epoch {self._at_work(job, row).epoch()}: training loss "
                f"{row['train_loss']:.4f}, validation loss {row['validation_loss']:.4f}, validation IoU "
                f"{row['validation_iou']:.3f}; {self._left()}"
            )

    def run_notes(self, job: "Job", text: str) -> None:
        """Something out of the ordinary happened to a run."""
        self._print(f"{self._title(job)}: {text}")

    def stopping(self) -> None:
        """Print that the study stops on request."""
        training = self._progress.tasks[0].total  # else it is still being prepared
        what = (
            "after this epoch, which will be saved; a second request stops at once"
            if training
            else "as soon as possible"
        )
        self._say(f"[yellow]stopping[/] {what}", highlight=False)

    def run_ends(self, job: "Job", outcome: "Outcome") -> None:
        """Print the outcome of a run."""
        _, row = self._running.pop(outcome.key, (None, None))
        self._pace.ended(outcome.key, time.monotonic())
        self._num_done += outcome.status in ("finished", "failed")
        done, total = self._num_done, self._num_runs
        self._progress.update(self._task, completed=done)
        name = self._title(job)
        if outcome.status == "failed":
            what = _plain(f"{name}: {outcome.reason}: {outcome.detail}")
            self._say(f"[red]failed[/] {what}", highlight=False)
        elif outcome.status == "refused":
            self._print(f"not trained: {name}: other hardware: {outcome.detail}")
        elif outcome.status == "stopped":
            self._print(f"saved {name}" + (f" after epoch {row['epoch']}" if row else ""))
        elif self._live is None and row is not None:
            left = "all done" if done == total else f"{self._left()}; {self._best_so_far()}"
            self._print(f"[{done}/{total}] {name} finished; {left}")

    def study_ends(self) -> None:
        """Nothing is trained any more."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _say(self, text: str, markup: bool = True, highlight: bool = True) -> None:
        """Print text, wrapped between words on a terminal and unwrapped elsewhere."""
        whole = not self.console.is_terminal
        self.console.print(text, soft_wrap=whole, markup=markup, highlight=highlight)

    def _print(self, text: str) -> None:
        self._say(printable(text), markup=False, highlight=False)

    def _title(self, job: "Job") -> str:
        fold = "" if job.run.fold is None else f", fold {job.run.fold}"
        repeat = f", repeat {job.run.repeat}" if job.run.repeat else ""
        return f"{job.name} (seed {job.run.seed}{repeat}{fold})"

    def _at_work(self, job: "Job", row: dict[str, float]) -> AtWork:
        expected = self._pace.forecast.runs.get(job.run.key)
        return AtWork(self._title(job), row, expected.num_epochs if expected else 0)

    def _left(self) -> str:
        return f"about {duration(self._pace.seconds_to_go(time.monotonic()))} {self._until}"

    def _best_so_far(self) -> str:
        if self._best is None:
            return "no epoch is finished yet"
        return f"best so far: validation IoU {self._best[0]:.3f}, {self._best[1]}"

    def _render(self) -> Group:
        self._progress.update(self._task, left=self._left())
        runs = [self._at_work(job, row) for job, row in list(self._running.values())]
        width, height = self.console.size
        best = Text(printable(self._best_so_far()))
        return Group(self._progress, best, *([table_of(runs, width, height)] if runs else []))


def _plain(name: str) -> str:
    return escape(printable(name))


def _earlier(num_finished: int, num_begun: int) -> str:
    """Say how many runs are stored under keys of an earlier version."""
    numbers = {"finished": num_finished, "begun": num_begun}
    found = " and ".join(
        f"{num:,} {'is' if num == 1 else 'are'} {state}" for state, num in numbers.items() if num
    )
    return (
        f"note: of these, {found} by an earlier version of segstudy, with another arithmetic (what changed "
        "for bfloat16 may concern CPUs only, but runs on a GPU are trained again too: a run's key does not "
        "name the device). Those results stay stored, but the study cannot mix them with new ones. To keep "
        "it as it is, do not run it with this version; segstudy report trains nothing"
    )
