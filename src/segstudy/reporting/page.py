"""report.html: one file that opens offline, with everything a study says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.results import Results, gather
from segstudy.config.study import is_synthetic
from segstudy.core.atomic_files import write_text
from segstudy.core.environment import differing
from segstudy.core.locks import hold
from segstudy.core.version import __version__
from segstudy.reporting.charts.files import Rows, drawn
from segstudy.reporting.charts.specs import written_figures
from segstudy.reporting.sections.architecture_by_loss import score_tables
from segstudy.reporting.sections.certainty import answered
from segstudy.reporting.sections.external import external_tables, references
from segstudy.reporting.sections.images import gallery
from segstudy.reporting.sections.leaderboard import board
from segstudy.reporting.sections.learning_curves import read_curves
from segstudy.reporting.sections.methods import methods
from segstudy.reporting.sections.per_image import per_image
from segstudy.reporting.sections.protocol import (
    described_data,
    environments,
    mixed,
    publishable_study,
    publishable_texts,
    shared_protocol,
)
from segstudy.reporting.sections.subgroups import subgroups
from segstudy.reporting.tables import render
from segstudy.store.folder import StudyFolder
from segstudy.store.report_coverage import coverage_now, now_written, stored_coverage

WRITING_S = 600.0  # how long to wait for another process that writes the same report
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def write_report(folder: StudyFolder, images: bool = True) -> Path:
    """Write ``report.html``, ``leaderboard.csv`` and ``figures/``; what they said before is replaced.

    Args:
        folder: the study.
        images: False leaves every picture of the data out, for data that may not be republished.

    Returns:
        The page.

    Raises:
        UserError: when there is no study in the folder.
    """
    folder.study()  # or say that there is none
    with hold(folder.report_lock, "its report", WRITING_S):
        before, covers = stored_coverage(folder), coverage_now(folder, images)
        with written_figures() as figures:
            frame, context = _contents(folder, images)
        write_text(folder.path / "leaderboard.csv", render(frame, "csv"))
        beside = [folder.path / "leaderboard.csv", *figures]
        names = [file.relative_to(folder.path).as_posix() for file in beside]
        covers = covers.model_copy(update={"files": now_written(folder, names)})
        context["covers"] = covers.as_json()
        write_text(folder.path / "report.html", ENVIRONMENT.get_template("report.html.j2").render(context))
        for name in set(before.files if before else ()) - set(names):  # of runs that are no longer there
            (folder.path / name).unlink(missing_ok=True)
    return folder.path / "report.html"


def _contents(folder: StudyFolder, images: bool) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The leaderboard and what the page's templates show; figures are written."""
    study, results = folder.study(), gather(folder)
    frame, rows = leaderboard(folder, results=results), results.rows
    data, first = described_data(folder), leading(frame)
    trained = frame.filter(~pl.col("masks")).to_dicts()
    tables = score_tables(trained)
    epochs = folder.epochs([record["key"] for row in rows for record in row.records])
    curves = read_curves(epochs, rows, frame["configuration"].to_list())
    said = answered(folder, study, frame, results, epochs)
    return frame, {
        "version": __version__,
        "study": study,
        "synthetic": is_synthetic(study.data),
        **said,
        "methods": methods(study, results, data, said["answers"]),
        "data": data,
        "trained": trained,
        "board": board(frame, references(folder, data["reader"])),
        "leader": first,
        "tables": tables,
        **drawn(folder.path / "figures", trained, tables, curves),
        "gallery": gallery(folder, rows, _leading_first(trained)) if images else None,
        **_by_image(folder, results, trained, data),
        "images": images,
        "external": external_tables(folder),
        "failures": [publishable_texts(failure) for row in rows for failure in row.failures],
        "protocol": shared_protocol(study),
        "environments": environments(rows),
        "mixed": mixed(rows),
        "differing_environments": differing(environments(rows)),
        "study_file": publishable_study(folder),
    }


def _by_image(
    folder: StudyFolder, results: Results, trained: Rows, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Context of ``per_image.html.j2`` and ``subgroups.html.j2``; what is complete comes first."""
    names = _leading_first(trained)
    categories = {sample["id"]: sample["category"] for sample in data["samples"]}
    return {
        "per_image": per_image(results, names, categories, folder.path / "figures"),
        "subgroups": subgroups(folder, results, names, categories),
    }


def _leading_first(trained: Rows) -> list[str]:
    """The configurations of the leaderboard, those with all their runs before the others."""
    return [row["configuration"] for row in sorted(trained, key=lambda row: row["rank"] is None)]


def leading(frame: pl.DataFrame) -> dict[str, Any] | None:
    """The leaderboard's first complete row; while there is none, the first with a finished run."""
    rows = frame.filter(~pl.col("masks") & pl.col("validation_iou").is_not_null()).sort(
        "rank", nulls_last=True, maintain_order=True
    )
    return rows.row(0, named=True) if rows.height else None
