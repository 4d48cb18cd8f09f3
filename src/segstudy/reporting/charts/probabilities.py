"""Charts of foreground probabilities: IoU by threshold, and the reliability diagram."""

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from segstudy.analysis.probabilities import HALF, Probabilities
from segstudy.core.metric_names import THRESHOLDS
from segstudy.reporting.charts.specs import NEUTRAL, PALETTE, ROWS, Spec, finished, with_rows
from segstudy.stats.calibration import ReliabilityBin

PANEL_PX, HEIGHT_PX = 350, 240  # of a subset
SQUARE_PX = 190  # a reliability diagram
COLUMNS = 4


def threshold_curves(
    parts: Mapping[str, Mapping[str, Probabilities]], chosen: Mapping[str, Sequence[float]]
) -> Spec:
    """Return mean IoU against the threshold, a panel for each subset and a line for each configuration.

    Args:
        parts: by subset, then by configuration, the best first.
        chosen: the thresholds of each configuration's runs, which are marked.
    """
    names = list(dict.fromkeys(name for found in parts.values() for name in found))
    rows = [
        {
            "part": part,
            "configuration": name,
            "threshold": t,
            "IoU": float(v),
            "chosen": t in chosen[name],
            "half": t == THRESHOLDS[HALF] and name == names[0],
        }
        for part, found in parts.items()
        for name, each in found.items()
        for t, v in zip(THRESHOLDS, each.curve, strict=True)
    ]
    base = alt.Chart().encode(
        x=alt.X("threshold:Q", title="threshold", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)),
        y=alt.Y("IoU:Q", title="mean IoU", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6)),
        color=alt.Color(
            "configuration:N", title=None, sort=names, scale=alt.Scale(domain=names, range=PALETTE)
        ),
    )
    half = alt.Chart().transform_filter("datum.half").mark_rule(color=NEUTRAL, strokeDash=[3, 2])
    half = half.encode(x="threshold:Q")
    points = base.transform_filter("datum.chosen").mark_point(filled=True, size=70, opacity=1)
    layers = alt.layer(half, base.mark_line(strokeWidth=2), points, data=alt.NamedData(ROWS))
    panels = layers.properties(width=PANEL_PX, height=HEIGHT_PX).facet(
        column=alt.Column("part:N", title=None, sort=list(parts))
    )
    return with_rows(finished(panels), pl.DataFrame(rows))


def reliability_diagrams(found: Mapping[str, Sequence[ReliabilityBin]]) -> Spec:
    """Return a reliability diagram for each configuration: predicted probability and share of foreground."""
    rows = [
        {
            "configuration": name,
            "predicted": each.predicted,
            "observed": each.observed,
            "low": each.low,
            "high": each.high,
            "first": place == 0,
        }
        for name, bins in found.items()
        for place, each in enumerate(bins)
    ]
    axis = alt.Axis(tickCount=5)
    x = alt.X("predicted:Q", title="predicted probability", scale=alt.Scale(domain=[0, 1]), axis=axis)
    y = alt.Y("observed:Q", title="share of foreground", scale=alt.Scale(domain=[0, 1]), axis=axis)
    ideal = (
        alt.Chart()
        .transform_filter("datum.first")
        .mark_rule(color=NEUTRAL, strokeDash=[3, 2])
        .encode(x=alt.datum(0), x2=alt.datum(1), y=alt.datum(0), y2=alt.datum(1))
    )
    base = alt.Chart().encode(x=x, color=alt.value(PALETTE[0]))
    layers = alt.layer(
        ideal,
        base.mark_rule(strokeWidth=2, opacity=0.5).encode(
            y=alt.Y("low:Q", title="share of foreground", scale=alt.Scale(domain=[0, 1])), y2="high:Q"
        ),
        base.mark_line(strokeWidth=1.2).encode(y=y),
        base.mark_point(filled=True, size=36, opacity=1).encode(y=y),
        data=alt.NamedData(ROWS),
    )
    panels = layers.properties(width=SQUARE_PX, height=SQUARE_PX).facet(
        facet=alt.Facet("configuration:N", title=None, sort=list(found)), columns=min(COLUMNS, len(found))
    )
    return with_rows(finished(panels), pl.DataFrame(rows))
