"""Scores by class: every configuration in every class, whether the winner wins everywhere, and confusions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from segstudy.analysis.absent_classes import conventions, order_sentence
from segstudy.analysis.class_differences import class_differences, everywhere_sentences
from segstudy.analysis.class_scores import FEWEST, ClassScores, class_scores, rows_of_runs
from segstudy.analysis.confusions import Confusions, confusions
from segstudy.analysis.formatting import DASH, interval, p_value
from segstudy.analysis.results import Results, comparable, replicate_runs
from segstudy.analysis.subgroup_differences import FEWEST_TESTED, SubgroupDifferences, dependence_sentences
from segstudy.config.protocol import unique
from segstudy.core.outputs import Outputs
from segstudy.core.palette import colour_of
from segstudy.core.score_words import absent_convention, headline
from segstudy.metrics import Metric, column, shown_in
from segstudy.reporting.charts import specs
from segstudy.reporting.charts.subgroup_differences import differences_chart
from segstudy.reporting.charts.subgroup_scores import scores_chart
from segstudy.reporting.sections.base import ReportData
from segstudy.stats.intervals import Interval
from segstudy.store.folder import StudyFolder

MOST = 20  # configurations of the heat map
MOST_IN_CHARTS = 5
MOST_WITH_INTERVALS = 8  # classes: more columns with them do not fit a page


@dataclass(frozen=True, slots=True)
class ClassName:
    """A class on the page.

    Attributes:
        number: of it.
        name, colour: of it; the colour as #rrggbb.
        num_images: test images whose true mask has it.
        is_scored: whether it counts in the headline.
    """

    number: int
    name: str
    colour: str
    num_images: int
    is_scored: bool


@dataclass(frozen=True, slots=True)
class Square:
    """A configuration's test IoU in a class, and whether it is the highest of all."""

    score: Interval
    is_highest: bool


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Test IoU by configuration and class.

    Attributes:
        names: configurations, the best on validation first.
        squares: by configuration and class's number; of classes that no true test mask has there are none.
        num_left_out: more configurations with scores by class.
    """

    names: tuple[str, ...]
    squares: Mapping[tuple[str, int], Square]
    num_left_out: int


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class of a configuration, as text.

    Attributes:
        each: the class.
        share: of all pixels that count.
        scores: mean and interval of each metric.
        missed_images: those whose mask has the class and whose prediction lacks it; means over runs, as all.
        invented_images: those whose prediction has it and whose mask lacks it.
        objects: true ones, those that were missed, and predicted ones that are none.
    """

    each: ClassName
    share: str
    scores: tuple[tuple[str, str], ...]
    missed_images: str
    invented_images: str
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A true class's pixels by predicted class: shares, and counts as text."""

    each: ClassName
    shares: tuple[float, ...]
    counts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """The first configuration minus others by class, the chart of it, and what follows."""

    found: tuple[SubgroupDifferences, ...]
    chart: Markup
    sentences: tuple[str, ...]


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``classes.html.j2``; up to four figures are written."""
    results = report.results
    if results.classes is None or not report.has_scores:
        return None
    names = [name for name in report.ranked if name in results.classes]
    shown = comparable(results, names) if names else []
    if not shown:
        return None
    first, outputs = shown[0], results.outputs
    classes = class_names(outputs, results.classes[first])
    heat_map = heat_map_of(results, shown, classes)
    matrix = confusions(report.folder, results, first)
    conventional = conventions(results, shown)
    write_figures(heat_map, classes, matrix, report.figures)
    return {
        "classes": classes,
        "first": first,
        "headline": headline(outputs),
        "convention": absent_convention(outputs),
        "heat_map": heat_map,
        "overall": {name: scores.mean() for name in shown if (scores := results.scores(name)) is not None},
        "chart": _chart(results, shown, classes, report.figures),
        "with_intervals": len(classes) <= MOST_WITH_INTERVALS,
        "everywhere": everywhere_sentences(results, shown),
        "differences": _differences(results, shown[:MOST_IN_CHARTS], report.figures),
        "metrics": [_heading(metric) for metric in _metrics().values()],
        "rows": class_rows(report.folder, results, first, classes, matrix),
        "objects": _objects(results, shown[1:MOST], classes),
        "matrix": matrix_rows(classes, matrix) if matrix else [],
        "confused": matrix.sentence() if matrix else "",
        "overlapping": outputs.task == "multilabel",
        "conventions": conventional[:MOST_IN_CHARTS],
        "order": order_sentence(conventional) if len(conventional) > 1 else "",
        "fewest": FEWEST,
        "fewest_tested": FEWEST_TESTED,
        "interval": interval,
        "p_value": p_value,
    }


def class_names(outputs: Outputs, table: ClassScores) -> list[ClassName]:
    """Return the classes as the page shows them."""
    return [
        ClassName(
            number,
            name,
            colour_of(number, is_background=number not in outputs.scored),
            table.num_images(number),
            number in outputs.scored,
        )
        for number, name in enumerate(outputs.names)
    ]


def heat_map_of(results: Results, names: Sequence[str], classes: Sequence[ClassName]) -> HeatMap:
    """Return test IoU by configuration and class.

    A column of equal values has no highest value.

    Args:
        results: of the study.
        names: configurations on the same images, the best first.
        classes: all of them.
    """
    shown = names[:MOST]
    found = {
        (name, each.number): score
        for each in classes
        for name in shown
        if (score := results.class_interval(name, each.number)) is not None
    }
    columns = {each.number: [s.mean for (_, n), s in found.items() if n == each.number] for each in classes}
    high = {number: max(means, default=0.0) for number, means in columns.items()}
    equal = {number for number, means in columns.items() if not means or max(means) == min(means)}
    squares = {
        (name, n): Square(score, score.mean == high[n] and n not in equal)
        for (name, n), score in found.items()
    }
    return HeatMap(tuple(shown), squares, len(names) - len(shown))


def _metrics() -> dict[str, Metric]:
    """Return the metrics of a class: those of the leaderboard but the ones at a tuned threshold."""
    return {name: each for name, each in shown_in("report").items() if each.takes != "tuned_counts"}


def _heading(metric: Metric) -> str:
    return metric.report_heading if metric.unit != "%" else f"{metric.short} %"


def class_rows(
    folder: StudyFolder,
    results: Results,
    name: str,
    classes: Sequence[ClassName],
    matrix: Confusions | None,
) -> list[ClassRow]:
    """Return the metrics and counts of a configuration, a row for each class."""
    columns = {column(metric): each for metric, each in _metrics().items()}
    ids = results.ids(name)
    needed = unique([*columns, *(column(each.penalty) for each in columns.values() if each.penalty)])
    rows = rows_of_runs(folder, replicate_runs(results.row(name)), needed)
    table = class_scores(rows, results.outputs, ids, needed)
    assert table is not None  # the headline of these runs was read before
    shares = None if matrix is None else matrix.class_shares
    groups = results.groups_of(name)
    return [
        ClassRow(
            each,
            DASH if shares is None else _percent(shares[each.number]),
            tuple(
                _written(table.interval(each.number, groups, name), metric)
                for name, metric in columns.items()
            ),
            _of(table.num_missed_images[each.number], each.num_images),
            _of(table.num_invented_images[each.number], len(ids) - each.num_images),
            tuple(_count(value) for value in table.objects[:, each.number]),
        )
        for each in classes
    ]


def _written(found: Interval | None, metric: Metric) -> tuple[str, str]:
    """Return a mean and its interval as text."""
    if found is None:
        return DASH, ""
    digits = metric.digits if metric.report_digits is None else metric.report_digits
    factor = 100 if metric.unit == "%" else 1
    mean, low, high = (
        None if value is None else f"{factor * value:.{digits}f}"
        for value in (found.mean, found.low, found.high)
    )
    return str(mean), "" if low is None else f"[{low}, {high}]"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _count(value: float) -> str:
    """Return a mean of counts over runs, as ``12`` or ``12.5``."""
    return DASH if np.isnan(value) else f"{value:,.1f}".removesuffix(".0")


def _of(value: float, number: int) -> str:
    return f"{_count(value)} of {number:,}" if number else DASH


def _large(count: float) -> str:
    """Return a number of pixels to three digits: 1.96 M, 512 k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return f"{count:.0f}"


