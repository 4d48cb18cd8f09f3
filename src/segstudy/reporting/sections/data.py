"""The data set, its subsets and what the check found."""

from typing import Any

from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any]:
    """What ``data.html.j2`` reads."""
    return {"data": report.data}
