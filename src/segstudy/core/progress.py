"""Progress before and after the training: the present stage, printed on standard error."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console

from segstudy.core.errors import printable
from segstudy.core.quantities import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# The stage, how much of it is done, and how much there is in all; 0 of 0 if unknown.
Stage = Callable[[str, int, int], None]

# What takes seconds, where no ``Stage`` is given. The command line prints it, other programs if they like to.
stages = logging.getLogger("segstudy.stages")

# Without a terminal, a stage that ends sooner gets no line.
FIRST_PATIENCE_S, PATIENCE_S = 0.3, 1.5
PLAIN_S = 10.0  # between plain lines about one stage
TO_GO_AFTER_S = 5.0  # before, the pace is not known


def silent(_what: str, _done: int = 0, _total: int = 0) -> None:
    """Ignore the stage; for callers that need no progress."""


class Stages:
    """Prints the present stage: an updated line on a terminal, elsewhere a plain line from time to time.

    Called as a ``Stage``, from one thread; the line is removed when the next stage begins, or at the end.
    """

    def __init__(self, console: Console):
        self._console = console
        self._lock = threading.Lock()
        self._what = ""
        self._is_first = True
        self._progress: Progress | None = None
        self._task: TaskID
        self._waiting: threading.Timer | None = None
        self._said_at = self._began_at = 0.0
        self._began_with = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.end()

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """Print the present stage, and how much of it is done."""
        if self._console.is_interactive:  # a terminal without control codes is none
            self._show(what, done, total)
        elif what != self._what:
            self.end()
            self._what, self._said_at = what, time.monotonic()
            self._began_at, self._began_with = self._said_at, done
            patience = FIRST_PATIENCE_S if self._is_first else PATIENCE_S
            self._is_first = False
            self._waiting = threading.Timer(patience, self._say_once, (what,))
            self._waiting.daemon = True
            self._waiting.start()
        elif done and time.monotonic() - self._said_at >= PLAIN_S:
            self._said_at = time.monotonic()
            self._print(
                f"{what}: {done} of {total}{self._to_go(done, total)}" if total else f"{what}: {done}"
            )

    def end(self) -> None:
        """End the last stage."""
        with self._lock:
            if self._waiting is not None:
                self._waiting.cancel()
            self._waiting, self._what = None, ""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _to_go(self, done: int, total: int) -> str:
        """How long the rest of the stage takes at the pace so far."""
        passed_s, more = time.monotonic() - self._began_at, done - self._began_with
        if passed_s < TO_GO_AFTER_S or more <= 0 or done >= total:
            return ""
        return f", about {duration((total - done) * passed_s / more)} to go"

    def _say_once(self, what: str) -> None:
        with self._lock:
            if self._what == what:
                self._print(what)

    def _print(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False)

    def _show(self, what: str, done: int, total: int) -> None:
        fresh = what != self._what
        self._what = what
        if fresh:
            self._began_at, self._began_with = time.monotonic(), done
        if self._progress is None:
            self._progress = _bar(self._console)
            self._task = self._progress.add_task(printable(what), total=None, count="", left="")
            self._progress.start()
        elif fresh:
            self._progress.reset(self._task, description=printable(what), total=None, count="", left="")
        count = f"{done} of {total}" if total else ""
        self._progress.update(
            self._task,
            completed=done,
            total=total or None,
            count=count,
            left=self._to_go(done, total).removeprefix(", "),
            refresh=fresh or done == total,
        )


def _bar(console: Console) -> "Progress":
    """Return the line that shows a stage on a terminal."""
    from rich.progress import (  # commands without a stage do without
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=console,
        transient=True,
    )
