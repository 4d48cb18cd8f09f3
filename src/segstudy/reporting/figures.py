"""The report's charts: one specification each, for the page, for SVG and for PNG."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import vl_convert

PARTS = ("train", "validation", "test")
DRAWN = ("train", "test", "validation")  # one over the other: what decides stays visible
COLOURS = ("#8c8c8c", "#2f7ed8", "#e07b39")  # told apart by the colour-blind, on white and on black
HEAT = ("#f1f6fd", "#7db1ec")  # black figures are legible on all of it
NEUTRAL = "#888888"
COLUMNS = 5  # small multiples side by side
PNG_SCALE = 2.0
ROWS = "rows"  # the data's name in every specification

Spec = dict[str, Any]


def curve_rows(epochs: pl.DataFrame, titles: Mapping[str, str], kept: Mapping[str, int]) -> pl.DataFrame:
    """Learning curves in long form: ``run``, ``epoch``, ``kept``, ``part``, ``loss``, ``IoU``.

    Args:
        epochs: rows of ``StudyFolder.epochs``.
        titles: what each run is called, by key.
        kept: the epoch whose weights were kept, by key.

    Returns:
        The runs in the order of ``titles``, values to four digits; parts and epochs without both
        values have no rows.
    """
    named = epochs.with_columns(
        run=pl.col("key").replace_strict(dict(titles), return_dtype=pl.String),
        kept=pl.col("key").replace_strict(dict(kept), return_dtype=pl.Int64),
        position=pl.col("key").replace_strict(
            {key: i for i, key in enumerate(titles)}, return_dtype=pl.Int64
        ),
    ).sort("position", "epoch")
    long = [
        named.select(
            "run",
            "epoch",
            "kept",
            pl.lit(part).alias("part"),
            pl.col(f"{part}_loss").round(4).alias("loss"),
            pl.col(f"{part}_iou").round(4).alias("IoU"),
        )
        for part in DRAWN
        if f"{part}_loss" in epochs.columns
    ]
    return pl.concat(long).drop_nulls()


def curve_picker(rows: pl.DataFrame) -> Spec:
    """IoU and loss over the epochs of two runs to be picked; rules mark the epochs whose weights were kept.

    Args:
        rows: from ``curve_rows``; its first two runs are shown before anything is picked.
    """
    runs = rows["run"].unique(maintain_order=True).to_list()
    solid = alt.param("solid", bind=alt.binding_select(options=runs, name="Run "), value=runs[0])
    dashed = alt.param(
        "dashed", bind=alt.binding_select(options=runs, name="Beside it, dashed "), value=runs[:2][-1]
    )
    dash = alt.condition(f"datum.run == {solid.name}", alt.value([1, 0]), alt.value([5, 3]))
    base = alt.Chart(alt.NamedData(ROWS)).transform_filter(
        f"datum.run == {solid.name} || datum.run == {dashed.name}"
    )
    panels = []
    for measure in ("IoU", "loss"):
        axes = _axes(measure, "epoch")
        lines = base.mark_line(clip=True, strokeWidth=1.8).encode(detail="run:N", strokeDash=dash, **axes)
        # A line answers the pointer with its first point, so invisible points carry the values.
        points = base.mark_point(size=90, opacity=0).encode(
            tooltip=["run:N", "part:N", "epoch:Q", "IoU:Q", "loss:Q"], **axes
        )
        rule = _kept(base).encode(detail="run:N", strokeDash=dash)
        panels.append((rule + lines + points).properties(width=900, height=230))
    return _finished(alt.vconcat(*panels).add_params(solid, dashed), rows)


def curve_grid(rows: pl.DataFrame, measure: str) -> Spec:
    """Small multiples of one measure, ``IoU`` or ``loss``: a panel for every run, in the rows' order."""
    runs = rows["run"].unique(maintain_order=True).to_list()
    base = alt.Chart()
    lines = base.mark_line(clip=True, strokeWidth=1.2).encode(**_axes(measure, None))
    rule = _kept(base).encode(strokeDash=alt.value([3, 2]))
    chart = alt.layer(rule, lines, data=alt.NamedData(ROWS)).properties(width=158, height=88)
    facets = chart.facet(facet=alt.Facet("run:N", title=None, sort=runs), columns=min(COLUMNS, len(runs)))
    if measure == "loss":  # losses are of different scales
        facets = facets.resolve_scale(y="independent").properties(bounds="flush", spacing=44)
    return _finished(facets, rows)


