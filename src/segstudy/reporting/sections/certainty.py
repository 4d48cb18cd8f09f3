"""The certainty of the winner: the charts and tables behind the verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segstudy.analysis.formatting import DASH, interval, p_value, signed
from segstudy.analysis.verdict import Answers, Standing
from segstudy.reporting.charts import ranks, specs
from segstudy.reporting.sections.base import ReportData
from segstudy.stats.comparisons import BOOTSTRAPS

SHOWN = 12  # rows; the others are folded away


@dataclass(frozen=True, slots=True)
class Chance:
    """What is known of a configuration's place on test.

    Attributes:
        name: of it.
        state: whether it may be the best, is out, or cannot be told.
        is_out: whether another is better.
        to_best: its test mean minus that of the best of the others, with its interval, as text.
        standing: its ranks when images and runs are resampled; None for masks of other tools.
    """

    name: str
    state: str
    is_out: bool
    to_best: str
    standing: Standing | None


def chances(said: Answers) -> list[Chance]:
    """Return the place of each configuration on test; those that may be the best come first."""
    return sorted(_chances(said), key=lambda each: each.is_out)


def _chances(said: Answers) -> Iterator[Chance]:
    standings = {each.name: each for each in said.standings}
    for name, each in sorted(said.contenders.items(), key=lambda item: -item[1].against.mean):
        against = each.against
        seen = f"{signed(against.mean)} {interval(against.low, against.high)}"
        state = f"out: {each.rival} is better" if each.excluded else "may be the best"
        yield Chance(name, state, each.excluded, seen, standings.get(name))
    for standing in said.standings:
        if standing.name not in said.contenders:
            yield Chance(standing.name, "cannot tell: one run", False, DASH, standing)


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``certainty.html.j2``; two figures are written."""
    charts = _charts(report.answers, report.figures)
    if not report.answers.winner:
        return None
    return {
        "answers": report.answers,
        "certainty": charts,
        "chances": chances(report.answers),
        "num_shown": SHOWN,
        "num_in_charts": ranks.MOST,
        "draws": BOOTSTRAPS,
        "interval": interval,
        "p_value": p_value,
    }


def _charts(said: Answers, out: Path) -> dict[str, Any]:
    charts: dict[str, Any] = {"best": None, "images": None, "ranks": None, "friedman": ""}
    if said.contenders:
        known = said.contenders.keys()
        chart = ranks.against_best(said.contenders, [name for name in said.ranked if name not in known])
        charts["best"] = _inline_chart(chart, out / "against-best")
    elif said.winner and said.versus:
        chart = ranks.on_these_images(said.winner, said.versus)
        charts["images"] = _inline_chart(chart, out / "on-these-images")
    if said.ranking:
        chart = ranks.critical_difference(said.ranking, said.ranked)
        charts["ranks"] = _inline_chart(chart, out / "critical-difference")
        charts["friedman"] = p_value(said.ranking.p)
    return charts


def _inline_chart(spec: specs.Spec, file: Path) -> Markup:
    return Markup(specs.inline(specs.save(spec, file)))  # noqa: S704  escaped by Vega
