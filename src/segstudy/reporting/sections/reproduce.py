"""The commands that train the study again."""

from typing import Any

from segstudy.reporting.publishable import publishable_study
from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``reproduce.html.j2``."""
    return {"study_file": publishable_study(report.folder)}
