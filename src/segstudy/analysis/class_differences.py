"""Differences between configurations by class: whether they depend on it, and whether one is best in all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segstudy.analysis.class_scores import ClassScores, counting
from segstudy.analysis.formatting import MOST_NAMED, interval, listed, p_value, score
from segstudy.analysis.results import Results
from segstudy.analysis.subgroup_differences import (
    FEWEST_TESTED,
    InSubgroup,
    SubgroupDifferences,
    adjusted,
)
from segstudy.core.quantities import counted
from segstudy.metrics import HEADLINE, column
from segstudy.stats.comparisons import Difference, difference
from segstudy.stats.intervals import LEVEL, Scores
from segstudy.stats.subgroups import interaction

IOU = column(HEADLINE)
KIND = "class"


@dataclass(frozen=True)
class _Pair:
    """Two configurations on the images on which a class counts in either of them."""

    number: int
    ours: Scores
    theirs: Scores
    groups: list[str]

    def difference(self, margin: float) -> Difference:
        return difference(self.ours, self.theirs, self.groups, margin)


def class_differences(results: Results, names: Sequence[str]) -> list[SubgroupDifferences]:
    """Compare the first configuration with each of the others in every scored class.

    The test is that of ``stats.subgroups`` with the classes as subgroups: an image is in several of them.

    Args:
        results: of a study with several classes.
        names: configurations on the same test images that have scores by class.
    """
    return adjusted([_compared(results, names[0], other) for other in names[1:]])


def _compared(results: Results, first: str, other: str) -> SubgroupDifferences:
    sides = _tables(results, first, other)
    pairs = _pairs(results, first, other)
    each = tuple(
        InSubgroup(
            sides[0].names[pair.number],
            sides[0].num_images(pair.number),
            pair.difference(results.margin),
            _num_groups(results, first, sides[0].in_truth[:, pair.number]) >= FEWEST_TESTED,
        )
        for pair in pairs
    )
    tested = [pair for pair, one in zip(pairs, each, strict=True) if one.is_tested]
    p = None
    if len(tested) > 1 and min(len(pairs[0].ours), len(pairs[0].theirs)) > 1:
        places = [place for place, pair in enumerate(tested) for _ in pair.groups]
        ours, theirs = (np.concatenate([getattr(p, side) for p in tested], 1) for side in ("ours", "theirs"))
        p = interaction(ours, theirs, places, [group for pair in tested for group in pair.groups]).p
    return SubgroupDifferences(KIND, first, other, each, p)


def _tables(results: Results, *names: str) -> list[ClassScores]:
    assert results.classes is not None
    return [results.classes[name] for name in names]


def _pairs(results: Results, first: str, other: str) -> list[_Pair]:
    """Return both sides in each scored class that true masks of at least two groups have."""
    groups, sides = np.array(results.groups_of(first)), _tables(results, first, other)
    found = []
    for number in results.outputs.scored:
        if _num_groups(results, first, sides[0].in_truth[:, number]) > 1:
            images = counting(number, *sides)
            ours, theirs = (side.of(number, images, IOU) for side in sides)
            found.append(_Pair(number, ours, theirs, groups[images].tolist()))
    return found


def _num_groups(results: Results, name: str, images: NDArray[np.bool_]) -> int:
    return len(set(np.array(results.groups_of(name))[images]))


def everywhere_sentences(results: Results, names: Sequence[str]) -> list[str]:
    """Return whether the first configuration is highest in every class, or where others are better.

    Args:
        results: of a study with several classes.
        names: configurations on the same test images that have scores by class, the winner first.
    """
    scored = [number for number in results.outputs.scored if _tables(results, names[0])[0].num_images(number)]
    if len(names) < 2 or not scored:
        return []
    means = {name: _means(results, name, scored) for name in names}
    sentences = [_highest(results, names, means)]
    better = _shown_better(results, names)
    return [*sentences, *better]


def _means(results: Results, name: str, numbers: Sequence[int]) -> dict[int, float]:
    (table,) = _tables(results, name)
    return {n: float(table.of(n, counting(n, table), IOU).mean()) for n in numbers}


def _highest(results: Results, names: Sequence[str], means: Mapping[str, Mapping[int, float]]) -> str:
    winner, titles = names[0], results.outputs.names
    won, equal, shared, others = [], [], [], []
    for n in means[winner]:
        first = max(names, key=lambda name: means[name][n])
        highest = [name for name in names if means[name][n] == means[first][n]]
        if len(highest) == len(names):
            equal.append(f"{titles[n]} ({score(means[winner][n])})")
        elif highest == [winner]:
            won.append(titles[n])
        elif winner in highest:
            shared.append(f"{titles[n]} (with {listed(highest[1:])})")
        else:
            against = f"{score(means[first][n])} against {score(means[winner][n])}"
            others.append(f"{listed(highest)} in {titles[n]} ({against})")
    number = len(means[winner])
    if len(won) == number:
        return f"{winner} has the highest test IoU in {_all(number)}."
    in_these = f"in {len(won)} of {counted(number, 'class')} ({listed(won)})" if won else "in no class alone"
    said = [
        in_these,
        *([f"all are equal in {listed(equal)}"] if equal else []),
        *([f"it shares the highest in {listed(shared)}"] if shared else []),
        *([f"higher means have {listed(others)}"] if others else []),
    ]
    return f"{winner} has the highest test IoU {'; '.join(said)}."


def _all(count: int) -> str:
    return {1: "the only class", 2: "both classes"}.get(count, f"all {count} classes")


def _shown_better(results: Results, names: Sequence[str]) -> list[str]:
    """Return the classes in which another configuration is better than the first; corrected for all pairs."""
    pairs = [
        (other, pair.number, pair.difference(results.margin))
        for other in names[1:]
        for pair in _pairs(results, names[0], other)
    ]
    if not pairs or not all(each.has_training_noise for *_, each in pairs):
        return []
    from statsmodels.stats.multitest import multipletests  # with pandas: 0.3 s of the start of each command

    p_values = multipletests([each.p for *_, each in pairs], method="holm")[1]
    said, least = [], 1.0
    for (other, number, each), p in sorted(zip(pairs, p_values, strict=True), key=lambda found: found[1]):
        if each.mean < 0:
            least = min(least, float(p))
            if p < 1 - LEVEL:
                seen = f"{score(-each.mean)} IoU {interval(-each.high, -each.low)}"
                said.append(
                    f"In {results.outputs.names[number]}, {other} is better by {seen} ({p_value(p)})."
                )
    if all(each.mean >= 0 for *_, each in pairs):
        return []
    corrected = f"corrected for {counted(len(pairs), 'comparison')}"
    if said:
        rest = len(said) - MOST_NAMED
        more = (
            [f"{counted(rest, 'more comparison')} found another one better in a class."] if rest > 0 else []
        )
        return [*said[:MOST_NAMED], *more, f"These p values are {corrected}."]
    return [
        f"In no class is another configuration shown to be better than {names[0]} (least {p_value(least)}, "
        f"{corrected})."
    ]
