"""Tables as plain text, wherever they are made: on a terminal, in a notebook, in a job's log."""

import io

from rich.console import Console, RenderableType

WIDTH = 400  # as wide as a table needs to be


def plain_console(width: int = WIDTH) -> Console:
    """A console that keeps what is printed, as text alone.

    In a notebook rich shows what is printed and keeps nothing, unless told otherwise; with FORCE_COLOR set it
    writes colours into any file. Names may hold brackets and colons, which are no markup here.
    """
    return Console(
        file=io.StringIO(),
        width=width,
        force_jupyter=False,
        force_terminal=False,
        color_system=None,
        legacy_windows=False,
        markup=False,
        emoji=False,
    )


def as_text(table: RenderableType, width: int = WIDTH) -> str:
    """A table as plain text, its lines without blanks at the end."""
    console = plain_console(width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def natural_width(table: RenderableType, least: int) -> int:
    """How wide a table is where nothing limits it, but at least so much."""
    console = plain_console()
    return max(least, console.measure(table).maximum)
