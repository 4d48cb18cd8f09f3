"""The page's charts: as files in ``figures/``, as SVG in the page, and as JSON for its scripts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from segstudy.reporting.charts import specs
from segstudy.reporting.charts.renderer import can_draw
from segstudy.reporting.sections.architecture_by_loss import squares_of
from segstudy.reporting.sections.cost import known_costs, pareto_rows
from segstudy.reporting.sections.learning_curves import Curves, Panels, panels

PICTURE_WIDTH_PX = 860  # of a chart that is as wide as the page

Rows = Sequence[Mapping[str, Any]]


def drawn(out: Path, rows: Rows, tables: Rows, curves: Curves) -> dict[str, Any]:
    """Draw everything; context of ``cost.html.j2``, ``curves.html.j2`` and of the page's scripts.

    Args:
        out: where the files go.
        rows: of the leaderboard.
        tables: of ``heat.score_tables``.
        curves: of all finished runs.

    Returns:
        ``charts`` (what the scripts read; None where no run has finished) and ``scripts``; for the text
        ``costs``, ``curves``, ``panels``, and ``grids``, SVG by measure.
    """
    if not curves.runs:
        return {"charts": None, "costs": {}}
    squares = squares_of(tables)
    heat = specs.with_rows(specs.score_table(squares), pl.DataFrame(squares))
    specs.save(heat, out / "architecture-by-loss")
    points, shown = pareto_rows(rows), panels(curves)
    costs = known_costs(points)
    said = {"pareto": _pareto(out, points, costs), "curves": _picker(curves)}
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return {
        # No `<` is left to end the script.
        "charts": Markup(text.replace("<", "\\u003c")) if can_draw() else None,  # noqa: S704
        "scripts": specs.scripts() if can_draw() else "",
        "costs": costs,
        "curves": curves,
        "panels": shown,
        "grids": _grids(out, shown),
    }


def _pareto(out: Path, points: Rows, costs: Mapping[str, str]) -> dict[str, Any]:
    """A chart for each cost, for a script; every one is a file too."""
    charts = {cost: specs.pareto_chart(cost, said) for cost, said in costs.items()}
    for cost, chart in charts.items():
        picture = specs.with_rows(chart, pl.DataFrame(points), PICTURE_WIDTH_PX)
        specs.save(picture, out / f"iou-by-{cost.removeprefix('num_').replace('_', '-')}")
    return {"charts": charts, "rows": points}


def _picker(curves: Curves) -> dict[str, Any]:
    """All curves, and charts for those that are picked, for a script."""
    return {
        "charts": {
            "IoU": specs.curve_chart("IoU"),
            "loss": specs.curve_chart("loss"),
            "log": specs.curve_chart("loss", log=True),
        },
        "parts": dict(zip(specs.PARTS, specs.COLOURS, strict=True)),
        "palette": specs.PALETTE,
        "configurations": curves.configurations,
        "runs": curves.runs,
    }


def _grids(out: Path, shown: Panels) -> dict[str, Markup]:
    """Small multiples by measure, as SVG."""
    drawn = {
        measure: specs.save(
            specs.with_rows(specs.curve_grid(measure, shown.titles), shown.rows),
            out / f"learning-curves-{measure.lower()}",
        )
        for measure in ("IoU", "loss")
    }
    return {measure: Markup(specs.inline(svg)) for measure, svg in drawn.items()}  # noqa: S704  escaped by Vega
