"""The certainty of the winner: the charts and tables behind the verdict."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from segstudy.analysis.formatting import interval, p_value
from segstudy.analysis.verdict import Answers
from segstudy.reporting.charts import ranks, specs
from segstudy.reporting.sections.base import ReportData
from segstudy.stats.comparisons import BOOTSTRAPS


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``certainty.html.j2``; two figures are written."""
    charts = _charts(report.answers, report.figures)
    if not report.answers.winner:
        return None
    return {
        "answers": report.answers,
        "certainty": charts,
        "draws": BOOTSTRAPS,
        "interval": interval,
        "p_value": p_value,
    }


def _charts(said: Answers, out: Path) -> dict[str, Any]:
    charts: dict[str, Any] = {"best": None, "ranks": None, "friedman": ""}
    if said.contenders:
        known = said.contenders.keys()
        chart = ranks.against_best(said.contenders, [name for name in said.ranked if name not in known])
        charts["best"] = _inline_chart(chart, out / "against-best")
    if said.ranking:
        chart = ranks.critical_difference(said.ranking, said.ranked)
        charts["ranks"] = _inline_chart(chart, out / "critical-difference")
        charts["friedman"] = p_value(said.ranking.p)
    return charts


def _inline_chart(spec: specs.Spec, file: Path) -> Markup:
    return Markup(specs.inline(specs.save(spec, file)))  # noqa: S704  escaped by Vega
