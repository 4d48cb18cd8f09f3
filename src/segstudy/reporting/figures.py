"""The report's charts: one specification each, for the page, for SVG and for PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import vl_convert

PARTS = ("train", "validation", "test")
COLOURS = ("#8c8c8c", "#2f7ed8", "#e07b39")  # told apart by the colour-blind, on white and on black
NEUTRAL = "#888888"
COLUMNS = 5  # small multiples side by side
PNG_SCALE = 2.0

Spec = dict[str, Any]


def curve_rows(epochs: pl.DataFrame, titles: Mapping[str, str]) -> pl.DataFrame:
    """Learning curves in long form: ``run``, ``epoch``, ``part``, ``loss``, ``IoU``, to four digits.

    Args:
        epochs: rows of ``StudyFolder.epochs``.
        titles: what each run is called, by key.
    """
    named = epochs.with_columns(pl.col("key").replace_strict(titles).alias("run"))
    parts = [part for part in PARTS if f"{part}_loss" in epochs.columns]
    long = [
        named.select(
            "run",
            "epoch",
            pl.lit(part).alias("part"),
            pl.col(f"{part}_loss").round(4).alias("loss"),
            pl.col(f"{part}_iou").round(4).alias("IoU"),
        )
        for part in parts
    ]
    return pl.concat(long).drop_nulls()


def curve_picker(rows: pl.DataFrame, first: str, second: str, selected: Mapping[str, int]) -> Spec:
    """IoU and loss over the epochs of two runs to be picked; the epoch whose weights were kept is marked.

    Args:
        rows: from ``curve_rows``.
        first: the run shown before anything is picked.
        second: the run beside it.
        selected: the kept epoch of each run.
    """
    runs = rows["run"].unique(maintain_order=True).to_list()
    solid = alt.param("solid", bind=alt.binding_select(options=runs, name="run "), value=first)
    dashed = alt.param(
        "dashed", bind=alt.binding_select(options=runs, name="beside it (dashed) "), value=second
    )
    picked = f"datum.run == {solid.name} || datum.run == {dashed.name}"
    dash = alt.condition(f"datum.run == {solid.name}", alt.value([1, 0]), alt.value([5, 3]))
    marks = pl.DataFrame({"run": list(selected), "epoch": list(selected.values())})
    panels = []
    for measure, scale in (("IoU", alt.Scale(domain=[0, 1])), ("loss", alt.Scale(zero=False))):
        lines = (
            alt.Chart(_data(rows))
            .transform_filter(picked)
            .mark_line(clip=True)
            .encode(
                x=alt.X("epoch:Q", title="epoch"),
                y=alt.Y(f"{measure}:Q", scale=scale),
                color=alt.Color("part:N", sort=PARTS, scale=alt.Scale(domain=PARTS, range=COLOURS)),
                strokeDash=dash,
                detail="run:N",
                tooltip=["run:N", "part:N", "epoch:Q", "IoU:Q", "loss:Q"],
            )
        )
        kept = alt.Chart(_data(marks)).transform_filter(picked).mark_rule(color=NEUTRAL)
        panels.append((lines + kept.encode(x="epoch:Q", strokeDash=dash)).properties(width=900, height=220))
    chart = alt.vconcat(*panels).add_params(solid, dashed)
    return _styled(chart)


def curve_grid(rows: pl.DataFrame, measure: str) -> Spec:
    """Small multiples of one measure, ``IoU`` or ``loss``: a panel for every run."""
    runs = rows["run"].unique(maintain_order=True).to_list()
    scale = alt.Scale(domain=[0, 1]) if measure == "IoU" else alt.Scale(zero=False)
    chart = (
        alt.Chart(_data(rows))
        .mark_line(strokeWidth=1.2, clip=True)
        .encode(
            x=alt.X("epoch:Q", title=None),
            y=alt.Y(f"{measure}:Q", scale=scale, title=None),
            color=alt.Color(
                "part:N", sort=PARTS, scale=alt.Scale(domain=PARTS, range=COLOURS), title=measure
            ),
        )
        .properties(width=150, height=90)
        .facet(facet=alt.Facet("run:N", title=None, sort=runs), columns=min(COLUMNS, len(runs)))
    )
    if measure == "loss":  # losses are of different scales
        chart = chart.resolve_scale(y="independent")
    return _styled(chart)


def score_table(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """The architecture x loss tables as one figure: a panel for each part and batch size.

    Args:
        rows: ``architecture``, ``loss``, ``panel`` and ``IoU``.
    """
    order = {
        name: list(dict.fromkeys(row[name] for row in rows)) for name in ("architecture", "loss", "panel")
    }
    base = alt.Chart(_data(pl.DataFrame(rows))).encode(
        x=alt.X("loss:N", sort=order["loss"], title=None, axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("architecture:N", sort=order["architecture"], title=None),
    )
    low, high = (pl.DataFrame(rows)["IoU"].quantile(q) or 0.0 for q in (0.1, 1.0))
    heat = base.mark_rect().encode(
        color=alt.Color("IoU:Q", scale=alt.Scale(scheme="blues", domain=[low - 0.05, high]), legend=None)
    )
    dark = alt.condition(f"datum.IoU > {(low + 2 * high) / 3}", alt.value("white"), alt.value("black"))
    text = base.mark_text().encode(text=alt.Text("IoU:Q", format=".3f"), color=dark)
    chart = (
        (heat + text)
        .properties(width=80 * len(order["loss"]), height=34 * len(order["architecture"]))
        .facet(facet=alt.Facet("panel:N", title=None, sort=order["panel"]), columns=2)
        .resolve_scale(x="independent", y="independent")
    )
    return _styled(chart)


def _data(rows: pl.DataFrame) -> alt.Data:
    return alt.Data(values=rows.to_dicts())  # type: ignore[no-untyped-call]


def _styled(chart: Any) -> Spec:
    """Colours that can be read on a light and on a dark page."""
    spec: Spec = (
        chart.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(
            labelColor=NEUTRAL, titleColor=NEUTRAL, gridColor=NEUTRAL, gridOpacity=0.2, domain=False
        )
        .configure_legend(labelColor=NEUTRAL, titleColor=NEUTRAL, orient="top")
        .configure_header(labelColor=NEUTRAL, labelFontSize=11)
        .configure_view(stroke=None)
        .to_dict()
    )
    return spec


def svg(spec: Spec) -> str:
    """Render a specification as SVG."""
    text: str = vl_convert.vegalite_to_svg(spec)
    return text


def save(spec: Spec, file: Path) -> None:
    """Write ``file.svg`` and ``file.png``; the PNG on white."""
    file.with_suffix(".svg").write_text(svg(spec), encoding="utf-8")
    on_white = {**spec, "config": {**spec["config"], "background": "white"}}
    file.with_suffix(".png").write_bytes(vl_convert.vegalite_to_png(on_white, scale=PNG_SCALE))


def scripts() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, for pages that open offline."""
    text: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    return text.replace("</script", "<\\/script")
