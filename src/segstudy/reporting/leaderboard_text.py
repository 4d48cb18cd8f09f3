"""The leaderboard of a study as a text with notes below it, or in a format for other programs."""

import textwrap
from pathlib import Path

import polars as pl

from segstudy.analysis.against_baselines import baseline_note
from segstudy.analysis.chances import chances_sentence
from segstudy.analysis.class_differences import everywhere_sentences
from segstudy.analysis.factor_answers import factor_sentences
from segstudy.analysis.formatting import MOST_NAMED, mean
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.result_warnings import warnings_of_ranked
from segstudy.analysis.results import Results, comparable, gather
from segstudy.reporting.tables import render
from segstudy.store.folder import StudyFolder

MOST_CLASSES = 8  # of which all scores are named


def leaderboard_text(
    folder: Path,
    format: str,  # noqa: A002
    show_all: bool,
    width: int | None,
    number: int | None,
) -> str:
    """Return the leaderboard of a study; its arguments are those of ``segstudy.table``.

    Raises:
        UserError: there is no study, or it is damaged.
    """
    opened = StudyFolder(folder)
    opened.study()  # raises if there is none
    results = gather(opened, show_all)
    frame = leaderboard(opened, results=results)
    records = [each for row in results.rows for each in row.records]
    text = render(frame, format, width, folder, records, number, outputs=results.outputs)
    shown = _notes(opened, results, frame, not show_all) if format == "text" else []
    lines = [line for note in shown for line in textwrap.wrap(note, width or len(note))]
    return "\n".join([text.rstrip(), *lines, ""]) if lines else text


def class_notes(results: Results, frame: pl.DataFrame) -> list[str]:
    """Return the test scores of the winner by class, and whether another is better in one; none in binary."""
    ranked = frame.filter(pl.col("rank").is_not_null())["configuration"]
    names = [name for name in ranked if name in (results.classes or {})]
    if not names:
        return []
    names = comparable(results, names)
    found = {
        each: score
        for number, each in enumerate(results.outputs.names)
        if (score := results.class_interval(names[0], number)) is not None
    }
    shown, left_out = list(found), ""
    if len(found) > MOST_CLASSES:
        shown = sorted(found, key=lambda each: found[each].mean)[:MOST_NAMED]
        left_out = f" and {len(found) - MOST_NAMED} more with a higher IoU (--format csv has all)"
    return [
        f"{names[0]} by class, test IoU over the images whose mask or prediction has it: "
        f"{', '.join(f'{each} {mean(found[each])}' for each in shown)}{left_out}.",
        *everywhere_sentences(results, names),
    ]


def _notes(folder: StudyFolder, results: Results, frame: pl.DataFrame, factors: bool) -> list[str]:
    """Return the sentences below a leaderboard in a terminal: warnings, and the effects of factors."""
    notes = (
        *class_notes(results, frame),
        baseline_note(folder, frame),
        chances_sentence(results, frame),
        *warnings_of_ranked(results, frame),
    )
    return [note for note in (*notes, *(factor_sentences(results) if factors else ())) if note]
