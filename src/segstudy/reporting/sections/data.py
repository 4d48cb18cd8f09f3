"""The data set, its subsets and the findings of the check."""

from typing import Any

from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``data.html.j2``."""
    return {"data": report.data}
