"""The progress of a prediction on the terminal."""

from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from segstudy.cli.terminal import problems
from segstudy.core.errors import printable
from segstudy.core.quantities import percent


class PredictionBar:
    """The progress of a prediction, and how many results were there before."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        # Elsewhere than on a terminal it would print an empty line at its end.
        unseen = not problems.is_interactive
        self._progress = Progress(*columns, console=problems, transient=True, disable=unseen)
        self._task = self._progress.add_task("loading the model", total=None)
        self._before: int | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def num_before(self) -> int:
        return self._before or 0

    def update(self, done: int, total: int) -> None:
        """Show the progress; the first call has the number of existing results."""
        if self._before is None:
            self._before = done
        self._progress.update(self._task, description="segmenting", completed=done, total=total)

    def part(self, name: str, share: float) -> None:
        """Show how much of a large image is done."""
        what = f"segmenting {escape(printable(name))} ({percent(share)})"
        self._progress.update(self._task, description=what)
