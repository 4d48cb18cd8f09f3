"""IoU by two factors, as tables: the original's architecture x loss, else the two that matter most."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from segstudy.analysis.design import Design, design_of, label
from segstudy.analysis.factorials import ORIGINAL
from segstudy.losses import LOSSES
from segstudy.models import MODELS
from segstudy.reporting.charts import specs
from segstudy.reporting.sections.base import ReportData

MAIN = ("architecture", "loss")
PARTS = ("validation", "test")
MOST_SIZES = 8  # batch sizes with tables


@dataclass(frozen=True, slots=True)
class Square:
    """A value of a table.

    Attributes:
        value: IoU.
        heat: 0 for the table's lowest value, 1 for its highest.
        spread: standard deviation of the seeds' means; None with fewer than two, or of several
            configurations.
        complete: whether no run is missing.
    """

    value: float
    heat: float
    spread: float | None
    complete: bool


@dataclass(frozen=True, slots=True)
class HeatTable:
    """Values of IoU by two factors.

    Attributes:
        caption: of the table, as ``test, batch size 8``.
        rows, columns: levels, in order; with one factor the columns are one, without a name.
        squares: by row and column, of the pairs that are there.
    """

    caption: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    squares: Mapping[tuple[str, str], Square]

    @property
    def high(self) -> float:
        return max(square.value for square in self.squares.values())


@dataclass(frozen=True, slots=True)
class _Cell:
    """The scores of a pair of levels by part, and whether no run is missing."""

    means: Mapping[str, float]
    spreads: Mapping[str, float | None]
    complete: bool


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``heat_map.html.j2``; a figure named by the two factors is written."""
    design = design_of(report.results, complete=False)
    pair = shown_factors(design, report.answers.factors.factors)
    if pair == MAIN:
        comparable = [row for row in report.trained if row["configuration"] in design.points]
        tables, over = score_tables(comparable)
    else:
        tables, over = factor_tables(design, report.trained, pair)
    if not tables:
        return None
    squares = squares_of(tables)
    chart = specs.with_rows(specs.score_table(squares), pl.DataFrame(squares))
    specs.save(chart, report.figures / "-by-".join(pair).replace("_", "-"))
    return {"tables": tables, "over": over, "pair": [factor.replace("_", " ") for factor in pair]}


def shown_factors(design: Design, answered: Sequence[str]) -> tuple[str, ...]:
    """Return the factors of the tables: architecture and loss in a study like the original, with batch sizes
    apart; else the two that matter most, or the only one.

    Args:
        design: of the study, with configurations that lack runs.
        answered: factors, those that matter most first.
    """
    varying = [*dict.fromkeys(f for f in (*answered, *design.factors) if f in design.factors)]
    like_original = set(varying) <= set(ORIGINAL)
    if like_original and ("batch_size" not in varying or set(MAIN) <= set(varying)):
        return MAIN
    first = varying[0]
    crossed = [
        f for f in varying[1:] if f not in design.nested_in(first) and first not in design.nested_in(f)
    ]
    return (first, *crossed[:1])


def factor_tables(
    design: Design, rows: Sequence[Mapping[str, Any]], pair: Sequence[str]
) -> tuple[list[HeatTable], str]:
    """Return tables of validation and test by one or two factors, and what they are averaged over, in words.

    The settings of everything else are those that have every pair of levels that any has; if none has all of
    them, the one with most.

    Args:
        design: of the study.
        rows: of the leaderboard.
        pair: the factors.
    """
    groups, over = _groups(design, pair)
    scores = {row["configuration"]: row for row in rows}
    cells = {key: _cell([scores[name] for name in names]) for key, names in groups.items()}
    order = [design.levels(factor) if factor else [""] for factor in (*pair, "")[:2]]
    return [
        _table(
            part,
            [level for level in order[0] if any(a == level for a, _ in cells)],
            [level for level in order[1] if any(b == level for _, b in cells)],
            part,
            cells,
            [*pair, ""],
        )
        for part in PARTS
    ], over


