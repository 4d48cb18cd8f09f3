"""The runs that failed."""

from typing import Any

from segstudy.reporting.publishable import publishable_texts
from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``failures.html.j2``."""
    failures = [
        publishable_texts(failure.model_dump()) for row in report.results.rows for failure in row.failures
    ]
    return {"failures": failures} if failures else None
