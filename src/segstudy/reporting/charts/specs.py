"""The report's charts: one specification each, for the page, for SVG and for PNG.

A specification names its data ``rows`` and holds none; ``with_rows`` puts them in. On the page a script
does that, so that one set of rows serves several charts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import vl_convert

from segstudy.core.atomic_files import make_folder, write_bytes, write_text
from segstudy.metrics import HEADLINE, METRICS
from segstudy.reporting.charts.renderer import NOT_RENDERED, can_draw

PARTS = ("train", "validation", "test")
SUBSETS = ("train", "test", "validation")  # one over the other: what decides stays visible
COLOURS = ("#8c8c8c", "#2f7ed8", "#e07b39")  # distinct for colour-blind readers, on white and on black
PALETTE = ("#2f7ed8", "#e07b39", "#2fa084", "#c2559d", "#b89600", "#7a6fd0", "#56b4e9", "#d1495b")
DASHES = ([2, 3], [1, 0], [7, 3])  # of the subsets
HEAT = ("#f1f6fd", "#7db1ec")  # black figures are legible on all of it
NEUTRAL = "#888888"
COLUMNS = 5  # small multiples side by side
PNG_SCALE = 2.0
# In px. A browser's system font may be wider than the one that an SVG was measured with.
MARGIN = {"left": 16, "right": 12, "top": 4, "bottom": 4}
LONG_NUMBER = re.compile(r"\d+\.\d{2,}")
ROWS = "rows"  # the data's name in every specification

Spec = dict[str, Any]


def curve_chart(measure: str, log: bool = False) -> Spec:
    """Return the chart of a score or of ``loss`` over the epochs, for runs whose rows a script provides.

    Rows: ``line`` (what is joined), ``run``, ``part``, ``epoch``, ``loss``, the score by its name,
    ``colour``, ``thin`` (one seed of several beside their mean) and ``kept`` (whether this epoch's weights
    were).
    """
    scale = alt.Scale(type="log") if log else _scale(measure)
    title = f"{measure}, logarithmic" if log else measure
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, grid=False)),
        y=alt.Y(f"{measure}:Q", scale=scale, title=title, axis=alt.Axis(tickCount=6)),
        color=alt.Color("colour:N", scale=None),
    )
    dash = alt.StrokeDash(
        "part:N",
        title=None,
        scale=alt.Scale(domain=PARTS, range=DASHES),
        legend=alt.Legend(labelExpr="datum.label == 'test' ? 'test (diagnosis only)' : datum.label"),
    )
    if log:
        base = base.transform_filter(f"datum.{measure} > 0")
    lines = base.mark_line(clip=True).encode(
        detail=alt.Detail("line:N"),
        strokeDash=dash,
        strokeWidth=alt.StrokeWidthValue(2, condition={"test": "datum.thin", "value": 0.9}),
        strokeOpacity=alt.StrokeOpacityValue(1, condition={"test": "datum.thin", "value": 0.45}),
    )
    kept = base.transform_filter("datum.kept").mark_point(filled=True, size=36, opacity=1, clip=True)
    # A line answers the pointer with its first point, so invisible points carry the values.
    points = base.mark_point(size=90, opacity=0).encode(
        tooltip=[
            alt.Tooltip(shown)
            for shown in ("run:N", "part:N", "epoch:Q", f"{METRICS[HEADLINE].short}:Q", "loss:Q")
        ]
    )
    return finished(alt.layer(lines, kept, points, width="container", height=260))


def _scale(measure: str) -> alt.Scale:
    return alt.Scale(zero=False) if measure == "loss" else alt.Scale(domain=[0, 1])


def curve_grid(measure: str, titles: Sequence[str]) -> Spec:
    """Return small multiples of a score or of ``loss``: a panel for each title, with all its seeds.

    Rows: ``title``, ``run``, ``part``, ``epoch``, ``loss``, the score by its name, ``kept`` (the epoch whose
    weights were).
    """
    scale = _scale(measure)
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=1.1)
        .encode(
            x=alt.X("epoch:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4)),
            y=alt.Y(f"{measure}:Q", scale=scale, title=None, axis=alt.Axis(tickCount=5)),
            color=alt.Color("part:N", title=None, scale=alt.Scale(domain=PARTS, range=COLOURS)),
            detail=alt.Detail("run:N"),
        )
    )
    rule = (
        alt.Chart()
        .mark_rule(color=NEUTRAL, strokeDash=[3, 2])
        .encode(x=alt.X("mean(kept):Q"), detail=alt.Detail("run:N"))
    )
    chart = alt.layer(rule, lines, data=alt.NamedData(ROWS), width=158, height=88)
    facets = chart.facet(
        facet=alt.Facet("title:N", title=None, sort=list(titles)), columns=min(COLUMNS, len(titles))
    )
    if measure == "loss":  # losses are of different scales
        facets = facets.resolve_scale(y="independent").properties(bounds="flush", spacing=44)
    return finished(facets)


def pareto_chart(field: str, title: str, only: float | None = None) -> Spec:
    """Return the chart of test IoU with its interval against a cost; a line joins the Pareto front.

    Rows: ``configuration``, ``architecture``, ``loss``, ``IoU``, ``low`` and ``high`` (null without an
    interval), the costs, and ``front_`` with the name of a cost.

    Args:
        field: the cost's name in the rows.
        title: of its axis.
        only: the value of the cost, if all configurations have the same: the axis has this one, rounded.
    """
    form = "s" if field.startswith("num_") else "r"  # 1.2M; of times 0.5 and not 500m
    axis = (
        alt.Axis(format=f",~{form}", labelOverlap=True)
        if only is None
        else alt.Axis(format=f",.3~{form}", values=[only])
    )
    base = alt.Chart(alt.NamedData(ROWS)).transform_filter(f"isValid(datum['{field}'])")
    x = alt.X(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(type="log", nice=False, padding=24),
        axis=axis,
    )
    possible = (
        "datum.value < -1e-9 || datum.value > 1 + 1e-9 ? '' : datum.label"  # the axis is a little longer
    )
    y = alt.Y(
        "IoU:Q",
        title="test IoU",
        scale=alt.Scale(zero=False, padding=16),
        axis=alt.Axis(labelExpr=possible),
    )
    front = base.transform_filter(f"datum.front_{field}").encode(x=x, y=y)
    step = front.mark_line(color=NEUTRAL, interpolate="step-after", strokeDash=[4, 3])
    roomy = alt.ExprRef("width > 500 ? 1 : 0")  # on a phone they would lie over one another
    names = front.mark_text(
        align="left", angle=310, dx=8, dy=-4, color=NEUTRAL, fontSize=11, opacity=roomy
    ).encode(text=alt.Text("configuration:N"))
    intervals = front.mark_rule(strokeOpacity=0.5).encode(
        x=x, y=alt.Y("low:Q", title="test IoU"), y2=alt.Y2("high:Q"), color=_by_architecture()
    )
    points = base.mark_point(filled=True, size=70, opacity=0.9).encode(
        x=x,
        y=y,
        color=_by_architecture(),
        shape=alt.Shape("loss:N", title=None, legend=alt.Legend(symbolFillColor=NEUTRAL)),
        tooltip=[
            alt.Tooltip("configuration:N"),
            alt.Tooltip("IoU:Q", format=".3f"),
            alt.Tooltip("low:Q", format=".3f"),
            alt.Tooltip("high:Q", format=".3f"),
            alt.Tooltip(f"{field}:Q", title=title, format=f",.4~{form}"),
        ],
    )
    chart = alt.layer(step, intervals, points, names, width="container", height=340)
    return finished(chart, symbols="fill")


def _by_architecture() -> alt.Color:
    return alt.Color("architecture:N", title=None, scale=alt.Scale(range=PALETTE))


def score_table(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """Return tables of IoU by two factors as one figure, a panel for each.

    Args:
        rows: ``row``, ``column``, ``panel``, ``IoU``, ``heat`` (0 to 1) and ``spread`` (a text, may be
            empty), in the order to be shown; put them in with ``with_rows``.
    """
    order = {name: list(dict.fromkeys(row[name] for row in rows)) for name in ("row", "column", "panel")}
    base = alt.Chart().encode(
        x=alt.X("column:N", sort=order["column"], title=None, axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("row:N", sort=order["row"], title=None),
    )
    heat = base.mark_rect().encode(
        color=alt.Color("heat:Q", scale=alt.Scale(domain=[0, 1], range=HEAT), legend=None)
    )
    several = any(row["spread"] for row in rows)
    text = base.mark_text(color="black", dy=-6 if several else 0).encode(text=alt.Text("IoU:Q", format=".3f"))
    spread = base.mark_text(color="#444", dy=8, fontSize=9).encode(text=alt.Text("spread:N"))
    chart = (
        alt.layer(heat, text, spread, data=alt.NamedData(ROWS))
        .properties(width=80 * len(order["column"]), height=34 * len(order["row"]))
        .facet(facet=alt.Facet("panel:N", title=None, sort=order["panel"]), columns=2)
        .resolve_scale(x="independent", y="independent")
    )
    return finished(chart)


def finished(chart: Any, symbols: str = "stroke") -> Spec:
    """Return the specification with colours for light and dark pages."""
    axis = alt.AxisConfig(
        labelColor=NEUTRAL,
        titleColor=NEUTRAL,
        gridColor=NEUTRAL,
        gridOpacity=0.2,
        domain=False,
        labelLimit=320,
    )
    legend = alt.LegendConfig(labelColor=NEUTRAL, orient="top", symbolOpacity=1, columnPadding=16, columns=4)
    # All in one call: Altair copies the whole chart at each.
    configured = chart.configure(
        background="transparent",
        font="system-ui, sans-serif",
        padding=MARGIN,
        axis=axis,
        legend=legend,
        header=alt.HeaderConfig(labelColor=NEUTRAL, labelFontSize=11),
        view=alt.ViewConfig(stroke=None),
    )
    # Every part was validated when it was made; again takes a second a page.
    spec: Spec = configured.to_dict(validate=False)
    # Legends under one another, for phones; Altair's schema does not know that Vega can.
    spec["config"]["legend"]["layout"] = {"top": {"direction": "vertical", "anchor": "start", "margin": 3}}
    if symbols == "stroke":
        spec["config"]["legend"] |= {"symbolType": "stroke", "symbolStrokeColor": NEUTRAL, "symbolSize": 500}
    return spec


def with_rows(spec: Spec, rows: pl.DataFrame, width: int | None = None) -> Spec:
    """Return the specification with its data, for a picture, in the given width in px.

    Data come last because Altair copies and validates whatever it is given, for seconds.
    """
    sized = {} if width is None else {"width": width}
    return {**spec, **sized, "datasets": {ROWS: rows.to_dicts()}}


def svg(spec: Spec, name: str) -> str:
    """Render a specification as SVG with unique ids, as one page may have several.

    Vega numbers ids over a whole process; here they begin at 0, so equal charts give equal bytes.
    Coordinates are rounded to a tenth of a pixel: a curve takes a third of the bytes.
    """
    text: str = vl_convert.vegalite_to_svg(spec)
    text = re.sub(r' d="[^"]*"', lambda path: LONG_NUMBER.sub(_to_a_tenth, path[0]), text)
    numbers: dict[str, int] = {}
    return re.sub(
        r'(id="|url\(#)clip(\d+)',
        lambda found: f"{found[1]}{name}-{numbers.setdefault(found[2], len(numbers))}",
        text,
    )


def _to_a_tenth(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}"


_written: ContextVar[list[Path] | None] = ContextVar("_written", default=None)


@contextmanager
def written_figures() -> Iterator[list[Path]]:
    """Yield the list of the files that ``save`` writes while inside."""
    files: list[Path] = []
    token = _written.set(files)
    try:
        yield files
    finally:
        _written.reset(token)


def save(spec: Spec, file: Path) -> str:
    """Write ``file.svg`` and ``file.png``, the PNG on white; returns the SVG.

    If charts cannot be rendered there are no such files, and the returned text says so.
    """
    if not can_draw():
        for kind in (".svg", ".png"):
            file.with_suffix(kind).unlink(missing_ok=True)
        return NOT_RENDERED
    text = svg(spec, file.name)
    make_folder(file.parent)
    if (files := _written.get()) is not None:
        files += [file.with_suffix(".svg"), file.with_suffix(".png")]
    write_text(file.with_suffix(".svg"), text)
    on_white = re.sub(r"<svg [^>]*>", r'\g<0><rect width="100%" height="100%" fill="white"/>', text, count=1)
    write_bytes(file.with_suffix(".png"), vl_convert.svg_to_png(on_white, scale=PNG_SCALE))
    return text


def inline(svg: str) -> str:
    """Return the SVG changed so that it scales with the page."""
    return re.sub(r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"', r"<svg \1", svg, count=1)


def scripts() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, for pages that open offline."""
    text: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    return text.replace("</script", "<\\/script")
