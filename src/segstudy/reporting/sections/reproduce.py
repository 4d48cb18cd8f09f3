"""The commands that train the study again."""

from typing import Any

from segstudy.reporting.publishable import publishable_study
from segstudy.reporting.sections.base import ReportData
from segstudy.store.records import WEIGHTS


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``reproduce.html.j2``."""
    keys = [record.key for row in report.results.trained for record in row.records]
    without = sum(not (report.folder.runs / key / WEIGHTS).is_file() for key in keys)
    return {"study_file": publishable_study(report.folder), "num_without_weights": without}
