"""Tables as plain text, equal on a terminal, in a notebook and in a log of a job."""

import io

from rich.console import Console, RenderableType

WIDTH = 400  # as wide as a table needs to be


def plain_console(width: int = WIDTH) -> Console:
    """Return a console that keeps what is printed, as plain text.

    By default rich shows output in a notebook and keeps nothing, and with FORCE_COLOR set it writes colours
    into any file. Names may contain brackets and colons, which are not markup here.
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
    """Return a table as plain text, without blanks at line ends."""
    console = plain_console(width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def natural_width(table: RenderableType, least: int) -> int:
    """Return the width of a table without a limit, in characters; at least ``least``."""
    console = plain_console()
    return max(least, console.measure(table).maximum)
