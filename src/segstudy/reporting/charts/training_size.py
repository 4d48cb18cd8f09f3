"""The chart of the learning curve over training size."""

from collections.abc import Sequence

import altair as alt

from segstudy.reporting.charts.specs import PALETTE, ROWS, Spec, finished

WIDTH_PX, HEIGHT_PX = 700, 320
OFFSET_PX = 5  # between the intervals of two configurations at one size


def size_chart(names: Sequence[str]) -> Spec:
    """Return the chart of test IoU by number of training images, a line for each configuration.

    Rows: ``configuration``, ``images``, ``IoU``, ``low`` and ``high``.

    Args:
        names: of the configurations, in the order of the legend.
    """
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        x=alt.X(
            "images:Q",
            title="training images (logarithmic)",
            scale=alt.Scale(type="log", nice=False, padding=24),
            axis=alt.Axis(grid=False, format="d", tickCount=6),
        ),
        color=alt.Color("configuration:N", title=None, sort=list(names), scale=alt.Scale(range=PALETTE)),
        xOffset=alt.XOffset("configuration:N", sort=list(names), scale=_offsets(len(names))),
    )
    y = alt.Y("IoU:Q", title="test IoU", scale=alt.Scale(zero=False, padding=12))
    lines = base.mark_line(strokeWidth=2).encode(y=y, strokeDash=_dashes(names))
    points = base.mark_point(filled=True, size=50, opacity=1).encode(y=y)
    intervals = base.mark_rule(strokeOpacity=0.6).encode(
        y=alt.Y("low:Q", title="test IoU"), y2=alt.Y2("high:Q")
    )
    return finished(alt.layer(intervals, lines, points).properties(width=WIDTH_PX, height=HEIGHT_PX))


def _offsets(count: int) -> alt.Scale:
    half = OFFSET_PX * (count - 1) / 2
    return alt.Scale(range=[-half, half])


def _dashes(names: Sequence[str]) -> alt.StrokeDash:
    """Return dashes beside the colours, for readers who do not see these."""
    return alt.StrokeDash(
        "configuration:N",
        title=None,
        sort=list(names),
        scale=alt.Scale(range=[[1, 0], [6, 3], [2, 2], [8, 2, 2, 2]]),
    )
