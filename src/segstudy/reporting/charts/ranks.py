"""Charts of ranks: differences from the best, and the critical-difference diagram."""

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from segstudy.analysis.against_winner import Versus
from segstudy.analysis.confidence_set import Contender
from segstudy.analysis.formatting import possible
from segstudy.reporting.charts.specs import NEUTRAL, ROWS, Spec, finished, with_rows
from segstudy.stats.ranks import Ranking

WIDTH_PX, STEP_PX = 760, 17
NAME_PX = 260  # room for a configuration's name
MOST = 40  # lines of a chart
APART, OPEN, UNKNOWN = "#e07b39", "#2f7ed8", "#8c8c8c"
NAMES = alt.Axis(labelLimit=NAME_PX)
STATES = ("may be the best", "out: another is better", "cannot tell: one run")


def against_best(contenders: Mapping[str, Contender], unknown: Sequence[str] = ()) -> Spec:
    """Return the chart of each configuration's test mean minus that of the best of the others; best on top.

    The intervals are those that decide: one that lies below 0 excludes its configuration.

    Args:
        contenders: from ``analysis.confidence_set``.
        unknown: configurations of which the study cannot tell, such as those with a single run.
    """
    shown = sorted(contenders.values(), key=lambda each: -each.against.mean)[:MOST]
    rows = [
        {
            "configuration": each.name,
            "difference": each.against.mean,
            "low": possible(each.against.low),
            "high": possible(each.against.high),
            "is": STATES[1] if each.excluded else STATES[0],
        }
        for each in shown
    ]
    rows += [{"configuration": name, "is": STATES[2]} for name in unknown[: MOST - len(rows)]]
    names = [str(row["configuration"]) for row in rows]
    y = alt.Y("configuration:N", sort=names, title=None, axis=NAMES)
    axis = alt.X(
        "low:Q",
        title="test IoU minus that of the best of the others",
        scale=alt.Scale(zero=True),
        axis=alt.Axis(tickCount=8),
    )
    colours = dict(zip(STATES, (OPEN, APART, UNKNOWN), strict=True))
    there = [state for state in STATES if any(row["is"] == state for row in rows)]
    scale = alt.Scale(domain=there, range=[colours[state] for state in there])
    colour = alt.Color("is:N", title=None, scale=scale)
    base = alt.Chart()
    measured = base.transform_filter("isValid(datum.low)")
    layers = alt.layer(
        base.mark_rule(color=NEUTRAL, strokeDash=[3, 2]).encode(x=alt.XDatum(0)),
        measured.mark_rule(strokeWidth=2).encode(x=axis, x2=alt.X2("high:Q"), y=y, color=colour),
        measured.mark_point(filled=True, size=55, opacity=1).encode(
            x=alt.X("difference:Q"), y=y, color=colour
        ),
        base.transform_filter("!isValid(datum.low)")
        .mark_text(text="?", size=13)
        .encode(x=alt.XDatum(0), y=y, color=colour),
        data=alt.NamedData(ROWS),
    )
    numbers = dict.fromkeys(("difference", "low", "high"), pl.Float64)
    types = {"configuration": pl.String, **numbers, "is": pl.String}
    return with_rows(_chart(layers), pl.DataFrame(rows, schema=types))


def on_these_images(winner: str, versus: Mapping[str, Versus]) -> Spec:
    """Return the chart of each test mean minus the winner's, with intervals over images alone.

    For configurations with one run each: another run may differ by more, so nothing is coloured as decided.
    """
    found = {name: each.difference for name, each in versus.items()}
    order = sorted(found, key=lambda name: found[name].mean)[:MOST]
    rows = [
        {
            "configuration": name,
            "difference": -found[name].mean,
            "low": possible(-found[name].high),
            "high": possible(-found[name].low),
        }
        for name in order
    ]
    y = alt.Y("configuration:N", sort=order, title=None, axis=NAMES)
    title = f"test IoU minus that of {winner}, on these images with these runs"
    base = alt.Chart().encode(y=y, color=alt.value(UNKNOWN))
    layers = alt.layer(
        alt.Chart().mark_rule(color=NEUTRAL, strokeDash=[3, 2]).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", title=title, axis=alt.Axis(tickCount=8)), x2="high:Q"
        ),
        base.mark_point(filled=False, size=55, opacity=1).encode(x="difference:Q"),
        data=alt.NamedData(ROWS),
    )
    return with_rows(_chart(layers), pl.DataFrame(rows))


def _chart(layers: alt.LayerChart | alt.FacetChart) -> Spec:
    return finished(layers.properties(width=WIDTH_PX, height=alt.Step(STEP_PX)))


def critical_difference(ranking: Ranking, names: Sequence[str], blocks: str = "seeds") -> Spec:
    """Return the chart of mean ranks; bars join what Nemenyi's test does not distinguish.

    Args:
        ranking: of the configurations.
        names: of the configurations, in the ranking's order.
        blocks: of the ranking.
    """
    order = sorted(range(len(names)), key=lambda i: ranking.mean_ranks[i])[:MOST]
    shown = [names[i] for i in order]
    last = float(ranking.mean_ranks[order[-1]])
    offset = 0.035 * max(last, 1.0)
    rows: list[dict[str, str | float]] = [
        {"configuration": names[i], "rank": float(ranking.mean_ranks[i])} for i in order
    ]
    bars = bars_of(ranking, [names[i] if names[i] in shown else None for i in range(len(names))])
    for number, ends in enumerate(bars):
        place = last + (number + 1) * offset
        rows += [{"configuration": name, "bar": place, "group": number} for name in ends]
    y = alt.Y("configuration:N", sort=shown, title=None, axis=NAMES)
    title = (
        f"mean rank over {ranking.num_blocks} {blocks}, 1 is best; "
        f"critical difference {ranking.critical_difference:.1f}"
    )
    domain = [1, last + (len(bars) + 1) * offset]
    scale = alt.Scale(domain=domain, nice=False)
    x = alt.X("rank:Q", title=title, scale=scale)
    base = alt.Chart()
    layers = alt.layer(
        base.mark_line(color=NEUTRAL, strokeWidth=3).encode(
            x=alt.X("bar:Q", title=title, scale=alt.Scale(domain=domain, nice=False)),
            y=y,
            detail=alt.Detail("group:N"),
        ),
        base.mark_point(filled=True, size=60, opacity=1, color=OPEN).encode(x=x, y=y),
        data=alt.NamedData(ROWS),
    )
    types = {"configuration": pl.String, "rank": pl.Float64, "bar": pl.Float64, "group": pl.Int64}
    return with_rows(_chart(layers), pl.DataFrame(rows, schema=types))


def bars_of(ranking: Ranking, shown: Sequence[str | None]) -> list[tuple[str, str]]:
    """Return both ends of each bar; one that lies within another, of those that are shown, is left out.

    Args:
        ranking: of the configurations.
        shown: their names in the ranking's order; None for those that the chart leaves out.
    """
    ends: list[tuple[str, str]] = []
    for bar in ranking.bars:
        inside = [name for i in bar if (name := shown[i]) is not None]
        if len(inside) > 1 and not (ends and ends[-1][1] == inside[-1]):
            ends.append((inside[0], inside[-1]))
    return ends
