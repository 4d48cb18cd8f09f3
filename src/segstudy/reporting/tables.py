"""The leaderboard as text, Markdown, CSV, JSON and LaTeX."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from segstudy.analysis.formatting import DASH, interval, listed
from segstudy.core.csv_cells import as_cell
from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.quantities import counted
from segstudy.core.score_words import decision, of_foreground
from segstudy.metrics import HEADLINE, shown_in
from segstudy.reporting.text_table import TextTable, as_text
from segstudy.store.records import RunRecord

SHOWN = shown_in("table")
OF_FOREGROUND = listed([each.short for each in SHOWN.values() if not each.name], len(SHOWN))
EXPLAINED = [f"{each.name} ({each.short})" for each in SHOWN.values() if each.name]


INTERVALS = "In brackets the 95 % interval over test images and runs."


IMAGES_ONLY = (
    "In brackets the 95 % interval: images only, training noise not measured, so no winner is claimed."
)


BEST = (
    "May be best: on test no other is better by more than runs and images explain (all pairs at once, 5 %)."
)

ONE_RUN = "Cannot tell: there is one run, or it was tested on other images."


def render(  # noqa: PLR0913 (what is written, and how)
    frame: pl.DataFrame,
    format: str,  # noqa: A002
    width: int | None = None,
    folder: Path | None = None,
    records: Sequence[RunRecord] = (),
    number: int | None = None,
    *,
    outputs: Outputs = BINARY,
) -> str:
    """Return the leaderboard as ``text``, ``markdown``, ``csv``, ``json`` or ``latex``.

    Args:
        frame: of ``leaderboard``.
        format: one of these.
        width: characters in a line of text; None for as many as it takes.
        folder: of the study, named where columns are left out.
        records: of the runs in the leaderboard; those that lack a metric are counted.
        number: rows in a text, the others are counted; None for all.
        outputs: the classes, for the caption.

    Raises:
        UserError: another format.
    """
    match format:
        case "csv":
            return safe_text(frame).write_csv()
        case "json":
            return frame.write_json()
        case "text":
            return _text(frame, width, folder, caption(frame, records, outputs), number)
        case "markdown":
            return _markdown(frame, caption(frame, records, outputs))
        case "latex":
            return _latex(frame, caption(frame, records, outputs))
    raise UserError(f"unknown format {format!r}: use one of text, markdown, csv, json, latex")


def safe_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose texts a spreadsheet takes for text, see ``as_cell``; nulls stay."""
    return frame.with_columns(
        pl.Series(column.name, [None if each is None else as_cell(each) for each in column], pl.String)
        for column in frame.select(pl.col(pl.String))
    )


SCORES = {f"{metric.short} test": name for name, metric in SHOWN.items() if name != HEADLINE}
HEADINGS = (
    "",
    "configuration",
    "IoU validation",
    "IoU test",
    "95 % interval",
    "may be best",
    *SCORES,
    "epoch",
    "seconds",
    "parameters",
    "runs",
)


STOPPED = "stopped_at_look"  # a column of sequential studies


def meaning(outputs: Outputs) -> str:
    """Return what the scores are means of, and how masks are decided."""
    scores = listed([f"{OF_FOREGROUND}{of_foreground(outputs)}", *EXPLAINED], len(SHOWN))
    decided = decision(outputs).replace(" .5", " 0.5")
    return f"Mean per-image {scores}, at native size, {decided}; sorted by validation. Seconds are per run."


def caption(frame: pl.DataFrame, records: Sequence[RunRecord] = (), outputs: Outputs = BINARY) -> str:
    """Return the description of this leaderboard's numbers."""
    scores = meaning(outputs)
    missing = missing_scores(records, {name: heading for heading, name in SCORES.items()})
    if frame["among_best"].any():
        unknown = frame.filter(pl.col("among_best").is_null() & pl.col("rank").is_not_null())
        best = BEST.replace("pairs", "pairs and looks") if STOPPED in frame.columns else BEST
        return " ".join([scores, INTERVALS, best, *([ONE_RUN] if unknown.height else []), *missing])
    repeated = frame["test_iou_seed_sd"].is_not_null().any()
    return " ".join([scores, INTERVALS if repeated else IMAGES_ONLY, *missing])


