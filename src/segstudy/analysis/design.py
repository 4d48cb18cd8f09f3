"""The design of a study: its factors, their levels, and configurations that differ in one factor alone."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from segstudy.analysis.configurations import Row
from segstudy.analysis.results import Results
from segstudy.config.protocol import FACTORS
from segstudy.config.runs import spelled

Names = dict[str, list[str]]
Groups = dict[str, list[list[str]]]
Point = Mapping[str, str]

COMPONENTS = ("architecture", "loss")
# Fields that decide on which images and against which masks a configuration is tested: no factors of quality.
TRUTH = ("split", "split_seed", "masks", "foreground", "classes", "ignore")
RECORDING = ("record_test",)  # changes nothing in a network


@dataclass(frozen=True)
class Design:
    """Configurations that can be compared with each other, by their levels.

    Attributes:
        results: of the study.
        points: of each configuration, in the study's order, the level of each field that it uses.
        values: the levels as numbers, texts or lists, by factor and level.
        other_truths: configurations that are tested on other images or masks; they are left out.
        truth_fields: the fields in which these differ.
        incomplete: configurations that lack runs; they are left out.
        stopped: configurations that a look of a sequential study stopped; they are left out.
    """

    results: Results
    points: Mapping[str, Point]
    values: Mapping[str, Mapping[str, Any]]
    other_truths: tuple[str, ...] = ()
    truth_fields: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """Everything that varies between these configurations, in the order of the protocol's fields."""
        return tuple(f for f in FACTORS if f not in (*TRUTH, *RECORDING) and len(self.levels(f)) > 1)

    def levels(self, factor: str) -> list[str]:
        """Return the levels of a factor where it is used: numbers by size, others in the study's order."""
        found = {p[factor]: self.values[factor][p[factor]] for p in self.points.values() if factor in p}
        return _in_order(found)

    def condition(self, factor: str) -> str:
        """Return where a factor is used, as ``optimizer=sgd``; empty if it is used everywhere."""
        for other in self.factors:
            if factor in self.nested_in(other):
                with_it = [
                    level
                    for level in self.levels(other)
                    if any(factor in p for p in self.points.values() if p.get(other) == level)
                ]
                return f"{other}={'/'.join(with_it)}"
        return ""

    @cached_property
    def _nested(self) -> dict[str, set[str]]:
        if not self.points:
            return {factor: set() for factor in FACTORS}
        points = list(self.points.values())
        everywhere = set.intersection(*(set(point) for point in points))
        partly = {field for point in points for field in point} - everywhere
        return {factor: {f for f in partly - {factor} if self._decides(factor, f)} for factor in FACTORS}

    def nested_in(self, factor: str) -> set[str]:
        """Return the fields that only some levels of a factor use, as ``momentum`` is in ``optimizer``."""
        return self._nested[factor]

    def _decides(self, factor: str, field: str) -> bool:
        sides: tuple[set[str | None], set[str | None]] = (set(), set())
        for point in self.points.values():
            sides[field in point].add(point.get(factor))
        return all(sides) and None not in sides[0] | sides[1] and not sides[0] & sides[1]

    def within(self, factor: str, level: str) -> "Design":
        """Return the part of the design in which a factor has one level."""
        return replace(self, points={n: p for n, p in self.points.items() if p.get(factor) == level})

    def matched(self, factor: str, wanted: Iterable[str]) -> Groups:
        """Return, for each level, the configurations of each setting of everything else that has all levels.

        A group has several configurations where a level alone uses a further factor: momentum of sgd.
        """
        wanted = list(wanted)
        found: dict[str, dict[str, list[str]]] = {each: {} for each in wanted}
        for name, point in self.points.items():
            if point.get(factor) in found:
                found[point[factor]].setdefault(self._rest(point, factor), []).append(name)
        settings = [s for s in found[wanted[0]] if all(s in found[each] for each in wanted)]
        return {each: [found[each][setting] for setting in settings] for each in wanted}

    def _rest(self, point: Point, factor: str) -> str:
        """Return everything of a configuration except one factor and what is nested in it."""
        return self.rest(point, (factor,))

    def rest(self, point: Point, factors: Sequence[str]) -> str:
        """Return everything of a configuration except some factors and what is nested in them."""
        without = set(factors).union(*(self.nested_in(factor) for factor in factors))
        return json.dumps({name: level for name, level in point.items() if name not in without})


