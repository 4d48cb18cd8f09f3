"""Configurations over several data sets: what `segstudy compare-sets` says."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from segstudy.analysis.against_winner import compared
from segstudy.analysis.matched_sets import MatchedSets, matched_sets
from segstudy.analysis.results import Results
from segstudy.core.errors import UserError
from segstudy.core.seeding import seed_for
from segstudy.stats.best import AgainstBest, against_best
from segstudy.stats.comparisons import Difference
from segstudy.stats.data_sets import (
    Losses,
    OverSets,
    SetRanks,
    SetStability,
    best_without,
    losses,
    over_sets,
    set_ranks,
    set_stability,
)
from segstudy.stats.intervals import AnyScores, Interval, Scores, by_seed, score_interval
from segstudy.stats.ranks import Ranking, ranking


@dataclass(frozen=True, slots=True)
class SetPair:
    """Two configurations over all sets: `a` minus `b`.

    Attributes:
        a, b: their names.
        per_set: the difference on each set.
        over: the two in data sets like these; interval, p value and conclusion hold for all pairs at once.
        alone: the same for this pair alone, if it was chosen before.
    """

    a: str
    b: str
    per_set: tuple[Difference, ...]
    over: OverSets
    alone: OverSets


@dataclass(frozen=True, slots=True)
class SetRow:
    """A configuration over all sets.

    Attributes:
        name: of the configuration.
        per_set: test IoU on each set.
        mean: over sets, each with the same weight.
        mean_rank: over sets; 1 is best.
        against: on each set, the configuration against the best of the others.
        losses: how far it is from the best of each set.
        stability: of its place.
        sets_won: on how many sets it has the highest mean.
    """

    name: str
    per_set: tuple[Interval, ...]
    mean: float
    mean_rank: float
    against: tuple[AgainstBest, ...]
    losses: Losses
    stability: SetStability
    sets_won: int


@dataclass(frozen=True)
class SetsComparison:
    """What ``segstudy.compare_sets`` returns.

    Attributes:
        matched: the sets and their common configurations, what was left out and what differs.
        rows: of the configurations, the highest mean over sets first.
        pairs: of all configurations, in the order of the rows.
        ranks: Friedman's test with sets as blocks.
        ranking: Nemenyi's test of the same; None with two configurations.
        without: the configuration that is highest when each set is left out.
        margin: the smallest of the studies'.
    """

    matched: MatchedSets
    rows: tuple[SetRow, ...]
    pairs: tuple[SetPair, ...]
    ranks: SetRanks
    ranking: Ranking | None
    without: tuple[str, ...]
    margin: float

    @property
    def set_names(self) -> list[str]:
        return [each.name for each in self.matched.sets]

    @property
    def top(self) -> SetRow:
        """Return the configuration with the highest mean over sets."""
        return self.rows[0]

    @cached_property
    def safest(self) -> SetRow:
        """Return the configuration whose largest loss against the best of a set is the smallest."""
        return min(self.rows, key=lambda row: row.losses.worst)

    @cached_property
    def against_top(self) -> dict[str, SetPair]:
        """Return the top configuration minus each of the others, by name."""
        top = self.top.name
        return {pair.b: pair for pair in self.pairs if pair.a == top}


def compare_data_sets(folders: Sequence[Path], accept_differences: bool = False) -> SetsComparison:
    """Compare the configurations that several finished studies have in common.

    Args:
        folders: of studies on different data sets.
        accept_differences: see ``matched_sets``.

    Raises:
        UserError: see ``matched_sets``.
    """
    matched = matched_sets(folders, accept_differences)
    scores = [
        [_runs(each.results, c.names[k]) for c in matched.configurations]
        for k, each in enumerate(matched.sets)
    ]
    means = np.array([[float(by_seed(s).mean()) for s in of_set] for of_set in scores])
    order = np.argsort(-means.mean(0), kind="stable")
    names = [matched.configurations[i].name for i in order]
    means, scores = means[:, order], [[of_set[i] for i in order] for of_set in scores]
    margin = min(each.results.margin for each in matched.sets)
    ranks = set_ranks(means)
    return SetsComparison(
        matched=matched,
        rows=_rows(names, scores, means, ranks),
        pairs=_pairs(matched, [int(i) for i in order], margin),
        ranks=ranks,
        ranking=ranking(means) if len(names) > 2 else None,
        without=tuple(names[i] for i in best_without(means)),
        margin=margin,
    )


def _runs(results: Results, name: str) -> AnyScores:
    found = results.runs_of_units(name)
    if found is None:
        raise UserError(f"{name}: a run has no test IoU, so that it cannot be compared; train it again")
    return found


def _rows(
    names: Sequence[str], scores: Sequence[Sequence[AnyScores]], means: Scores, ranks: SetRanks
) -> tuple[SetRow, ...]:
    by_seeds = [[by_seed(each) for each in of_set] for of_set in scores]
    stabilities = set_stability(by_seeds, seed_for("stability of ranks over data sets"))
    against = [against_best(of_set) for of_set in scores]
    best = means.argmax(1)
    return tuple(
        SetRow(
            name=name,
            per_set=tuple(score_interval(of_set[i]) for of_set in scores),
            mean=float(means[:, i].mean()),
            mean_rank=float(ranks.mean_ranks[i]),
            against=tuple(of_set[i] for of_set in against),
            losses=lost,
            stability=stability,
            sets_won=int((best == i).sum()),
        )
        for i, (name, lost, stability) in enumerate(zip(names, losses(means), stabilities, strict=True))
    )


def _pairs(matched: MatchedSets, order: Sequence[int], margin: float) -> tuple[SetPair, ...]:
    """Return all pairs of configurations."""
    found = []
    both = list(itertools.combinations(order, 2))
    for i, j in both:
        a, b = matched.configurations[i], matched.configurations[j]
        per_set = tuple(
            compared(each.results, a.names[k], each.results, b.names[k])
            for k, each in enumerate(matched.sets)
        )
        values = [d.mean for d in per_set], [d.standard_error**2 for d in per_set], margin
        found.append(SetPair(a.name, b.name, per_set, over_sets(*values, len(both)), over_sets(*values)))
    return tuple(found)
