"""The chart of scores within subgroups of the test images, a line for each configuration."""

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from segstudy.reporting.charts import specs
from segstudy.reporting.charts.specs import ROWS, Spec, finished, with_rows
from segstudy.stats.intervals import Interval

STEP_PX, WIDTH_PX, NAME_PX = 9, 640, 320  # a step for each configuration of a subgroup
MARGIN = {**specs.MARGIN, "left": 56}  # long names in a wider font
COLOURS = ("#2f7ed8", "#e07b39", "#3a9d5d", "#9467bd", "#8c8c8c")


def scores_chart(names: Sequence[str], groups: Mapping[str, Sequence[Interval | None]]) -> Spec:
    """Return the chart of test IoU with intervals.

    Args:
        names: of the configurations, at most as many as there are ``COLOURS``.
        groups: by the title of a subgroup, the score of each configuration; None where there is none.
    """
    rows = [
        {
            "subgroup": title,
            "configuration": name,
            "IoU": score.mean,
            "low": score.low,
            "high": score.high,
        }
        for title, scores in groups.items()
        for name, score in zip(names, scores, strict=True)
        if score is not None
    ]
    colour = alt.Color(
        "configuration:N",
        title=None,
        sort=list(names),
        scale=alt.Scale(domain=list(names), range=COLOURS),
        legend=alt.Legend(columns=3, columnPadding=40),
    )
    base = alt.Chart().encode(
        y=alt.Y("subgroup:N", sort=list(groups), title=None, axis=alt.Axis(labelLimit=NAME_PX)),
        yOffset=alt.YOffset("configuration:N", sort=list(names)),
        color=colour,
    )
    layers = alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", title="test IoU", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=8)),
            x2=alt.X2("high:Q"),
        ),
        base.mark_point(filled=True, size=40, opacity=1).encode(x=alt.X("IoU:Q")),
        data=alt.NamedData(ROWS),
    )
    sized = layers.properties(width=WIDTH_PX, height=alt.Step(STEP_PX), padding=MARGIN)
    return with_rows(finished(sized), pl.DataFrame(rows))
