"""Scores by category and by the size of the lesion, for weaknesses that a mean over all images hides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segstudy.analysis.formatting import interval, p_value
from segstudy.analysis.results import Results, comparable
from segstudy.analysis.subgroup_differences import (
    FEWEST_TESTED,
    SubgroupDifferences,
    dependence_sentences,
    left_out_text,
    subgroup_differences,
)
from segstudy.analysis.subgroups import FEWEST, Ids, foreground_name, members_of
from segstudy.reporting.charts import specs
from segstudy.reporting.charts.specs import Spec
from segstudy.reporting.charts.subgroup_differences import differences_chart
from segstudy.reporting.charts.subgroup_scores import scores_chart
from segstudy.reporting.sections.base import ReportData
from segstudy.stats.intervals import Interval, by_group, score_interval
from segstudy.store.folder import StudyFolder

MOST = 5  # configurations


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Some of the test images.

    Attributes:
        kind: of the subgroup, ``category``, ``lesion size`` or ``frame``.
        name: of the subgroup.
        num_images: how many.
        scores: test IoU of each configuration; under 20 images without an interval.
    """

    kind: str
    name: str
    num_images: int
    scores: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Subgroups:
    """The section's content.

    Attributes:
        configurations: those that are shown, the best first.
        groups: subgroups with their scores.
        chart: of them, as SVG.
        differences: the first configuration minus each of the others, by subgroup; none for a single one.
        differences_chart: of them, as SVG.
        sentences: whether the differences depend on the subgroup.
        left_out: the subgroups without differences, in a sentence; empty if there are none.
    """

    configurations: tuple[str, ...]
    groups: tuple[Subgroup, ...]
    chart: Markup
    differences: tuple[SubgroupDifferences, ...] = ()
    differences_chart: Markup | None = None
    sentences: tuple[str, ...] = ()
    left_out: str = ""


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``subgroups.html.j2``."""
    if not report.has_scores:
        return None
    found = subgroups(report.folder, report.results, report.ranked, report.categories)
    return {
        "subgroups": found,
        "has_masks": (report.folder.path / "thumbnails.parquet").is_file(),
        "foreground": foreground_name(report.results.outputs),
        "fewest": FEWEST_TESTED,
        "fewest_images": FEWEST,
        "interval": interval,
        "p_value": p_value,
    }


def subgroups(
    folder: StudyFolder,
    results: Results,
    ranked: Sequence[str],
    categories: Mapping[str, str | None],
) -> Subgroups | None:
    """Return test IoU at native size of the best configurations in each subgroup; None if there are none.

    Args:
        folder: the study's; ``figures/subgroups`` is written there.
        results: of it.
        ranked: configurations, the best first.
        categories: of the samples.
    """
    names = comparable(results, [name for name in ranked if results.has(name)])[:MOST]
    if not names:
        return None
    ids = results.ids(names[0])
    members = members_of(folder, ids, categories, results.outputs)
    groups = tuple(
        Subgroup(kind, name, len(mine), tuple(_score(results, each, mine) for each in names))
        for (kind, name), mine in members.items()
        if mine and len(mine) < len(ids)
    )
    if not groups:
        return None
    shown = {(group.kind, group.name): members[group.kind, group.name] for group in groups}
    found = subgroup_differences(results, names, shown) if len(names) > 1 else []
    return Subgroups(
        tuple(names),
        groups,
        _saved(
            scores_chart(names, {_title(g): g.scores for g in groups}), folder.path / "figures" / "subgroups"
        ),
        tuple(found),
        _saved(differences_chart(found), folder.path / "figures" / "subgroup-differences")
        if found
        else Markup(""),
        tuple(dependence_sentences(found)),
        left_out_text(results, shown) if len(names) > 1 else "",
    )


def _saved(spec: Spec, file: Path) -> Markup:
    return Markup(specs.inline(specs.save(spec, file)))  # noqa: S704  escaped by Vega


def _score(results: Results, name: str, ids: Ids) -> Interval:
    """Return the mean of a subgroup, with an interval from these images alone."""
    scores, place = results.scores(name), {each: i for i, each in enumerate(results.ids(name))}
    assert scores is not None
    mine = scores[:, [place[each] for each in ids]]
    if len(ids) < FEWEST:
        return Interval(float(mine.mean()), None, None, len(mine), len(ids), None, len(mine) > 1)
    return score_interval(by_group(mine, [results.groups.get(each, each) for each in ids]))


def _title(group: Subgroup) -> str:
    return f"{group.kind}: {group.name} (n = {group.num_images})"
