"""The leaderboard as text, as wide as the terminal: columns are left out and named, no cell is ever cut."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size

from segstudy.core.text_columns import GAP, fitting


@dataclass(frozen=True)
class TextTable:
    """Headings and cells, and which columns may be left out.

    Attributes:
        headings: of the columns.
        rows: of cells.
        leave_out: indices of the columns that may be left out, the least important first.
        name: index of the column of names, which is left-aligned and may take several lines.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    leave_out: Sequence[int]
    name: int

    def widths(self) -> list[int]:
        """Return the width of each column, in characters."""
        lines = (self.headings, *self.rows)
        return [max(cell_len(line[i]) for line in lines) for i in range(len(self.headings))]

    def shown(self, width: int | None) -> list[int]:
        """Return the indices of the columns that fit into lines of this width; all without a width."""
        widths = self.widths()
        return list(range(len(widths))) if width is None else fitting(widths, self.leave_out, width)


def as_text(table: TextTable, caption: str, width: int | None, see_all: str) -> str:
    """Return table, caption and the names of the columns left out.

    If the remaining columns are still wider than a line, names take several lines.

    Args:
        table: what to show.
        caption: below it.
        width: characters in a line; None for as many as it takes.
        see_all: the command that shows the columns that were left out.
    """
    kept, widths = table.shown(width), table.widths()
    others = sum(widths[i] + GAP for i in kept if i != table.name)
    room = widths[table.name] if width is None else max(cell_len(table.headings[table.name]), width - others)
    widths[table.name] = min(widths[table.name], room)
    lines = [
        line
        for row in (table.headings, *table.rows)
        for line in _lines([row[i] for i in kept], [widths[i] for i in kept], kept.index(table.name))
    ]
    around = width or max(100, *map(len, lines))
    left_out = [table.headings[i] for i in range(len(table.headings)) if i not in kept]
    lines += textwrap.wrap(caption, around, break_long_words=False)
    if left_out:
        lines += textwrap.wrap(f"Left out, for want of width: {', '.join(left_out)}.", around)
        lines += ["A wider terminal shows them, and so does", f"    {see_all}"]
    return "\n".join(lines) + "\n"


def _lines(cells: Sequence[str], widths: Sequence[int], name: int) -> list[str]:
    """Return a row as lines: a name that is longer than its column continues on the next line."""
    pieces = chop_cells(cells[name], widths[name]) or [""]
    lines = []
    for number, piece in enumerate(pieces):
        row = [cell if number == 0 else "" for cell in cells]
        row[name] = piece
        padded = [
            set_cell_size(cell, width) if i == name else " " * (width - cell_len(cell)) + cell
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((" " * GAP).join(padded).rstrip())
    return lines
