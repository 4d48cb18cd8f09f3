"""Foreground probabilities: IoU by threshold, and whether a probability is the share that is foreground."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segstudy.analysis.formatting import interval, signed
from segstudy.analysis.probabilities import FEWEST_GROUPS, Probabilities, probabilities_of
from segstudy.analysis.results import Results, comparable
from segstudy.reporting.charts import probabilities as charts
from segstudy.reporting.charts import specs
from segstudy.reporting.sections.base import ReportData
from segstudy.stats.intervals import Interval, by_group, mean_interval

MOST = 4  # configurations
PARTS = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Line:
    """A configuration in the table.

    Attributes:
        name: of it.
        chosen: the threshold best on validation, as text; a range where it differs between runs.
        change: test IoU at that threshold minus that at .5; None without these scores.
        within: thresholds whose validation IoU is within the margin of the highest.
        overconfidence: mean confidence in a test pixel minus the share of right ones.
    """

    name: str
    chosen: str
    change: Interval | None
    within: tuple[float, float]
    overconfidence: Interval


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``probabilities.html.j2``; two figures are written."""
    results = report.results
    if results.outputs.task != "binary":  # there is no threshold that is one number, see `classes`
        return None
    names = [name for name in report.ranked if results.has(name)]
    shown = comparable(results, names)[:MOST] if names else []
    found = {part: _of_part(report, shown, part) for part in PARTS}
    known = [name for name in shown if all(name in found[part] for part in PARTS)]
    if not known:
        return None
    found = {part: {name: found[part][name] for name in known} for part in PARTS}
    lines = [_line(results, name, found) for name in known]
    return {
        "lines": lines,
        "sentences": [_threshold_text(lines[0]), _confidence_text(lines[0])],
        "margin": results.margin,
        "fewest": FEWEST_GROUPS,
        "num_left_out": len(names) - len(known),
        "charts": _charts(results, found, report.figures),
        "interval": interval,
    }


def _of_part(report: ReportData, names: Sequence[str], part: str) -> dict[str, Probabilities]:
    found = {name: probabilities_of(report.folder, report.results, name, part) for name in names}
    return {name: each for name, each in found.items() if each is not None}


def _thresholds(results: Results, name: str) -> list[float]:
    chosen = {record.summary.tuned_threshold for record in results.row(name).records}
    return sorted(each for each in chosen if each is not None)


def _line(results: Results, name: str, found: Mapping[str, Mapping[str, Probabilities]]) -> Line:
    chosen = _thresholds(results, name)
    text = f"{chosen[0]:.2f}" if len(chosen) == 1 else f"{chosen[0]:.2f} to {chosen[-1]:.2f}"
    return Line(
        name,
        text,
        _change(results, name),
        found["validation"][name].within(results.margin),
        found["test"][name].overconfidence(),
    )


def _change(results: Results, name: str) -> Interval | None:
    tuned, half = results.scores(name, metric="native_iou_tuned"), results.scores(name)
    if tuned is None or half is None:
        return None
    return mean_interval(by_group(tuned - half, results.groups_of(name)))


def _threshold_text(line: Line) -> str:
    low, high = line.within
    at = f"from {low:.2f} to {high:.2f}" if low < high else f"of {low:.2f} alone"
    half = ", so also at .5." if low <= 0.5 <= high else ", but not at .5."
    flat = f"The validation IoU of {line.name} is within the margin of its highest at thresholds {at}{half}"
    change = line.change
    if change is None or change.low is None or change.high is None:
        return flat
    seen = f"{signed(change.mean)} {interval(change.low, change.high)}"
    shown = "" if change.low > 0 or change.high < 0 else ", which is not shown to be a change"
    return (
        f"{flat} At the threshold chosen on validation ({line.chosen}) instead of .5, test IoU differs by "
        f"{seen}{shown}."
    )


def _confidence_text(line: Line) -> str:
    found = line.overconfidence
    if found.low is None or found.high is None:
        return ""
    mean = f"its mean confidence is {abs(found.mean):.3f}"
    if found.low > 0:
        seen = interval(found.low, found.high)
        return f"{line.name} is too sure of its test pixels: {mean} above the share that is right {seen}."
    if found.high < 0:
        seen = interval(-found.high, -found.low)
        return f"{line.name} is too unsure of its test pixels: {mean} below the share that is right {seen}."
    seen = f"{signed(found.mean)} {interval(found.low, found.high)}"
    return (
        f"{line.name} is not shown to be too sure or too unsure of its test pixels: mean confidence minus "
        f"the share that is right is {seen}."
    )


def _charts(
    results: Results, found: Mapping[str, Mapping[str, Probabilities]], out: Path
) -> dict[str, Markup]:
    chosen = {name: _thresholds(results, name) for name in found["test"]}
    bins = {name: each.reliability() for name, each in found["test"].items()}
    curves = specs.save(charts.threshold_curves(found, chosen), out / "iou-by-threshold")
    shown = {"thresholds": curves, "reliability": ""}
    if any(bins.values()):
        shown["reliability"] = specs.save(charts.reliability_diagrams(bins), out / "reliability")
    return {name: Markup(specs.inline(svg)) for name, svg in shown.items()}  # noqa: S704  escaped by Vega
