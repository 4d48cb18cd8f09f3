"""The five questions of a study, each with its answer and the numbers behind it."""

from typing import Any

from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``questions.html.j2``."""
    return {"answers": report.answers} if report.has_scores and report.answers.questions else None
