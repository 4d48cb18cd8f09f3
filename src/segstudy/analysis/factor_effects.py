"""The effect of each factor of a study: its levels compared on equal settings of everything else."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from segstudy.analysis.contrasts import Contrast, averaged, averaged_runs, contrast_of, spread
from segstudy.analysis.design import Design, label
from segstudy.stats.factors import Factorial, for_all_pairs
from segstudy.stats.intervals import Interval, joined, score_interval

MOST_PAIRED = 8  # levels of which all pairs are compared; of more, only those with the best


@dataclass(frozen=True, slots=True)
class LevelScore:
    """A level of a factor beside the best one.

    Attributes:
        level: as in the study.
        test: IoU, averaged over the settings that it shares with the best; of the best, with all others.
        contrast: the level minus the best one; None for the best itself.
    """

    level: str
    test: Interval
    contrast: Contrast | None


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """Levels of a factor that share settings of everything else.

    Attributes:
        factor: its name.
        condition: where it is used, as ``optimizer=sgd``; empty if everywhere.
        levels: by size where they are numbers, else in the study's order.
        best: the level with the highest validation mean, on the settings that it shares with the others.
        num_levels: of the factor, for which intervals and p values are adjusted.
        pairs: all comparisons of two levels, as left less right.
        spread: how far the means of the levels lie apart.
        nested: the varying fields that only some of the levels use, and that are averaged over.
    """

    factor: str
    condition: str
    levels: tuple[LevelScore, ...]
    best: str
    num_levels: int
    pairs: tuple[Contrast, ...]
    spread: float
    nested: tuple[str, ...] = ()

    @property
    def has_training_noise(self) -> bool:
        return all(pair.difference.has_training_noise for pair in self.pairs)


def importance(
    effects: Sequence[FactorEffect], factorials: Sequence[tuple[str, Factorial]]
) -> Mapping[str, float]:
    """Return by what factors are ordered: the largest share of variance of an effect in which they are.

    Where no analysis of variance has all of them, it is how far the means of their levels lie apart.
    """
    spreads = {effect.factor: effect.spread for effect in effects}
    for _, found in factorials:
        shares = {
            factor: max((e.omega_squared for e in found.effects if factor in e.factors), default=None)
            for factor in spreads
        }
        known = {factor: share for factor, share in shares.items() if share is not None}
        if len(known) == len(spreads):
            return known
    return spreads


def effects_of(design: Design, factor: str) -> list[FactorEffect]:
    """Return the comparisons of a factor's levels: one for each set of levels that share settings."""
    return [
        effect
        for levels in _sharing(design, factor)
        if len(levels) > 1 and (effect := _effect(design, factor, levels))
    ]


def _sharing(design: Design, factor: str) -> list[list[str]]:
    """Return the levels in sets within which each level shares a setting with another one."""
    levels = design.levels(factor)
    sets: list[set[str]] = [{each} for each in levels]
    for a, b in itertools.combinations(levels, 2):
        if design.matched(factor, [a, b])[a]:
            joined = [each for each in sets if a in each or b in each]
            sets = [each for each in sets if each not in joined] + [set().union(*joined)]
    return sorted(([x for x in levels if x in each] for each in sets), key=lambda each: levels.index(each[0]))


def _effect(design: Design, factor: str, levels: Sequence[str]) -> FactorEffect | None:
    best = _best(design, factor, levels)
    everything = itertools.combinations(levels, 2)
    pairs = everything if len(levels) <= MOST_PAIRED else ((best, each) for each in levels if each != best)
    num_levels = len(design.levels(factor))
    contrasts = {
        (a, b): found for a, b in pairs if (found := _contrast(design, factor, a, b, num_levels)) is not None
    }
    if not contrasts:  # one group of test images compares nothing
        return None
    return FactorEffect(
        factor=factor,
        condition=design.condition(factor),
        levels=tuple(_level_score(design, factor, each, best, levels) for each in levels),
        best=best,
        num_levels=num_levels,
        pairs=tuple(contrasts.values()),
        spread=spread(design, factor) or 0.0,
        nested=tuple(f for f in design.factors if f in design.nested_in(factor)),
    )


def _contrast(design: Design, factor: str, a: str, b: str, num_levels: int) -> Contrast | None:
    """Return `a` minus `b` for all pairs of as many levels at once."""
    found = contrast_of(design, factor, [a], [b], (label(factor, a), label(factor, b)))
    return found and replace(found, difference=for_all_pairs(found.difference, num_levels))


def _level_score(design: Design, factor: str, level: str, best: str, levels: Sequence[str]) -> LevelScore:
    groups = design.matched(factor, levels if level == best else [level, best])
    if not groups[level]:  # shares settings with other levels only
        groups = design.matched(factor, [level])
    scores = averaged_runs(design.results, groups, [level])
    units = joined(scores, design.results.groups_of(groups[level][0][0]))
    found = None if level == best else _contrast(design, factor, level, best, len(design.levels(factor)))
    return LevelScore(level, score_interval(units), found)


def _best(design: Design, factor: str, levels: Sequence[str]) -> str:
    """Return the level that is ahead on validation of the levels that it shares settings with, on average.

    Only those that share settings with most others are considered.
    """
    ahead: dict[str, list[float]] = {each: [] for each in levels}
    for a, b in itertools.combinations(levels, 2):
        groups = design.matched(factor, [a, b])
        if groups[a]:
            means = [float(averaged(design.results, groups, [x], "validation").mean()) for x in (a, b)]
            ahead[a].append(means[0] - means[1])
            ahead[b].append(means[1] - means[0])
    most = max(len(each) for each in ahead.values())
    return max((each for each in levels if len(ahead[each]) == most), key=lambda each: sum(ahead[each]))
