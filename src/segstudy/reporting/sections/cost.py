"""Scores and costs, and the configurations that no other beats in both."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from segstudy.reporting.charts import specs
from segstudy.reporting.sections.base import ReportData

PICTURE_WIDTH_PX = 860  # of a chart that is as wide as the page
COSTS = {
    "num_macs": "multiply-adds per image",
    "num_parameters": "parameters",
    "inference_ms": "milliseconds per image",
    "seconds": "seconds of training",
}


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``cost.html.j2`` and ``cost.js``; ``figures/iou-by-COST`` are written."""
    points = pareto_rows(report.trained)
    costs = known_costs(points)
    if not costs:
        return None
    return {"costs": costs, "script_data": {"pareto": _pareto(report.figures, points, costs)}}


def _pareto(out: Path, points: Sequence[Mapping[str, Any]], costs: Mapping[str, str]) -> dict[str, Any]:
    """Return a chart for each cost, for a script; each is also written as a file."""
    charts = {cost: specs.pareto_chart(cost, title, _only(points, cost)) for cost, title in costs.items()}
    for cost, chart in charts.items():
        picture = specs.with_rows(chart, pl.DataFrame(points), PICTURE_WIDTH_PX)
        specs.save(picture, out / f"iou-by-{cost.removeprefix('num_').replace('_', '-')}")
    return {"charts": charts, "rows": points}


def _only(points: Sequence[Mapping[str, Any]], cost: str) -> float | None:
    """Return the value of a cost that all have; None of several."""
    found = {point[cost] for point in points if point[cost] is not None}
    return found.pop() if len(found) == 1 else None


def pareto_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of ``specs.pareto_chart``, one for each tested configuration.

    Args:
        rows: of the leaderboard.
    """
    tested = [row for row in rows if row["test_iou"] is not None]
    fronts = {cost: pareto_front(tested, cost) for cost in COSTS}
    return [
        {
            "configuration": row["configuration"],
            "architecture": row["architecture"],
            "loss": row["loss"],
            "IoU": _rounded(row["test_iou"]),
            "low": _rounded(row.get("test_iou_low")),
            "high": _rounded(row.get("test_iou_high")),
            **{cost: row.get(cost) for cost in COSTS},
            **{f"front_{cost}": row["configuration"] in front for cost, front in fronts.items()},
        }
        for row in tested
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def known_costs(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the measured costs, with their titles."""
    return {cost: said for cost, said in COSTS.items() if any(row[cost] is not None for row in rows)}


def pareto_front(rows: Sequence[Mapping[str, Any]], cost: str) -> set[str]:
    """Return the configurations to which no other is both at least as good and at most as expensive.

    Args:
        rows: with ``configuration``, ``test_iou`` and maybe the cost; one without it is on no front.
        cost: the name of a column.
    """
    known = [row for row in rows if row.get(cost) is not None]
    front, best = set(), float("-inf")
    for row in sorted(known, key=lambda row: (row[cost], -row["test_iou"])):
        if row["test_iou"] > best:
            front.add(row["configuration"])
            best = row["test_iou"]
    return front