def _axes(measure: str, epoch: str | None) -> dict[str, Any]:
    """Encodings of a learning curve; titles only where an epoch title is given."""
    scale = alt.Scale(domain=[0, 1]) if measure == "IoU" else alt.Scale(zero=False)
    return {
        "x": alt.X("epoch:Q", title=epoch, axis=alt.Axis(tickMinStep=1, tickCount=10 if epoch else 4)),
        "y": alt.Y(f"{measure}:Q", scale=scale, title=epoch and measure),
        "color": alt.Color("part:N", title=None, scale=alt.Scale(domain=PARTS, range=COLOURS)),
    }


def _kept(base: Any) -> Any:
    return base.mark_rule(color=NEUTRAL).encode(x="mean(kept):Q")


def score_table(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """The architecture x loss tables as one figure: a panel for each part and batch size.

    Args:
        rows: ``architecture``, ``loss``, ``panel``, ``IoU`` and ``heat`` (0 to 1), in the order to be shown.
    """
    order = {
        name: list(dict.fromkeys(row[name] for row in rows)) for name in ("architecture", "loss", "panel")
    }
    base = alt.Chart().encode(
        x=alt.X("loss:N", sort=order["loss"], title=None, axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("architecture:N", sort=order["architecture"], title=None),
    )
    heat = base.mark_rect().encode(
        color=alt.Color("heat:Q", scale=alt.Scale(domain=[0, 1], range=HEAT), legend=None)
    )
    text = base.mark_text(color="black").encode(text=alt.Text("IoU:Q", format=".3f"))
    chart = (
        alt.layer(heat, text, data=alt.NamedData(ROWS))
        .properties(width=80 * len(order["loss"]), height=34 * len(order["architecture"]))
        .facet(facet=alt.Facet("panel:N", title=None, sort=order["panel"]), columns=2)
        .resolve_scale(x="independent", y="independent")
    )
    return _finished(chart, pl.DataFrame(rows))


def _finished(chart: Any, rows: pl.DataFrame) -> Spec:
    """The specification in colours for a light and a dark page, with the rows in it.

    The rows are added last: Altair copies and validates whatever it is given, for seconds.
    """
    spec: Spec = (
        chart.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(
            labelColor=NEUTRAL, titleColor=NEUTRAL, gridColor=NEUTRAL, gridOpacity=0.2, domain=False
        )
        .configure_legend(labelColor=NEUTRAL, orient="top", symbolType="stroke", symbolOpacity=1)
        .configure_header(labelColor=NEUTRAL, labelFontSize=11)
        .configure_view(stroke=None)
        .to_dict()
    )
    return {**spec, "datasets": {ROWS: rows.to_dicts()}}


def svg(spec: Spec, name: str) -> str:
    """Render a specification as SVG, with ids of its own: several may stand in one page.

    Vega numbers ids through a process; here they are counted from 0, so equal charts give equal bytes.
    """
    text: str = vl_convert.vegalite_to_svg(spec)
    numbers: dict[str, int] = {}
    return re.sub(
        r'(id="|url\(#)clip(\d+)',
        lambda found: f"{found[1]}{name}-{numbers.setdefault(found[2], len(numbers))}",
        text,
    )


def save(spec: Spec, file: Path) -> str:
    """Write ``file.svg`` and ``file.png``, the PNG on white; returns the SVG."""
    text = svg(spec, file.name)
    file.with_suffix(".svg").write_text(text, encoding="utf-8")
    on_white = {**spec, "config": {**spec["config"], "background": "white"}}
    file.with_suffix(".png").write_bytes(vl_convert.vegalite_to_png(on_white, scale=PNG_SCALE))
    return text


def scripts() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, for pages that open offline."""
    text: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    return text.replace("</script", "<\\/script")
