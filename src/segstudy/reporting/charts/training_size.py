"""The chart of the learning curve over training size."""

from collections.abc import Sequence

import altair as alt

from segstudy.reporting.charts.specs import PALETTE, ROWS, Spec, finished

WIDTH_PX, HEIGHT_PX = 700, 320
APART = 1.012  # factor between the places of two configurations at one size, so that intervals can be seen
PATTERNS = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])  # beside the colours, for readers who do not see these


def size_chart(names: Sequence[str], sizes: Sequence[float]) -> Spec:
    """Return the chart of test IoU by number of training images, a line for each configuration.

    Rows: ``configuration``, ``place`` (``places`` of the number of images), ``IoU``, ``low`` and ``high``.

    Args:
        names: of the configurations, in the order of the legend.
        sizes: numbers of training images, which the axis names.
    """
    dashes = [PATTERNS[i % len(PATTERNS)] for i in range(len(names))]
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        x=alt.X(
            "place:Q",
            title="training images (logarithmic)",
            scale=alt.Scale(type="log", nice=False, padding=24),
            axis=alt.Axis(grid=False, format="d", values=sorted(set(sizes))),
        ),
        color=alt.Color(
            "configuration:N", title=None, scale=alt.Scale(domain=list(names), range=PALETTE[: len(names)])
        ),
    )
    y = alt.Y("IoU:Q", title="test IoU", scale=alt.Scale(zero=False, padding=12, nice=False))
    lines = base.mark_line(strokeWidth=2).encode(
        y=y,
        strokeDash=alt.StrokeDash(
            "configuration:N", title=None, scale=alt.Scale(domain=list(names), range=dashes)
        ),
    )
    points = base.mark_point(filled=True, size=50, opacity=1).encode(y=y)
    intervals = base.mark_rule(strokeWidth=1.5, strokeOpacity=0.7).encode(
        y=alt.Y("low:Q", title="test IoU"), y2=alt.Y2("high:Q")
    )
    return finished(alt.layer(intervals, lines, points).properties(width=WIDTH_PX, height=HEIGHT_PX))


def places(num_images: float, count: int) -> list[float]:
    """Return where so many configurations with this number of images stand, side by side."""
    return [num_images * APART ** (i - (count - 1) / 2) for i in range(count)]
