"""Output on the terminal, and the handling of errors there."""

import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from cyclopts import App, CycloptsError
from rich.console import Console
from rich.markup import escape

from segstudy.core.errors import Stopped, UserError, one_line, printable, typed_line
from segstudy.core.paths import expanded_word

console = Console(soft_wrap=True, emoji=False)
problems = Console(stderr=True, soft_wrap=True, emoji=False)
MOST_FAILURES = 20  # failed runs that are listed; the others are counted


def say(text: object, where: Console | None = None) -> None:
    """Print text as it is, line by line, with nothing in it that a terminal would act on."""
    lines = (printable(line) for line in str(text).split("\n"))
    (where or console).print("\n".join(lines), markup=False, highlight=False)


class Described(Protocol):
    """A record of a table of what can be chosen."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...


def choices_text(records: Iterable[Described]) -> str:
    """Return the choices of an option, for help: ``serial: one run after the other``."""
    return "; ".join(f"{record.name}: {record.description}" for record in records)


def width() -> int | None:
    """Characters in a line of standard output: a terminal's, or COLUMNS; None where nothing limits it."""
    columns = shutil.get_terminal_size((0, 0)).columns
    return columns if columns and (os.environ.get("COLUMNS") or sys.stdout.isatty()) else None


class _Lines(logging.Handler):
    """Prints log messages of the library as lines of the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"note: {record.getMessage()}", problems)


def guarded(app: App, arguments: list[str] | None = None) -> None:
    """Run a command line and exit: with 0; with 1 if something failed; with 2 if call or data are wrong.

    Nobody sees a traceback without ``--debug``.
    """
    _print_any_character()
    logging.getLogger("segstudy").handlers = [_Lines()]
    logging.getLogger("segstudy.stages").setLevel(logging.INFO)
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    words = [expanded_word(word) for word in words if word != "--debug"]
    sys.exit(
        _guarded(
            lambda: app(words, exit_on_error=False, print_error=False, result_action="return_value"), debug
        )
    )


def _print_any_character() -> None:
    """Spell out what the output's encoding lacks (``LC_ALL=C``): it must not cost a report after training."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and "utf" not in stream.encoding.lower():
            stream.reconfigure(errors="backslashreplace")


def _guarded(call: Callable[[], Any], debug: bool) -> int:
    try:
        return int(call() or 0)
    except (UserError, CycloptsError) as error:
        if debug:
            raise
        text = str(error)
        if isinstance(error, CycloptsError):
            from segstudy.cli.command_errors import in_words  # what a right command line does without

            text = in_words(error)
        problems.print(f"[bold red]error:[/] {escape(printable(one_line(text)))}", highlight=False)
        return 2
    except Stopped as stopped:
        text = str(stopped)
        say(text if text.startswith("stopped") else f"stopped: {text}", problems)
        return 128 + stopped.signal
    except KeyboardInterrupt:
        problems.print(
            "stopped at once: everything stored before is kept, and the same command can be run again"
        )
        return 130
    except OSError as error:  # a path, a disk or a right that is not as it should be
        if debug:
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        problems.print(
            f"[bold red]error:[/] {escape(printable(what))}; check that path and its disk", highlight=False
        )
        return 2
    except Exception as error:  # a mistake of ours: nobody but us can read a traceback
        if debug:
            raise
        what = typed_line(error)
        problems.print(
            f"[bold red]error:[/] unexpected {escape(printable(what))}; run again with --debug and report it"
        )
        return 1
