"""The learning curve over training size: a chart, a table, and how many more images would bring .01."""

from typing import Any

import polars as pl
from markupsafe import Markup

from segstudy.analysis.formatting import mean
from segstudy.analysis.training_size import SizeCurve, training_sizes
from segstudy.reporting.charts import specs, training_size
from segstudy.reporting.sections.base import ReportData

MOST_IN_CHART = len(specs.PALETTE)  # lines of the chart


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``training_size.html.j2``; ``figures/iou-by-training-size`` is written."""
    num_train = {split.ids.fingerprint: len(split.train) for split in report.folder.splits()}
    found = training_sizes(report.results, num_train)
    if found is None:
        return None
    shown = found.curves[:MOST_IN_CHART]
    sizes = [point.num_images for curve in shown for point in curve.points]
    chart = training_size.size_chart([curve.name for curve in shown], sizes)
    picture = specs.with_rows(chart, pl.DataFrame(chart_rows(shown), infer_schema_length=None))
    svg = specs.save(picture, report.figures / "iou-by-training-size")
    return {
        "sizes": found,
        "chart": Markup(specs.inline(svg)),  # noqa: S704  escaped by Vega
        "num_in_chart": len(shown),
        "mean": mean,
    }


def chart_rows(curves: tuple[SizeCurve, ...]) -> list[dict[str, Any]]:
    """Return the rows of ``size_chart``."""
    return [
        {
            "configuration": curve.name,
            "place": training_size.places(point.num_images, len(curves))[i],
            "IoU": point.test.mean,
            "low": point.test.low,
            "high": point.test.high,
        }
        for i, curve in enumerate(curves)
        for point in curve.points
    ]
