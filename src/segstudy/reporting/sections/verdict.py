"""Which configuration wins, in a sentence or two."""

from typing import Any

from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``verdict.html.j2``."""
    return {"answers": report.answers}
