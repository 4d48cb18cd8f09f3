"""The original's main table: architecture x loss, one for each subset and batch size."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from segstudy.losses import LOSSES
from segstudy.models import MODELS
from segstudy.reporting.charts import specs
from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``architecture_by_loss.html.j2``; ``figures/architecture-by-loss`` is written."""
    tables = score_tables(report.trained)
    if not tables:
        return None
    squares = squares_of(tables)
    chart = specs.with_rows(specs.score_table(squares), pl.DataFrame(squares))
    specs.save(chart, report.figures / "architecture-by-loss")
    return {"tables": tables}


def score_tables(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return IoU tables; if other factors vary too, each pair has the score of its best on validation.

    Args:
        rows: of the leaderboard, the best first.

    Returns:
        Tables with ``batch_size``, ``part``, ``architectures``, ``losses``, ``high``, and ``squares``: for
        each pair that has one its ``value``, its ``heat`` (0 lowest, 1 highest of the table), its ``spread``
        (standard deviation of the seeds' means, None with fewer than two) and whether it is ``complete``.
    """
    best: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for row in rows:
        if row["validation_iou"] is not None:
            best.setdefault((row["batch_size"], row["architecture"], row["loss"]), row)
    tables = []
    for batch_size in sorted({size for size, _, _ in best}):
        mine = {(a, loss): row for (size, a, loss), row in best.items() if size == batch_size}
        tables += [_score_table(mine, batch_size, part) for part in ("validation", "test")]
    return tables


def _score_table(
    rows: Mapping[tuple[str, str], Mapping[str, Any]], batch_size: int, part: str
) -> dict[str, Any]:
    values = {pair: row[f"{part}_iou"] for pair, row in rows.items()}
    low, high = min(values.values()), max(values.values())
    return {
        "batch_size": batch_size,
        "part": part,
        "architectures": _in_order(architecture for architecture, _ in rows),
        "losses": _in_order(loss for _, loss in rows),
        "high": high,
        "squares": {
            pair: {
                "value": value,
                "heat": (value - low) / (high - low) if high > low else 1.0,
                "spread": rows[pair].get(f"{part}_iou_seed_sd"),
                "complete": rows[pair]["rank"] is not None,
            }
            for pair, value in values.items()
        },
    }


def _in_order(names: Iterable[str]) -> list[str]:
    """Return names in the tables' order, others after them in alphabetical order."""
    known = [*MODELS, *LOSSES]
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def squares_of(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tables as rows for ``specs.score_table``."""
    return [
        {
            "architecture": a,
            "loss": loss,
            "panel": f"{table['part']}, batch size {table['batch_size']}",
            "IoU": square["value"],
            "heat": square["heat"],
            "spread": "" if square["spread"] is None else f"± {square['spread']:.3f}",
        }
        for table in tables
        for a in table["architectures"]
        for loss in table["losses"]
        if (square := table["squares"].get((a, loss)))
    ]
