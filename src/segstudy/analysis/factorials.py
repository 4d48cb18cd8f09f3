"""The full factorials of a study, and their analyses of variance."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segstudy.analysis.contrasts import spread
from segstudy.analysis.design import Design, label
from segstudy.analysis.results import pooled_runs
from segstudy.stats.factors import Factorial, factorial
from segstudy.stats.intervals import Scores, run_means

ORIGINAL = ("architecture", "loss", "batch_size")
MOST_FACTORS = 3  # of one analysis: an interaction of four cannot be read
MOST_TRIED = 6  # factors among which those of the analysis are looked for

Key = tuple[str, ...]


@dataclass(frozen=True)
class Crossing:
    """Configurations of which every combination of levels comes with every setting of everything else.

    Attributes:
        factors: those that are combined.
        levels: of each of them.
        cells: by combination of levels, the configurations of each setting.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    cells: dict[Key, tuple[tuple[str, ...], ...]]

    @property
    def is_full(self) -> bool:
        """Whether every factor has several levels left."""
        return bool(self.cells) and all(len(each) > 1 for each in self.levels)

    @property
    def names(self) -> list[str]:
        return [name for cell in self.cells.values() for group in cell for name in group]


def factorials(design: Design) -> list[tuple[str, Factorial]]:
    """Return the analyses of variance of a study's full factorials, each with its description.

    In a study whose factors are those of the original: architecture x loss at each batch size, and batch
    size x architecture x loss where several batch sizes have them. In any other, the factors with
    the largest differences that are fully crossed, at most three, averaged over all others.
    """
    if set(design.factors) <= set(ORIGINAL):
        return _originals(design)
    for crossing in _candidates(design):
        if crossing.is_full:
            return [(_title(design, crossing), _analysed(design, crossing))]
    return []


def _originals(design: Design) -> list[tuple[str, Factorial]]:
    sizes = design.levels("batch_size")
    found = []
    for chosen in [[size] for size in sizes] + ([sizes] if len(sizes) > 1 else []):
        names = [name for name, point in design.points.items() if point["batch_size"] in chosen]
        factors = [f for f in ORIGINAL if len({design.points[name][f] for name in names}) > 1]
        crossing = crossed(design, factors, names)
        factors = [f for f, each in zip(factors, crossing.levels, strict=True) if len(each) > 1]
        crossing = crossed(design, factors, crossing.names)
        if factors and len(crossing.cells) > 1:
            title = " × ".join(factor.replace("_", " ") for factor in factors)
            if "batch_size" not in factors:
                title += f" at batch size {chosen[0]}"
            found.append((title, _analysed(design, crossing)))
    return found


def _candidates(design: Design) -> list[Crossing]:
    """Return crossings of three factors, of two and of one, those with the largest differences first."""
    spreads = {factor: spread(design, factor) for factor in design.factors}
    known = {factor: each for factor, each in spreads.items() if each is not None}
    best = sorted(known, key=lambda factor: -known[factor])[:MOST_TRIED]
    some = [f for f in design.factors if f in best]
    return [
        crossed(design, factors, list(design.points))
        for size in range(min(MOST_FACTORS, len(some)), 0, -1)
        for factors in sorted(
            itertools.combinations(some, size), key=lambda chosen: -sum(known[f] for f in chosen)
        )
    ]


def crossed(design: Design, factors: Sequence[str], names: Sequence[str]) -> Crossing:
    """Return the full factorial of some factors among these configurations.

    Where combinations are missing, the level (or setting of everything else) that lacks most of its own is
    left out, of several the one with the fewest configurations, until nothing is missing.
    """
    found: dict[Key, list[str]] = {}
    for name in names:
        point = design.points[name]
        if all(factor in point for factor in factors):
            key = (*(point[factor] for factor in factors), design.rest(point, factors))
            found.setdefault(key, []).append(name)
    while worst := _most_missing(found, len(factors) + 1):
        dimension, level = worst
        found = {key: those for key, those in found.items() if key[dimension] != level}
    levels = [tuple(x for x in design.levels(f) if x in {k[i] for k in found}) for i, f in enumerate(factors)]
    settings = list(dict.fromkeys(key[-1] for key in found))
    cells = {
        combination: tuple(tuple(found[*combination, setting]) for setting in settings)
        for combination in itertools.product(*levels)
    }
    return Crossing(tuple(factors), tuple(levels), cells if found else {})


def _most_missing(found: dict[Key, list[str]], num_dimensions: int) -> tuple[int, str] | None:
    """Return the dimension and level that lacks most of its combinations; None if nothing is missing."""
    levels = [list(dict.fromkeys(key[i] for key in found)) for i in range(num_dimensions)]
    whole = int(np.prod([len(each) for each in levels]))
    if len(found) == whole:
        return None
    shares = {
        (i, level): (
            1 - (present := sum(key[i] == level for key in found)) * len(each) / whole,
            -present,
        )
        for i, each in enumerate(levels)
        for level in each
    }
    return max(shares, key=lambda place: shares[place])


def _title(design: Design, crossing: Crossing) -> str:
    points = [design.points[name] for name in crossing.names]
    fixed = [
        label(factor, points[0][factor])
        for factor in design.factors
        if factor not in crossing.factors and {p.get(factor) for p in points} == {points[0].get(factor)}
        if factor in points[0]
    ]
    title = " × ".join(factor.replace("_", " ") for factor in crossing.factors)
    title += f" at {', '.join(fixed)}" if fixed else ""
    num_settings = len(next(iter(crossing.cells.values())))
    return title + (f", mean over {num_settings} settings of everything else" if num_settings > 1 else "")


def _analysed(design: Design, crossing: Crossing) -> Factorial:
    means = {key: _run_means(design, groups) for key, groups in crossing.cells.items()}
    if len({each.shape[1] for each in means.values()}) > 1:  # some in folds, some not
        means = {key: each.mean(axis=1, keepdims=True) for key, each in means.items()}
    fewest = min(len(each) for each in means.values())
    scores = np.concatenate([each[:fewest] for each in means.values()])
    columns = {
        factor: [key[i] for key in means for _ in range(fewest)] for i, factor in enumerate(crossing.factors)
    }
    return factorial(scores, columns)


def _run_means(design: Design, groups: Sequence[Sequence[str]]) -> Scores:
    """Return a combination's mean over images for each run, averaged over its settings.

    Returns:
        ``(replicates, training sets)``, see ``stats.intervals.run_means``.
    """
    means = [run_means(pooled_runs(design.results, names)) for names in groups]
    if len({each.shape[1] for each in means}) > 1:  # some in folds, some not
        means = [each.mean(axis=1, keepdims=True) for each in means]
    fewest = min(len(each) for each in means)
    return np.asarray(np.mean([each[:fewest] for each in means], axis=0))
