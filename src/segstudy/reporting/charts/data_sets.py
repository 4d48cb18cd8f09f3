"""The chart of a comparison over data sets: differences from the highest, on each set and over all."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from segstudy.analysis.compare_sets import SetPair
from segstudy.analysis.formatting import possible
from segstudy.reporting.charts.specs import NEUTRAL, PALETTE, ROWS, Spec, finished, with_rows

WIDTH_PX, STEP_PX = 700, 30
MOST = 40  # configurations
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def differences(pairs: Sequence[SetPair], sets: Sequence[str]) -> Spec:
    """Return the chart of each configuration minus the highest: a point for each set, and the mean over sets.

    A thick line is the 95 % interval of the mean, a thin one that of a new set.

    Args:
        pairs: the highest configuration minus each of the others.
        sets: names of the data sets.
    """
    shown = list(pairs)[:MOST]
    rows = _difference_rows(shown, sets)
    y = alt.Y("configuration:N", sort=[pair.b for pair in shown], title=None, axis=alt.Axis(labelLimit=260))
    title = "test IoU minus that of the highest, over data sets"
    x = alt.X("mean:Q", title=title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=8))
    order = list(sets)
    colour = alt.Color("set:N", title=None, scale=alt.Scale(domain=order, range=_cycled(PALETTE, len(order))))
    shape = alt.Shape("set:N", title=None, scale=alt.Scale(domain=order, range=_cycled(SHAPES, len(order))))
    base = alt.Chart()
    over = base.transform_filter("isValid(datum.mean)").encode(y=y, color=alt.value(NEUTRAL))
    layers = alt.layer(
        base.mark_rule(color=NEUTRAL, strokeDash=[3, 2]).encode(x=alt.datum(0)),
        over.transform_filter("isValid(datum.new_low)")
        .mark_rule(strokeWidth=1)
        .encode(x=alt.X("new_low:Q", title=title), x2="new_high:Q"),
        over.mark_rule(strokeWidth=4, strokeOpacity=0.55).encode(x=alt.X("low:Q", title=title), x2="high:Q"),
        over.mark_tick(thickness=3, size=16).encode(x=x),
        base.transform_filter("isValid(datum.difference)")
        .mark_point(filled=True, size=60, opacity=0.9)
        .encode(x=alt.X("difference:Q", title=title), y=y, color=colour, shape=shape),
        data=alt.NamedData(ROWS),
    )
    numbers = dict.fromkeys(("mean", "low", "high", "new_low", "new_high", "difference"), pl.Float64)
    frame = pl.DataFrame(rows, schema={"configuration": pl.String, "set": pl.String, **numbers})
    spec = finished(layers.properties(width=WIDTH_PX, height=alt.Step(STEP_PX)), symbols="fill")
    return with_rows(spec, frame)


def _difference_rows(pairs: Sequence[SetPair], sets: Sequence[str]) -> list[dict[str, str | float | None]]:
    """Return a row for the mean over sets of each pair, and one for each set."""
    rows: list[dict[str, str | float | None]] = [
        {
            "configuration": pair.b,
            "mean": -pair.over.mean,
            "low": possible(-pair.over.high),
            "high": possible(-pair.over.low),
            "new_low": None if pair.over.new_high is None else possible(-pair.over.new_high),
            "new_high": None if pair.over.new_low is None else possible(-pair.over.new_low),
        }
        for pair in pairs
    ]
    return rows + [
        {"configuration": pair.b, "set": name, "difference": -each.mean}
        for pair in pairs
        for name, each in zip(sets, pair.per_set, strict=True)
    ]


def _cycled(values: Sequence[str], count: int) -> list[str]:
    return [values[i % len(values)] for i in range(count)]
