"""``segstudy.table``: apart from other commands, so that a table that was printed before is there at once."""

from pathlib import Path
from typing import Literal

from segstudy.core.arguments import ArgumentError, checked_call
from segstudy.store.printed_tables import read_printed, state_of, write_printed

TableFormat = Literal["text", "markdown", "csv", "json", "latex"]


@checked_call
def table(
    folder: str | Path,
    format: TableFormat = "text",  # noqa: A002
    show_all: bool = False,
    width: int | None = None,
    number: int | None = None,
) -> str:
    """Return the leaderboard as text (below it warnings and factors), Markdown, CSV, JSON or LaTeX.

    Args:
        folder: the study's folder.
        format: ``text``, ``markdown``, ``csv``, ``json`` or ``latex``.
        show_all: also runs that study.toml no longer names.
        width: characters in a line of text: columns that do not fit are left out, and named; None for all.
        number: rows in a text, the others are counted; None for all.
    """
    if number is not None and number < 1:
        raise ArgumentError(f"table(): number must be at least 1 or None, got {number}")
    if width is not None and width < 1:
        raise ArgumentError(f"table(): width must be at least 1 or None, got {width}")
    study, call = Path(folder), ["table", str(folder), format, show_all, width, number]
    state = state_of(study)
    if (printed := read_printed(study, call, state)) is not None:
        return printed
    from segstudy.analysis.run_matching import is_told_by_files  # what a table that is kept does without
    from segstudy.reporting.leaderboard_text import leaderboard_text  # as above
    from segstudy.store.folder import StudyFolder  # as above

    text = leaderboard_text(study, format, show_all, width, number)
    if is_told_by_files(StudyFolder(study)):  # else rows may follow from files elsewhere too
        write_printed(study, call, state, text)
    return text
