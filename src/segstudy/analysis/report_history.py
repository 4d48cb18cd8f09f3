"""The number of looks at a study's test subset: every report on more runs than the last is one."""

from collections.abc import Sequence
from datetime import UTC, datetime

from segstudy.analysis.configurations import Row
from segstudy.analysis.formatting import listed
from segstudy.core.quantities import counted
from segstudy.store.folder import StudyFolder
from segstudy.store.records import ReportRecord

FILE = "reports.json"


def record(folder: StudyFolder, rows: Sequence[Row]) -> list[ReportRecord]:
    """Record this report, unless it has no more runs than the last, and return all reports in order.

    Args:
        folder: the study.
        rows: its configurations with their finished runs.
    """
    reports = folder.reports()
    scored = {row.name: len(row.records) for row in rows if row.records}
    if scored and (not reports or reports[-1].scored != scored):
        reports.append(ReportRecord(when=datetime.now(UTC).date().isoformat(), scored=scored))
        folder.write_json(FILE, [report.model_dump() for report in reports])
    return reports


def look_notes(folder: StudyFolder, rows: Sequence[Row], reports: Sequence[ReportRecord]) -> list[str]:
    """Return sentences on how often the test subset was scored, and what was added after a first report."""
    named = sum(len(row.records) for row in rows)
    others = len(folder.finished()) - named
    if not reports:
        return []
    sentences = [
        f"The test subset was scored by {counted(named, 'run')} of "
        f"{counted(len(reports[-1].scored), 'configuration')}"
        + (f", and by {counted(others, 'more run')} that the study no longer names" if others else "")
        + "; nothing was chosen by it."
    ]
    if len(reports) == 1:
        return [*sentences, "Nothing was added after a first report."]
    first = reports[0]
    added = [name for name in reports[-1].scored if name not in first.scored]
    more = [name for name, runs in reports[-1].scored.items() if runs > first.scored.get(name, runs)]
    said = [f"added were {listed(added)}"] if added else []
    said += [f"{listed(more)} got more runs"] if more else []
    what = "; ".join(said) or "nothing was added"
    return [
        *sentences,
        f"{counted(len(reports) - 1, 'report')} went before this one, the first on {first.when}; since "
        f"then {what}.",
    ]
