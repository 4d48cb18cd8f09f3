"""The chart of the power: the smallest difference that is shown, by the number of seeds."""

from typing import Any

import altair as alt
import polars as pl

from segstudy.analysis.power_plan import MOST_DIFFERENCE, PowerPlan
from segstudy.reporting.charts.specs import DASHES, NEUTRAL, PALETTE, ROWS, Spec, finished, with_rows

WIDTH_PX, HEIGHT_PX = 640, 340
ANSWERS = ("for these training sets", "for training sets like these")


def power_chart(found: PowerPlan) -> Spec:
    """Return the chart: a line for each layout, dashed for training sets like these; axes are logarithmic."""
    rows = [
        {"layout": found.layout_text(each.layout), "seeds": each.seeds, "difference": value, "answer": answer}
        for each in found.sizes
        for answer, value in zip(ANSWERS, (each.smallest, each.across), strict=True)
        if value is not None and value <= MOST_DIFFERENCE
    ]
    base = alt.Chart().encode(**_channels(found))
    dash = alt.StrokeDash(
        "answer:N",
        title=None,
        scale=alt.Scale(domain=ANSWERS, range=[DASHES[1], DASHES[2]]),
        legend=alt.Legend(columns=2, labelLimit=420, columnPadding=48),
    )
    layers = [base.mark_line().encode(strokeDash=dash), base.mark_point(filled=True, size=45, opacity=1)]
    if found.cheapest is not None:
        rule = alt.Chart().mark_rule(color=NEUTRAL, strokeDash=[3, 2])
        layers.append(rule.encode(y=alt.datum(found.cheapest.difference)))
    types = {"layout": pl.String, "seeds": pl.Int64, "difference": pl.Float64, "answer": pl.String}
    chart = alt.layer(*layers, data=alt.NamedData(ROWS)).properties(width=WIDTH_PX, height=HEIGHT_PX)
    spec = finished(chart)
    return with_rows(spec, pl.DataFrame(rows, schema=types))


def _channels(found: PowerPlan) -> dict[str, Any]:
    """Return the axes and the colours of the layouts."""
    seeds = sorted({each.seeds for each in found.sizes})
    layouts = [found.layout_text(each) for each in found.layouts]
    return {
        "x": alt.X(
            "seeds:Q",
            title="seeds",
            scale=alt.Scale(type="log", nice=False, padding=16),
            axis=alt.Axis(values=seeds, grid=False),
        ),
        "y": alt.Y(
            "difference:Q",
            title="smallest difference in test IoU that is shown",
            scale=alt.Scale(type="log", nice=False, padding=16),
            axis=alt.Axis(format="~g", tickCount=6),
        ),
        "color": alt.Color(
            "layout:N",
            title=None,
            sort=layouts,
            scale=alt.Scale(range=PALETTE),
            legend=alt.Legend(columns=2, labelLimit=420, columnPadding=48),
        ),
    }
