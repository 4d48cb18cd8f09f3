"""report.html: one file with all results of a study, which opens offline."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segstudy.analysis import report_history
from segstudy.analysis.against_baselines import baseline_note
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.results import gather
from segstudy.analysis.verdict import answer
from segstudy.core.atomic_files import write_text
from segstudy.core.locks import hold
from segstudy.core.synthetic import is_synthetic
from segstudy.core.version import __version__
from segstudy.reporting.charts import specs
from segstudy.reporting.charts.renderer import can_draw
from segstudy.reporting.charts.specs import written_figures
from segstudy.reporting.data_description import described_data
from segstudy.reporting.rendering import ENVIRONMENT, as_script
from segstudy.reporting.sections import SECTIONS, ReportData, Section
from segstudy.reporting.tables import render
from segstudy.store.folder import StudyFolder
from segstudy.store.report_coverage import coverage_now, now_written, stored_coverage

WRITING_S = 600.0  # how long to wait for another process that writes the same report


def write_report(folder: StudyFolder, images: bool = True) -> Path:
    """Write ``report.html``, ``leaderboard.csv`` and ``figures/``; older ones are replaced.

    Args:
        folder: the study.
        images: False leaves every picture of the data out, for data that may not be republished.

    Returns:
        The path of the page.

    Raises:
        UserError: when there is no study in the folder.
    """
    folder.study()  # raises if there is none
    with hold(folder.report_lock, "its report", WRITING_S):
        before, covers = stored_coverage(folder), coverage_now(folder, images)
        with written_figures() as figures:
            report = read_report_data(folder, images)
            context = _contents(report)
        write_text(folder.path / "leaderboard.csv", render(report.leaderboard, "csv"))
        beside = [folder.path / "leaderboard.csv", *figures]
        names = [file.relative_to(folder.path).as_posix() for file in beside]
        covers = covers.model_copy(update={"files": now_written(folder, names)})
        context["covers"] = covers.as_json()
        write_text(folder.path / "report.html", ENVIRONMENT.get_template("report.html.j2").render(context))
        for name in set(before.files if before else ()) - set(names):  # of runs that are no longer there
            (folder.path / name).unlink(missing_ok=True)
    return folder.path / "report.html"


def read_report_data(folder: StudyFolder, images: bool) -> ReportData:
    """Return the data of the sections, and add this report to the study's history."""
    study, results = folder.study(), gather(folder)
    frame = leaderboard(folder, results=results)
    epochs = folder.epochs([record.key for row in results.rows for record in row.records])
    reports = report_history.record(folder, results.rows)
    answers = answer(study, frame, results, epochs, report_history.look_notes(folder, results.rows, reports))
    if note := baseline_note(folder, frame):
        answers = replace(answers, limits=(note, *answers.limits))
    return ReportData(folder, study, results, frame, epochs, described_data(folder), answers, images)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A section as it is in the page."""

    section: Section
    body: Markup


def _contents(report: ReportData) -> dict[str, Any]:
    """Return the values of ``report.html.j2``: each section that is shown. Figures are written."""
    rendered: list[Rendered] = []
    script_data: dict[str, Any] = {}
    for section in SECTIONS:
        values = section.values(report)
        if values is None:
            continue
        script_data |= values.get("script_data", {})
        text = ENVIRONMENT.get_template(section.template).render(
            study=report.study, seed_plan=report.results.seed_plan, **values
        )
        rendered.append(Rendered(section, Markup(text)))  # noqa: S704  a template's, escaped
    charts = script_data and can_draw()
    return {
        "version": __version__,
        "study": report.study,
        "seed_plan": report.results.seed_plan,
        "synthetic": is_synthetic(report.study.data),
        "trained": report.trained,
        "sections": rendered,
        "script_data": as_script(script_data) if charts else None,
        "libraries": specs.scripts() if charts else "",
    }