def matrix_rows(classes: Sequence[ClassName], found: Confusions) -> list[MatrixRow]:
    """Return the confusion matrix as the page shows it."""
    return [
        MatrixRow(
            each,
            tuple(map(float, found.shares[each.number])),
            tuple(map(_large, found.pixels[each.number])),
        )
        for each in classes
    ]


def _objects(
    results: Results, names: Sequence[str], classes: Sequence[ClassName]
) -> list[tuple[str, list[str]]]:
    """Return missed and invented objects of further configurations, by scored class."""
    assert results.classes is not None
    return [
        (
            name,
            [
                f"{_count(missed)} / {_count(invented)}"
                for _, missed, invented in results.classes[name].objects.T[
                    [c.number for c in classes if c.is_scored]
                ]
            ],
        )
        for name in names
    ]


def _differences(results: Results, names: Sequence[str], out: Path) -> Differences | None:
    """Return the first configuration minus the others by class; None if there are no two classes."""
    found = class_differences(results, names)
    if not found or len(found[0].subgroups) < 2:
        return None
    return Differences(
        tuple(found),
        _saved(differences_chart(found), out / "class-differences"),
        tuple(dependence_sentences(found, "in")),
    )


def _chart(results: Results, names: Sequence[str], classes: Sequence[ClassName], out: Path) -> Markup:
    shown = names[:MOST_IN_CHARTS]
    groups = {
        f"{each.name} (n = {each.num_images})": [results.class_interval(name, each.number) for name in shown]
        for each in classes
        if each.num_images
    }
    return _saved(scores_chart(shown, groups), out / "iou-by-class")


def _saved(spec: specs.Spec, file: Path) -> Markup:
    return Markup(specs.inline(specs.save(spec, file)))  # noqa: S704  escaped by Vega


def write_figures(
    heat_map: HeatMap, classes: Sequence[ClassName], found: Confusions | None, out: Path
) -> None:
    """Write the heat map and the confusion matrix as figures, beside the tables of the page."""
    squares = [
        {
            "row": name,
            "column": each.name,
            "panel": "test IoU by class",
            "IoU": square.score.mean,
            "heat": square.score.mean,
            "spread": interval(square.score.low, square.score.high, 0.0),
        }
        for name in heat_map.names
        for each in classes
        if (square := heat_map.squares.get((name, each.number)))
    ]
    specs.save(
        specs.with_rows(specs.score_table(squares), pl.DataFrame(squares)), out / "configuration-by-class"
    )
    if found is None:
        return
    pixels = [
        {
            "row": true.name,
            "column": predicted.name,
            "panel": "share of the true class's pixels (rows) by predicted class",
            "IoU": float(found.shares[true.number, predicted.number]),
            "heat": float(found.shares[true.number, predicted.number]),
            "spread": _large(found.pixels[true.number, predicted.number]),
        }
        for true in classes
        for predicted in classes
    ]
    specs.save(specs.with_rows(specs.score_table(pixels), pl.DataFrame(pixels)), out / "confusion-matrix")
