"""Scores by category and by the size of the lesion: where a mean over all images hides a weakness."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import polars as pl
from markupsafe import Markup
from PIL import Image

from segstudy.reporting import figures
from segstudy.reporting.evidence import Evidence, comparable
from segstudy.reporting.figures import ROWS, Spec, finished, with_rows
from segstudy.stats import Interval, by_group, score_interval
from segstudy.store import StudyFolder, read_table

FEWEST = 20  # images that an interval takes; below, a point is all there is
MOST = 5  # configurations
STEP_PX, WIDTH_PX, NAME_PX = 9, 640, 320  # a step for each configuration of a subgroup
MARGIN = {**figures.MARGIN, "left": 56}  # long names in a wider font
SIZES = ("small", "middle", "large")
COLOURS = ("#2f7ed8", "#e07b39", "#3a9d5d", "#9467bd", "#8c8c8c")

Ids = Sequence[str]


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Some of the test images.

    Attributes:
        kind: what they share, ``category``, ``lesion size`` or ``frame``.
        name: which of them.
        num_images: how many.
        scores: test IoU of each configuration; under 20 images without an interval.
    """

    kind: str
    name: str
    num_images: int
    scores: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Subgroups:
    """The section's content: configurations, subgroups, and a chart as SVG."""

    configurations: tuple[str, ...]
    groups: tuple[Subgroup, ...]
    chart: Markup


def subgroups(
    folder: StudyFolder,
    evidence: Evidence,
    ranked: Sequence[str],
    categories: Mapping[str, str | None],
) -> Subgroups | None:
    """Test IoU at native size of the best configurations in each subgroup; None where there are none.

    Args:
        folder: the study's; ``figures/subgroups`` is written there.
        evidence: of it.
        ranked: configurations, the best first.
        categories: of the samples.
    """
    names = comparable(evidence, [name for name in ranked if evidence.has(name)])[:MOST]
    if not names:
        return None
    ids = evidence.ids(names[0])
    members = members_of(folder, ids, categories)
    groups = tuple(
        Subgroup(kind, name, len(mine), tuple(_score(evidence, each, mine) for each in names))
        for (kind, name), mine in members.items()
        if mine and len(mine) < len(ids)
    )
    if not groups:
        return None
    out = folder.path / "figures"
    chart = figures.save(_chart(names, groups), out / "subgroups")
    return Subgroups(tuple(names), groups, Markup(figures.inline(chart)))  # noqa: S704  escaped by Vega


def members_of(
    folder: StudyFolder, ids: Ids, categories: Mapping[str, str | None]
) -> dict[tuple[str, str], list[str]]:
    """The images of each subgroup, by kind and name; some may be empty or hold all images."""
    return {
        ("category", name): [i for i in ids if categories.get(i) == name]
        for name in sorted({str(categories[i]) for i in ids if categories.get(i)})
    } | _by_mask(folder, ids)


def _score(evidence: Evidence, name: str, ids: Ids) -> Interval:
    """Mean of a subgroup; its interval rests on these images alone."""
    scores, place = evidence.scores(name), {each: i for i, each in enumerate(evidence.ids(name))}
    assert scores is not None
    mine = scores[:, [place[each] for each in ids]]
    if len(ids) < FEWEST:
        return Interval(float(mine.mean()), None, None, len(mine), len(ids), None, len(mine) > 1)
    return score_interval(by_group(mine, [evidence.groups.get(each, each) for each in ids]))


def _by_mask(folder: StudyFolder, ids: Ids) -> dict[tuple[str, str], list[str]]:
    """Thirds by the lesion's share of the image, and whether it reaches the frame, by thumbnails' masks."""
    file = folder.path / "thumbnails.parquet"
    if not file.is_file():
        return {}
    rows = read_table(file, ["id", "mask"], pl.col("id").is_in(list(ids)))
    masks = {each: _decoded(mask) for each, mask in rows.iter_rows()}
    if len(masks) < len(ids):
        return {}
    shares = np.array([masks[each].mean() for each in ids])
    bounds = np.quantile(shares, [1 / 3, 2 / 3])
    thirds = np.searchsorted(bounds, shares, side="left")
    found: dict[tuple[str, str], list[str]] = {}
    for third, size in enumerate(SIZES):
        mine = [each for each, t in zip(ids, thirds, strict=True) if t == third]
        found["lesion size", f"{size}, {_extent(shares[thirds == third])}"] = mine
    touching = [each for each in ids if _reaches_frame(masks[each])]
    found["frame", "lesion reaches it"] = touching
    found["frame", "lesion lies inside"] = [each for each in ids if each not in set(touching)]
    return found


def _decoded(mask: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(mask), formats=("PNG",)).convert("L")) >= 128


def _extent(shares: np.ndarray) -> str:
    return f"{shares.min():.0%} to {shares.max():.0%} of the image" if len(shares) else ""


def _reaches_frame(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _chart(names: Sequence[str], groups: Sequence[Subgroup]) -> Spec:
    rows = [
        {
            "subgroup": _title(group),
            "configuration": name,
            "IoU": score.mean,
            "low": score.low,
            "high": score.high,
        }
        for group in groups
        for name, score in zip(names, group.scores, strict=True)
    ]
    colour = alt.Color(
        "configuration:N",
        title=None,
        sort=list(names),
        scale=alt.Scale(domain=list(names), range=COLOURS),
        legend=alt.Legend(columns=3, columnPadding=40),
    )
    base = alt.Chart().encode(
        y=alt.Y(
            "subgroup:N",
            sort=[_title(group) for group in groups],
            title=None,
            axis=alt.Axis(labelLimit=NAME_PX),
        ),
        yOffset=alt.YOffset("configuration:N", sort=list(names)),
        color=colour,
    )
    layers = alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", title="test IoU", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=8)),
            x2="high:Q",
        ),
        base.mark_point(filled=True, size=40, opacity=1).encode(x="IoU:Q"),
        data=alt.NamedData(ROWS),
    )
    sized = layers.properties(width=WIDTH_PX, height=alt.Step(STEP_PX), padding=MARGIN)
    return with_rows(finished(sized), pl.DataFrame(rows))


def _title(group: Subgroup) -> str:
    return f"{group.kind}: {group.name} (n = {group.num_images})"