def _groups(design: Design, pair: Sequence[str]) -> tuple[dict[tuple[str, str], list[str]], str]:
    """Return the configurations of each pair of levels over the chosen settings, and these in words."""
    settings: dict[str, dict[tuple[str, str], list[str]]] = {}
    for name, point in design.points.items():
        if all(factor in point for factor in pair):
            key = (point[pair[0]], point[pair[1]] if len(pair) > 1 else "")
            settings.setdefault(design.rest(point, pair), {}).setdefault(key, []).append(name)
    everything = {key for cells in settings.values() for key in cells}
    full = [cells for cells in settings.values() if cells.keys() == everything]
    chosen = full or [max(settings.values(), key=len)]
    groups = {key: [name for cells in chosen for name in cells[key]] for key in chosen[0]}
    if len(settings) == 1:
        return groups, ""
    point = design.points[next(iter(groups.values()))[0]]
    if len(chosen) > 1:
        return groups, f"Means over {len(chosen)} of {len(settings)} settings of everything else."
    fixed = [label(f, point[f]) for f in design.factors if f in point and f not in pair]
    return groups, f"At {', '.join(fixed)}, one of {len(settings)} settings of everything else."


def _cell(rows: Sequence[Mapping[str, Any]]) -> _Cell:
    return _Cell(
        {part: float(np.mean([row[f"{part}_iou"] for row in rows])) for part in PARTS},
        {part: rows[0].get(f"{part}_iou_seed_sd") if len(rows) == 1 else None for part in PARTS},
        all(row["rank"] is not None for row in rows),
    )


def score_tables(rows: Sequence[Mapping[str, Any]]) -> tuple[list[HeatTable], str]:
    """Return architecture x loss, a table for each batch size and part; of many sizes, what is left out.

    Args:
        rows: of the leaderboard, the best first; of several with the same three, the first stands.
    """
    best: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for row in rows:
        if row["validation_iou"] is not None:
            best.setdefault((row["batch_size"], row["architecture"], row["loss"]), row)
    sizes = list(dict.fromkeys(size for size, _, _ in best))  # that of the best configuration first
    left_out = len(sizes) - MOST_SIZES
    over = f"Of {len(sizes)} batch sizes the {MOST_SIZES} with the best configurations on validation."
    tables = []
    for size in sorted(sizes[:MOST_SIZES]):
        cells = {(a, loss): _cell([row]) for (each, a, loss), row in best.items() if each == size}
        architectures, losses = (_in_order(key[i] for key in cells) for i in (0, 1))
        tables += [
            _table(f"{part}, batch size {size}", architectures, losses, part, cells, MAIN) for part in PARTS
        ]
    return tables, over if left_out > 0 else ""


def _table(
    caption: str,
    rows: Sequence[str],
    columns: Sequence[str],
    part: str,
    cells: Mapping[tuple[str, str], _Cell],
    factors: Sequence[str],
) -> HeatTable:
    means = {pair: cell.means[part] for pair, cell in cells.items()}
    low, high = min(means.values()), max(means.values())
    names = [
        {level: label(f, level) if level else "" for level in each}
        for f, each in zip(factors, (rows, columns), strict=False)
    ]
    return HeatTable(
        caption,
        tuple(names[0].values()),
        tuple(names[1].values()),
        {
            (names[0][a], names[1][b]): Square(
                value=means[a, b],
                heat=(means[a, b] - low) / (high - low) if high > low else 1.0,
                spread=cell.spreads[part],
                complete=cell.complete,
            )
            for (a, b), cell in cells.items()
        },
    )


def _in_order(names: Iterable[str]) -> list[str]:
    """Return names in the tables' order, others after them in alphabetical order."""
    known = [*MODELS, *LOSSES]
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def squares_of(tables: Sequence[HeatTable]) -> list[dict[str, Any]]:
    """Return the tables as rows for ``specs.score_table``."""
    return [
        {
            "row": row,
            "column": column,
            "panel": table.caption,
            "IoU": square.value,
            "heat": square.heat,
            "spread": "" if square.spread is None else f"± {square.spread:.3f}",
        }
        for table in tables
        for row in table.rows
        for column in table.columns
        if (square := table.squares.get((row, column)))
    ]
