"""The live table of the runs at work: epoch of N, losses, validation IoU, and the best so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from segstudy.core.errors import printable
from segstudy.core.text_columns import fitting

HEADINGS = ("run", "epoch", "validation IoU", "validation loss", "training loss", "rate")
LEAVE_OUT = (5, 4, 3)  # on a narrow terminal
LINES_AROUND = 6  # of the progress, the best so far, the headings, and what was printed above


@dataclass(frozen=True)
class AtWork:
    """A run's last epoch.

    Attributes:
        title: configuration and seed.
        row: of ``epochs.parquet``.
        num_epochs: of the run; 0 where that is not known.
    """

    title: str
    row: Mapping[str, float]
    num_epochs: int

    def epoch(self) -> str:
        """``3 of 24``"""
        return f"{self.row['epoch']}" + (f" of {self.num_epochs}" if self.num_epochs else "")

    def cells(self) -> list[str]:
        """Return the cells of a row, as ``HEADINGS``."""
        row = self.row
        return [
            printable(self.title),
            self.epoch(),
            f"{row['validation_iou']:.3f}",
            f"{row['validation_loss']:.4f}",
            f"{row['train_loss']:.4f}",
            f"{row['lr']:.1e}",
        ]


def table_of(runs: Sequence[AtWork], width: int, height: int) -> Table:
    """Return the table in the size of the terminal: columns are left out, further runs counted."""
    shown = runs[: max(1, height - LINES_AROUND)]
    rows = [list(HEADINGS), *(run.cells() for run in shown)]
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    kept = fitting(widths, LEAVE_OUT, width)
    table = Table(box=None, pad_edge=False)
    for i in kept:
        table.add_column(HEADINGS[i], justify="left" if i == 0 else "right", overflow="fold", no_wrap=i > 0)
    for row in rows[1:]:
        table.add_row(*(Text(row[i]) for i in kept))
    if len(runs) > len(shown):
        table.add_row(f"and {len(runs) - len(shown)} more at work")
    return table
