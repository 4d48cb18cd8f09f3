"""Comparisons of levels of a factor with everything else equal, pooled over all common settings."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segstudy.analysis.design import Design, Groups, design_of
from segstudy.analysis.results import Results, pooled, pooled_runs
from segstudy.stats.comparisons import Difference, difference
from segstudy.stats.intervals import LEVEL, AnyScores, Scores, ScoresByFold, by_seed


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two groups of levels: `left` less `right` in test IoU.

    Attributes:
        left, right: their names.
        difference: of the two, each averaged over its configurations.
        num_matched: how many settings of everything else it is averaged over.
    """

    left: str
    right: str
    difference: Difference
    num_matched: int


def contrast(
    results: Results, factor: str, left: Sequence[str], right: Sequence[str], called: tuple[str, str]
) -> Contrast | None:
    """Compare groups of levels on their common settings; None if there are none."""
    return contrast_of(design_of(results), factor, left, right, called)


def contrast_of(
    design: Design, factor: str, left: Sequence[str], right: Sequence[str], called: tuple[str, str]
) -> Contrast | None:
    """Return ``contrast`` for a study whose design is known."""
    groups = design.matched(factor, [*left, *right])
    results, settings = design.results, groups[left[0]]
    if not settings or len(set(results.groups_of(settings[0][0]))) < 2:
        return None
    ours, theirs = (averaged_runs(results, groups, side) for side in (left, right))
    found = difference(ours, theirs, results.groups_of(settings[0][0]), results.margin)
    return Contrast(*called, found, len(settings))


def averaged(results: Results, groups: Groups, levels: Sequence[str], part: str = "test") -> Scores:
    """Return the mean of some levels over their settings, each setting with the same weight.

    Returns:
        ``(replicates, images)``.
    """
    return _mean([pooled(results, names, part) for level in levels for names in groups[level]])


def averaged_runs(results: Results, groups: Groups, levels: Sequence[str]) -> AnyScores:
    """Return the same of the test scores, by fold if all of the configurations have the same folds."""
    means = [pooled_runs(results, names) for level in levels for names in groups[level]]
    in_folds = [each for each in means if isinstance(each, ScoresByFold)]
    if len(in_folds) < len(means) or not all(
        np.array_equal(in_folds[0].folds, each.folds) for each in in_folds
    ):
        return _mean([by_seed(each) for each in means])
    return ScoresByFold(_mean([each.scores for each in in_folds]), in_folds[0].folds)


def _mean(found: Sequence[Scores]) -> Scores:
    """Return the mean over settings of the seeds that all of them have."""
    fewest = min(len(each) for each in found)
    return np.asarray(np.mean([each[:fewest] for each in found], axis=0))


def adjusted(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return the contrasts of one question with Holm's p values and the conclusions that these allow."""
    measured = [c for c in contrasts if c.difference.has_training_noise]
    if len(measured) < 2 or len(measured) < len(contrasts):
        return list(contrasts)
    from statsmodels.stats.multitest import multipletests  # with pandas: 0.3 s of the start of each command

    p_values = multipletests([c.difference.p for c in measured], method="holm")[1]
    return [_with_p(c, float(p)) for c, p in zip(measured, p_values, strict=True)]


def _with_p(c: Contrast, p: float) -> Contrast:
    won = c.difference.conclusion in ("a", "b")
    conclusion = "not resolved" if won and p >= 1 - LEVEL else c.difference.conclusion
    return replace(c, difference=replace(c.difference, p=p, conclusion=conclusion))


def spread(design: Design, factor: str, part: str = "test") -> float | None:
    """Return how far the means of a factor's levels lie apart on equal settings of everything else.

    Settings that all levels have are taken; if there are none, the pair of levels that lies farthest apart.
    None if no two levels share a setting.
    """
    levels = design.levels(factor)
    chosen = [levels] if design.matched(factor, levels)[levels[0]] else itertools.combinations(levels, 2)
    found = []
    for some in chosen:
        groups = design.matched(factor, some)
        if groups[some[0]]:
            means = [float(averaged(design.results, groups, [each], part).mean()) for each in some]
            found.append(max(means) - min(means))
    return max(found, default=None)
