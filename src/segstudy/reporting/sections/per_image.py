"""Scores image by image: their distribution, and the images on which configurations disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import polars as pl
from markupsafe import Markup

from segstudy.analysis.empty_masks import EmptyMasks, empty_masks, empty_targets
from segstudy.analysis.results import Results, comparable
from segstudy.reporting.charts import specs
from segstudy.reporting.charts.specs import NEUTRAL, ROWS, Spec, finished, with_rows
from segstudy.reporting.sections.base import ReportData

MOST = 30  # configurations of the chart
SHOWN = 10  # images of a table
FAILED = 0.65  # below it the ISIC challenges count a segmentation as failed
STEP_PX, WIDTH_PX, NAME_PX = 20, 760, 260
MARGIN = {**specs.MARGIN, "left": 48}  # long names in a wider font
TICKS = alt.Axis(tickCount=10)
BLUE = "#2f7ed8"


@dataclass(frozen=True, slots=True)
class Disputed:
    """A test image on which configurations disagree; IoUs are means over seeds.

    Attributes:
        id, category: of the sample.
        lowest, median, highest: over the configurations.
        worst, best: which of them.
    """

    id: str
    category: str
    lowest: float
    median: float
    highest: float
    worst: str
    best: str


@dataclass(frozen=True, slots=True)
class PerImage:
    """The section's content.

    Attributes:
        chart: distributions of the best configurations, as SVG.
        num_shown, num_all: configurations on the chart and in all.
        disputed: where configurations differ most, the most first.
        hard: images on which all of them fail, with the best one's IoU, the hardest first.
        num_images: of the test subset.
        empty: of the configurations of which it is known, the predictions in which one of two masks is empty.
        num_empty_targets: test images without foreground on which a run predicts some.
    """

    chart: Markup
    num_shown: int
    num_all: int
    disputed: tuple[Disputed, ...]
    hard: tuple[tuple[str, float], ...]
    num_images: int
    empty: tuple[EmptyMasks, ...] = ()
    num_empty_targets: int = 0


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``per_image.html.j2``."""
    if not report.has_scores:
        return None
    found = per_image(report.results, report.ranked, report.categories, report.figures)
    return {"per_image": found} if found else None


def per_image(
    results: Results, ranked: Sequence[str], categories: Mapping[str, str | None], out: Path
) -> PerImage | None:
    """Return distributions and disagreements on test, at native size; None if nothing is scored.

    Args:
        results: of the study.
        ranked: configurations, the best first; those tested on other images than the first are left out.
        categories: of the samples.
        out: folder in which ``per-image-iou`` is written as SVG and PNG.
    """
    names = comparable(results, [name for name in ranked if results.has(name)])
    if not names:
        return None
    ids, without = results.ids(names[0]), empty_targets(results, names)
    means = np.stack([scores.mean(0) for name in names if (scores := results.scores(name)) is not None])
    chart = specs.save(_distributions(names[:MOST], means[:MOST]), out / "per-image-iou")
    return PerImage(
        chart=Markup(specs.inline(chart)),  # noqa: S704  escaped by Vega
        num_shown=min(MOST, len(names)),
        num_all=len(names),
        disputed=_disputed(names, ids, means, categories) if len(names) > 1 else (),
        hard=_hard(ids, means),
        num_images=len(ids),
        empty=tuple(filter(None, (empty_masks(results, name, without) for name in names))),
        num_empty_targets=len(without),
    )


def _disputed(
    names: Sequence[str], ids: Sequence[str], means: np.ndarray, categories: Mapping[str, str | None]
) -> tuple[Disputed, ...]:
    order = np.argsort(-means.std(0), kind="stable")[:SHOWN]
    return tuple(
        Disputed(
            id=ids[i],
            category=categories.get(ids[i]) or "",
            lowest=float(means[:, i].min()),
            median=float(np.median(means[:, i])),
            highest=float(means[:, i].max()),
            worst=names[int(means[:, i].argmin())],
            best=names[int(means[:, i].argmax())],
        )
        for i in order
    )


def _hard(ids: Sequence[str], means: np.ndarray) -> tuple[tuple[str, float], ...]:
    highest = means.max(0)
    order = np.argsort(highest, kind="stable")
    return tuple((ids[i], float(highest[i])) for i in order if highest[i] < FAILED)


def _distributions(names: Sequence[str], means: np.ndarray) -> Spec:
    """A box for each configuration: quartiles, whiskers to 1.5 times their distance, the rest as points."""
    rows = pl.DataFrame(
        {"configuration": np.repeat(names, means.shape[1]).tolist(), "IoU": means.ravel().round(4).tolist()}
    )
    chart = (
        alt.Chart(alt.NamedData(ROWS))
        .mark_boxplot(
            size=11,
            color=BLUE,
            opacity=0.75,
            median={"color": "white", "strokeWidth": 2},
            outliers={"size": 12, "color": BLUE, "opacity": 0.6},
            rule={"color": NEUTRAL},
        )
        .encode(
            x=alt.X(
                "IoU:Q",
                title="IoU of a test image, mean over seeds",
                scale=alt.Scale(domain=[0, 1]),
                axis=TICKS,
            ),
            y=alt.Y("configuration:N", sort=list(names), title=None, axis=alt.Axis(labelLimit=NAME_PX)),
        )
        .properties(width=WIDTH_PX, height=alt.Step(STEP_PX), padding=MARGIN)
    )
    return with_rows(finished(chart), rows)
