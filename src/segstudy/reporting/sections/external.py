"""Scores for comparison, outside of the leaderboard: baselines, the best IoU, people, other data."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from segstudy.analysis.formatting import DASH, score_text
from segstudy.core.score_words import CLASS_SCORES
from segstudy.data.datasets import human_references
from segstudy.metrics import shown_in
from segstudy.reporting.sections.base import ReportData
from segstudy.store.folder import StudyFolder
from segstudy.store.records import BestIou, EvaluationRecord, OfClass

Scores = dict[str, float]


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``external.html.j2``."""
    tables = external_tables(report.folder)
    return {"external": tables, "class_scores": CLASS_SCORES} if tables else None


def references(folder: StudyFolder, reader: str) -> dict[str, Scores]:
    """Return scores of the baselines, the IoU that the image size allows, and the agreement of people.

    People are compared on images of the same kind.

    Args:
        folder: the study.
        reader: of its data.

    Returns:
        Scores called as the leaderboard's columns, by name.
    """
    people = {f"people: {each.source}": {"test_iou": each.iou} for each in human_references(reader)}
    data = folder.data()
    found = data.best_iou if data else []
    best = {
        f"best to expect at {each.size_text}{_told_apart(each, found)}": {"test_iou": each.mean}
        for each in found
    }
    return baseline_scores(folder.baselines()) | best | people


def _told_apart(each: BestIou, found: Sequence[BestIou]) -> str:
    """Tells those of one size apart, where a study varies what counts, or how images are resized."""
    same = [other for other in found if other.image_size == each.image_size]
    differing = [f"resize {each.resize}"] if len({other.resize for other in same}) > 1 else []
    if len({str(other.foreground) for other in same}) > 1:
        differing.append(f"foreground {each.foreground}")
    return "".join(f", {text}" for text in differing)


def baseline_scores(baselines: pl.DataFrame | None) -> dict[str, Scores]:
    """Return means of the baselines by name, with the leaderboard's columns; none if there is no table.

    Args:
        baselines: ``baseline``, ``part`` and native scores, one row per image.
    """
    if baselines is None:
        return {}
    found: dict[str, Scores] = {}
    means = baselines.group_by("baseline", "part", maintain_order=True).agg(pl.col("^native_.*$").mean())
    for row in means.iter_rows(named=True):
        scores = found.setdefault(row["baseline"], {})
        scores |= {
            f"{row['part']}_{name.removeprefix('native_')}": value
            for name, value in row.items()
            if name.startswith("native_") and value is not None
        }
    return found


def external_tables(folder: StudyFolder) -> list[dict[str, Any]]:
    """Return the scores of `segstudy evaluate` on other data sets, each beside those on the own test subset.

    Returns:
        Tables with ``name``, ``num_runs``, ``own`` and ``other`` (data, number of images), ``rows``
        (title, score in domain, score on the other data), and ``by_class`` (class, score and number of images
        in domain, the same on the other data).
    """
    return [_external(record) for record in folder.externals() if isinstance(record, EvaluationRecord)]


def _external(record: EvaluationRecord) -> dict[str, Any]:
    own, scores = record.in_domain, record.scores["test"]
    return {
        "name": record.name,
        "num_runs": len(record.seeds),
        "own": (own.data.name, own.num_images),
        "other": (record.data.name, record.num_images),
        "by_class": _by_class(record),
        "rows": [
            (
                metric.listed_title({"nsd_tolerance": record.nsd_tolerance}),
                score_text(own.scores.get(name), metric.form),
                score_text(scores[name], metric.form),
            )
            for name, metric in shown_in("list").items()
            if name in scores
        ],
    }


def _by_class(record: EvaluationRecord) -> list[tuple[str, ...]]:
    own, new = record.in_domain.class_scores or {}, record.class_scores or {}
    return [(name, *_of_class(own.get(name)), *_of_class(each)) for name, each in new.items()]


def _of_class(found: OfClass | None) -> tuple[str, str]:
    return (DASH, DASH) if found is None else (score_text(found.iou, ".3f"), f"{found.num_images:,}")
