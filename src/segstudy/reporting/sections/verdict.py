"""Which configuration wins, in a sentence or two."""

from typing import Any

from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any]:
    """What ``verdict.html.j2`` reads."""
    return {"answers": report.answers}