def missing_scores(records: Sequence[RunRecord], headings: Mapping[str, str]) -> list[str]:
    """Return sentences on the runs that were trained before a metric existed.

    Args:
        records: of the runs in the leaderboard.
        headings: of the columns shown, by metric.
    """
    lacking: dict[int, list[str]] = {}
    for metric, heading in headings.items():
        if number := sum(not record.computed(metric) for record in records):
            lacking.setdefault(number, []).append(heading)
    return [
        f"A dash under {listed(names, len(names))}: {counted(number, 'run')} trained by a version that did "
        "not compute it."
        for number, names in lacking.items()
    ]


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Return one row as text; a dash for a missing value."""

    def number(name: str, form: str) -> str:
        return DASH if row[name] is None else format(row[name], form)

    of = f"/{row['epochs']}" if row["epochs"] is not None else ""
    planned = f" of {row['num_planned']}" if row["num_planned"] else ", not in study.toml"
    if row.get(STOPPED):
        planned = f", stopped at look {row[STOPPED]}"
    planned += (", deterministic masks" if row["deterministic"] else " masks") if row["masks"] else ""
    return [
        number("rank", "d"),
        str(row["configuration"]),
        number("validation_iou", ".3f"),
        number("test_iou", ".3f"),
        interval(row["test_iou_low"], row["test_iou_high"], 0.0) or DASH,
        _may_be_best(row),
        *(
            DASH if (score := row[f"test_{name}"]) is None else SHOWN[name].write(score)
            for name in SCORES.values()
        ),
        number("selected_epoch", ".0f") + of,
        number("seconds", ".0f"),
        DASH if row["num_parameters"] is None else f"{row['num_parameters'] / 1e6:.2f} M",
        f"{row['num_finished']}{planned}" + (f" ({row['failures']})" if row["failures"] else ""),
    ]


def _may_be_best(row: Mapping[str, Any]) -> str:
    """Return whether a row may be the best, or that this cannot be told of a complete one."""
    if row["among_best"] is None:
        return DASH if row["rank"] is None else "cannot tell"
    return "yes" if row["among_best"] else "no"


# Columns left out on a narrow terminal, the least important first; ``runs`` only if all are finished.
LEAVE_OUT = (
    "parameters",
    "seconds",
    "epoch",
    *reversed(SCORES),
    "runs",
    "may be best",
    "95 % interval",
)


def _text(
    frame: pl.DataFrame,
    width: int | None,
    folder: Path | None,
    below: str,
    number: int | None,
) -> str:
    whole = (frame["num_finished"] == frame["num_planned"]) & (frame["failures"] == "")
    if STOPPED in frame.columns:
        whole &= frame[STOPPED].is_null()
    leave_out = [name for name in LEAVE_OUT if name != "runs" or whole.all()]
    if not frame["among_best"].is_not_null().any():  # a column of dashes goes first
        leave_out.sort(key=lambda name: name != "may be best")
    table = TextTable(
        headings=HEADINGS,
        rows=[_cells(row) for row in frame.head(number or frame.height).iter_rows(named=True)],
        leave_out=[HEADINGS.index(name) for name in leave_out],
        name=HEADINGS.index("configuration"),
    )
    where = "DIR" if folder is None else shlex.quote(str(folder))
    see_all = f"segstudy table {where} --format csv"
    if width is not None and len(see_all) + 4 > width:
        see_all = "segstudy table DIR --format csv"
    text = as_text(table, below, width, see_all)
    if number is not None and number < frame.height:
        hidden = f"{frame.height - number} of {frame.height} rows"
        said = f"Not shown: {hidden}; --number {frame.height} shows all."
        text += "\n".join([*textwrap.wrap(said, width or 100), ""])
    return text


def _warranted(frame: pl.DataFrame) -> list[bool]:
    """Return which rows are bold: those that may be best, if others are shown to be worse."""
    may_be = frame["among_best"].fill_null(False).to_list()
    return may_be if (frame["among_best"] == False).any() else [False] * len(may_be)  # noqa: E712  (a column)


def _markdown(frame: pl.DataFrame, below: str) -> str:
    headings = ["#", *HEADINGS[1:]]
    lines = [headings, ["--:", "---", *["--:"] * (len(headings) - 2)]]
    for row, bold in zip(frame.iter_rows(named=True), _warranted(frame), strict=True):
        cells = [cell.replace("|", "\\|") for cell in _cells(row)]
        lines.append([f"**{cell}**" if bold and i == TEST_IOU else cell for i, cell in enumerate(cells)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{below}\n"


TEST_IOU = HEADINGS.index("IoU test")


# The backslash first, because the other replacements contain one.
LATEX = {"\\": r"\textbackslash{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", DASH: "--"}


def escaped(text: str) -> str:
    """Return text as LaTeX prints it."""
    return "".join(LATEX.get(character, character) for character in text)


def _latex(frame: pl.DataFrame, below: str) -> str:
    lines = []
    for row, bold in zip(frame.iter_rows(named=True), _warranted(frame), strict=True):
        cells = [escaped(cell) for cell in _cells(row)]
        cells[TEST_IOU] = rf"\textbf{{{cells[TEST_IOU]}}}" if bold else cells[TEST_IOU]
        lines.append(" & ".join(cells) + r" \\")
    heading = " & ".join(map(escaped, HEADINGS)) + r" \\"
    body = "\n".join(lines)
    return (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{tabular}{rl" + "r" * (len(HEADINGS) - 2) + "}\n\\toprule\n"
        f"{heading}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n% {escaped(below)}\n"
    )
