"""The leaderboard of the page: its columns, their groups, and the format of values."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import polars as pl

from segstudy.analysis.formatting import DASH
from segstudy.analysis.second_rater import HumanCeiling, human_ceiling, problem_of
from segstudy.metrics import HEADLINE, METRICS, Metric, shown_in
from segstudy.reporting.sections.base import ReportData
from segstudy.reporting.sections.external import references
from segstudy.reporting.tables import missing_scores
from segstudy.store.records import RunRecord
from segstudy.store.second_rater import second_rater_of

MIB = 2**20
MOST_ROWS, ROWS_OF_PAGE = 100, 50  # a longer table is shown in pages


@dataclass(frozen=True, slots=True)
class Column:
    """One column of scores or costs.

    Attributes:
        name: of the leaderboard's column; its interval, if any, is in ``<name>_low`` and ``<name>_high``.
        heading: over the column, under its group's.
        group: the heading that it shares with its neighbours.
        write: formats a value.
        low_first: whether the lowest value is the best.
        help: the tooltip of the heading.
        metric: of scores, the key of ``METRICS``.
        possible: the lowest and highest value there can be; ends of intervals are written within.
    """

    name: str
    heading: str
    group: str
    write: Callable[[float], str]
    low_first: bool = False
    help: str = ""
    metric: str = ""
    possible: tuple[float, float] = (-math.inf, math.inf)


def _fixed(digits: int, factor: float = 1.0) -> Callable[[float], str]:
    return lambda value: f"{round(value * factor, digits) + 0.0:.{digits}f}"  # never -0.000


def _large(value: float) -> str:
    """Return a count to three digits, in k, M or G: 1.96 M, 512 k, 24.3 G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.0f}"


def _score(name: str, metric: Metric) -> Column:
    digits = metric.digits if metric.report_digits is None else metric.report_digits
    return Column(
        f"test_{name}",
        metric.report_heading,
        metric.group,
        _fixed(digits, 100 if metric.unit == "%" else 1),
        not metric.higher_is_better,
        metric.help,
        name,
    )


NATIVE, COST, NETWORK = METRICS[HEADLINE].group, "cost", "IoU, network size"
COLUMNS = (
    Column("validation_iou", "validation", NATIVE, _fixed(3), help="decides"),
    Column("test_iou", "test", NATIVE, _fixed(3), help="reports"),
    Column(
        "to_best",
        "to the best",
        NATIVE,
        _fixed(3),
        help="its test IoU minus that of the best of the others",
        possible=(-1.0, 1.0),
    ),
    *(_score(name, metric) for name, metric in shown_in("report").items() if name != HEADLINE),
    Column("num_parameters", "parameters", COST, _large, True),
    Column("num_macs", "MACs", COST, _large, True, "multiply-adds of one image"),
    Column("inference_ms", "ms/image", COST, _fixed(1), True),
    Column("peak_memory_bytes", "MiB", COST, _fixed(0, 1 / MIB), True, "peak memory of the training"),
    Column("seconds", "training s", COST, _fixed(0), True, "wall time of a run with its evaluations"),
    Column("validation_iou_network", "validation", NETWORK, _fixed(3)),
    Column("test_iou_network", "test", NETWORK, _fixed(3)),
    Column("selected_epoch", "epoch", "training", _fixed(0), True, "whose weights were kept; mean over runs"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as sorted (None: not known) and as written, and its interval as written."""

    value: float | None
    text: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class LeaderboardTable:
    """The page's leaderboard.

    Attributes:
        columns: those in which any row has a value.
        groups: headings over them, each with the number of its columns.
        lines: one for each row of the leaderboard: the row itself and its cells.
        references: lines that are no competitors, by name: baselines and people.
        missing: a sentence on each number of runs that lack a score.
    """

    columns: list[Column]
    groups: list[tuple[str, int]]
    lines: list[tuple[dict[str, Any], list[Cell]]]
    references: list[tuple[str, list[Cell]]]
    missing: list[str]


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``leaderboard.html.j2``."""
    record, num_rows = second_rater_of(report.folder), report.leaderboard.height
    second = human_ceiling(report.results, record, [n for n in report.ranked if report.results.has(n)])
    return {
        "table": leaderboard_table(
            report.leaderboard,
            references(report.folder, report.data["reader"]) | _second_rater(second),
            [record for row in report.results.rows for record in row.records],
            report.study.protocol.model_dump(),
        ),
        "notes": [n for n in (second.sentence if second else "", problem_of(record, report.results)) if n],
        "leader": leading(report.leaderboard),
        "trained": report.trained,
        "num_shown": ROWS_OF_PAGE if num_rows > MOST_ROWS else num_rows,
    }


def _second_rater(found: HumanCeiling | None) -> dict[str, dict[str, float]]:
    """Return the second rater's line of the references."""
    if found is None:
        return {}
    scores = {"test_iou": found.interval.mean}
    if found.interval.low is not None and found.interval.high is not None:
        scores |= {"test_iou_low": found.interval.low, "test_iou_high": found.interval.high}
    of = "" if found.num_images == found.num_tested else f", {found.num_images} of {found.num_tested} images"
    return {f"second rater ({found.folder}{of})": scores}


def leading(frame: pl.DataFrame) -> dict[str, Any] | None:
    """Return the leaderboard's first complete row; if there is none, the first with a finished run."""
    rows = frame.filter(~pl.col("masks") & pl.col("validation_iou").is_not_null()).sort(
        "rank", nulls_last=True, maintain_order=True
    )
    return rows.row(0, named=True) if rows.height else None


def leaderboard_table(
    frame: pl.DataFrame,
    references: Mapping[str, Mapping[str, float]],
    records: Sequence[RunRecord] = (),
    protocol: Mapping[str, Any] | None = None,
) -> LeaderboardTable:
    """Return the leaderboard for the page, without empty columns, such as scores that older runs lack.

    Args:
        frame: of ``leaderboard``.
        references: scores for comparison, by name, with the frame's columns.
        records: of the runs in it; those that lack a metric are counted.
        protocol: of the study, for the explanations of headings.
    """
    rows = frame.to_dicts()
    columns = [
        _explained(column, protocol or {})
        for column in COLUMNS
        if any(row.get(column.name) is not None for row in rows)
    ]
    return LeaderboardTable(
        columns,
        [(name, len(list(those))) for name, those in groupby(columns, key=lambda column: column.group)],
        [(row, _cells(row, columns)) for row in rows],
        [(name, _cells(scores, columns)) for name, scores in references.items()],
        missing_scores(records, {column.metric: column.heading for column in columns if column.metric}),
    )


def _explained(column: Column, protocol: Mapping[str, Any]) -> Column:
    """Return a column whose explanation has the tolerance of this protocol."""
    metric = METRICS.get(column.metric)
    return column if metric is None else replace(column, help=metric.stated(column.help, protocol))


def _written(column: Column, low: float, high: float) -> str:
    lowest, highest = column.possible
    return f"[{column.write(max(low, lowest))}, {column.write(min(high, highest))}]"


def _cells(row: Mapping[str, Any], columns: Iterable[Column]) -> list[Cell]:
    return [_cell(row, column) for column in columns]


def _cell(row: Mapping[str, Any], column: Column) -> Cell:
    value = row.get(column.name)
    if value is None:
        return Cell(None, DASH)
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    interval = "" if low is None or high is None else _written(column, low, high)
    if number := row.get(f"{column.name}_penalties"):
        interval = f"{number:,} {'is a penalty' if number == 1 else 'are penalties'}"
    return Cell(value, column.write(value), interval)
