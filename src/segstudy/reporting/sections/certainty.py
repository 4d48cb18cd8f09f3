"""The page's answers, as its templates read them, with the charts that go beside them."""

from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from segstudy.analysis import report_history
from segstudy.analysis.results import Results
from segstudy.analysis.text import interval, p_value
from segstudy.analysis.verdict import Answers, answer
from segstudy.config.study import Study
from segstudy.reporting.charts import ranks, specs
from segstudy.stats.comparisons import BOOTSTRAPS
from segstudy.stats.factors import Factorial
from segstudy.stats.intervals import LEVEL
from segstudy.store.folder import StudyFolder


def answered(
    folder: StudyFolder, study: Study, frame: pl.DataFrame, results: Results, epochs: pl.DataFrame
) -> dict[str, Any]:
    """Context of ``verdict.html.j2``, ``certainty.html.j2`` and ``questions.html.j2``.

    Args:
        folder: the study's; this report is written down in it, and figures go there.
        study: as it was last run.
        frame: its leaderboard.
        results: of its folder.
        epochs: rows of every epoch of its runs.
    """
    reports = report_history.record(folder, results.rows)
    said = answer(study, frame, results, epochs, report_history.told(folder, results.rows, reports))
    return {
        "answers": said,
        "certainty": _charts(said, folder.path / "figures"),
        "interval": interval,
        "p_value": p_value,
        "differing": differing,
        "draws": BOOTSTRAPS,
    }


def _charts(said: Answers, out: Path) -> dict[str, Any]:
    charts: dict[str, Any] = {"versus": None, "measured": False, "ranks": None, "friedman": ""}
    if said.winner and said.versus:
        chart = ranks.against_winner(said.versus, said.winner)
        charts["versus"] = _drawn(chart, out / "against-winner")
        charts["measured"] = any(each.p_adjusted is not None for each in said.versus.values())
    if said.ranking:
        chart = ranks.critical_difference(said.ranking, said.ranked)
        charts["ranks"] = _drawn(chart, out / "critical-difference")
        charts["friedman"] = p_value(said.ranking.p)
    return charts


def _drawn(spec: specs.Spec, file: Path) -> Markup:
    return Markup(specs.inline(specs.save(spec, file)))  # noqa: S704  escaped by Vega


def differing(found: Factorial, factor: str, level: str) -> list[str]:
    """The levels of a factor that differ from this one."""
    return [
        d.b if d.a == level else d.a
        for d in found.differences[factor]
        if level in (d.a, d.b) and d.p < 1 - LEVEL
    ]