def design_of(results: Results, complete: bool = True) -> Design:
    """Return the design of a study's own configurations that are tested on the same images and masks.

    If some are tested on others, those are kept of which there are most.

    Args:
        results: of the study.
        complete: whether only configurations with all their runs count, or all with scores.
    """
    scored = [row for row in results.trained if results.has(row.name)]
    rows = [row for row in scored if row.complete or not complete]
    truths = [_truth(results, row) for row in rows]
    usual = max(dict.fromkeys(truths), key=truths.count, default=None)
    kept = [row for row, truth in zip(rows, truths, strict=True) if truth == usual]
    others = [row for row, truth in zip(rows, truths, strict=True) if truth != usual]
    left_out = [row for row in results.trained if not (row.complete and results.has(row.name))]
    values: dict[str, dict[str, Any]] = {factor: {} for factor in FACTORS}
    points: dict[str, dict[str, str]] = {}
    for row in kept:
        fields = _used(row)
        points[row.name] = {name: _text(name, value) for name, value in fields.items()}
        for name, value in fields.items():
            values[name].setdefault(points[row.name][name], value)
    return Design(
        results,
        points,
        values,
        other_truths=tuple(row.name for row in others),
        truth_fields=_fields_between(others, kept),
        incomplete=tuple(row.name for row in left_out if row.stopped is None),
        stopped=tuple(row.name for row in left_out if row.stopped is not None),
    )


def _truth(results: Results, row: Row) -> tuple[Any, ...]:
    protocol = row.configuration["protocol"]
    return results.ids(row.name), *(_text(name, protocol.get(name)) for name in TRUTH)


def _fields_between(others: Sequence[Row], kept: Sequence[Row]) -> tuple[str, ...]:
    protocols = [row.configuration["protocol"] for row in (*others, *kept)]
    return tuple(f for f in TRUTH if len({_text(f, protocol.get(f)) for protocol in protocols}) > 1)


def _used(row: Row) -> dict[str, Any]:
    """Return the fields that a configuration uses, with their values."""
    idle = row.planned.protocol.idle() if row.planned else set()
    flat = {**{f: row.configuration[f] for f in COMPONENTS}, **row.configuration["protocol"]}
    return {name: flat[name] for name in FACTORS if name in flat and name not in idle}


def level(row: Row, factor: str) -> str:
    """Return the level of a factor in a configuration, as text."""
    return _text(factor, row.configuration.get(factor, row.configuration["protocol"].get(factor)))


def _text(factor: str, value: Any) -> str:
    return spelled(factor, value) if value is None or isinstance(value, list | str) else json.dumps(value)


def levels_of(rows: Iterable[Row], factor: str) -> list[str]:
    """Return the levels of a factor in configurations that use it, in the order of ``Design.levels``."""
    values = [fields[factor] for row in rows if factor in (fields := _used(row))]
    return _in_order({_text(factor, value): value for value in values})


def _in_order(values: Mapping[str, Any]) -> list[str]:
    return sorted(values, key=lambda level: _size_of(values[level]))


def _size_of(value: Any) -> float:
    """Return by what a level is sorted: a number by itself, an image size by its area; else all are equal."""
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return float(value[0] * value[-1])
    return float(value) if isinstance(value, int | float) else 0.0


def label(factor: str, level: str) -> str:
    """Return a level as it is named in sentences: ``unet``, ``dice``, ``lr=0.01``."""
    return level if factor in COMPONENTS else f"{factor}={level}"


def levels(results: Results, factor: str) -> list[str]:
    """Return the levels of comparable configurations with all their runs, see ``Design.levels``."""
    return design_of(results).levels(factor)


def matched(results: Results, factor: str, wanted: Iterable[str]) -> Names:
    """Return, for each level, the configurations that differ in that factor alone, in the same order.

    Settings of everything else that lack one of the levels are left out, and so is what is incomplete or
    tested on other images.
    """
    groups = design_of(results).matched(factor, wanted)
    return {each: [name for group in mine for name in group] for each, mine in groups.items()}
