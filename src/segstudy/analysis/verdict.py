"""The answers of a study: the best configuration, by how much, how certain; and the five questions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from segstudy.analysis.across_training_sets import TrainingSets, training_sets
from segstudy.analysis.against_winner import Versus, against_winner
from segstudy.analysis.chances import stabilities
from segstudy.analysis.confidence_set import Contender, confidence_set, may_be_best
from segstudy.analysis.design import design_of
from segstudy.analysis.factor_answers import FactorAnswers, factor_answers
from segstudy.analysis.factorials import factorials
from segstudy.analysis.formatting import counted_images, interval, listed, mean
from segstudy.analysis.looks import doubt_of_end
from segstudy.analysis.optimism import choice_warning, optimism_text
from segstudy.analysis.questions import Answer, answers
from segstudy.analysis.result_warnings import result_warnings
from segstudy.analysis.results import Results, comparable
from segstudy.analysis.seed_plan import SeedPlan
from segstudy.analysis.settling import settling_text, unit_noun
from segstudy.config.study import Study
from segstudy.core.quantities import counted
from segstudy.stats.factors import Factorial
from segstudy.stats.intervals import score_interval
from segstudy.stats.ranks import Ranking, Stability, ranking
from segstudy.stats.settling import to_resolve


@dataclass(frozen=True, slots=True)
class Standing:
    """The rank of a configuration on test: its mean rank over seeds, and its bootstrap.

    Attributes:
        name: the configuration.
        mean_rank: over replicates, 1 is best; None without several replicates of all.
        stability: of the rank when images and runs are resampled.
    """

    name: str
    mean_rank: float | None
    stability: Stability


@dataclass(frozen=True)
class Answers:
    """Everything that can be concluded from a study's scores.

    Attributes:
        verdict: two sentences.
        limits: what the verdict does not cover.
        winner: the complete configuration with the highest validation mean, if there is one.
        versus: the winner against each of the others on test.
        contenders: each configuration against the best of the others on test, by name.
        training_sets: the same for training sets like these; None without folds.
        ranking: Friedman's and Nemenyi's tests over seeds; None with too few seeds or configurations.
        ranked: the configurations of ``ranking``, in its order.
        standings: the best mean rank, or the most often first, comes first.
        factorials: analyses of variance, each with its description.
        factors: the effects of everything that varies, in sentences.
        optimism: how much of the winner's scores is owed to the choice among so many, in sentences.
        resolution: the data that would settle the top pair, in a sentence.
        history: how often the test subset was scored, in sentences.
        questions: the five.
    """

    verdict: str
    limits: tuple[str, ...]
    winner: str | None = None
    versus: Mapping[str, Versus] | None = None
    contenders: Mapping[str, Contender] = field(default_factory=dict)
    training_sets: TrainingSets | None = None
    ranking: Ranking | None = None
    ranked: tuple[str, ...] = ()
    standings: tuple[Standing, ...] = ()
    factorials: tuple[tuple[str, Factorial], ...] = ()
    factors: FactorAnswers = field(default_factory=FactorAnswers)
    optimism: str = ""
    resolution: str = ""
    history: tuple[str, ...] = ()
    questions: tuple[Answer, ...] = ()


def answer(
    study: Study, frame: pl.DataFrame, results: Results, epochs: pl.DataFrame, history: Sequence[str] = ()
) -> Answers:
    """Return the answers of a study.

    Args:
        study: as it was last run.
        frame: its leaderboard.
        results: of its folder.
        epochs: of all its runs.
        history: how often its test subset was scored before, see ``report_history.look_notes``.
    """
    ranked = frame.filter(pl.col("rank").is_not_null())["configuration"].to_list()
    seed_plan = results.seed_plan
    incomplete = len(results.trained) - len(ranked) - len(seed_plan.stopped)
    if not ranked or seed_plan.is_between_looks:
        sentence, limits = _unfinished(frame, seed_plan)
        return Answers(sentence, tuple(limits), history=tuple(history))
    winner = ranked[0]
    names = comparable(results, ranked)
    others = [row.name for row in results.rows if row.masks is not None]
    versus = against_winner(results, winner, [*names, *others])
    own = {name: each for name, each in versus.items() if name in names}
    contenders = confidence_set(results, [*names, *others])
    table = _ranking(results, names)
    across = training_sets(results, names)
    design = design_of(results)
    analyses = factorials(design)
    return Answers(
        verdict=_verdict(frame, results, own, _trained(contenders, [*names, *seed_plan.stopped])),
        limits=(
            *seed_plan.limits(frame, winner),
            *doubt_of_end(results, names),
            *_limits(study, results, ranked, names, incomplete),
            *(across.sentences[:1] if across else ()),
            *result_warnings(results, names),
            *choice_warning(results, names),
        ),
        winner=winner,
        versus=versus,
        contenders=contenders,
        training_sets=across,
        ranking=table,
        ranked=tuple(names),
        standings=_standings(stabilities(results, names), table),
        factorials=tuple(analyses),
        factors=factor_answers(design, analyses),
        optimism=optimism_text(results, names),
        resolution=_resolution(results, winner, own, contenders),
        history=tuple(history),
        questions=tuple(answers(results, epochs, ranked)),
    )


def _unfinished(frame: pl.DataFrame, seed_plan: SeedPlan) -> tuple[str, list[str]]:
    begun = frame.filter(pl.col("validation_iou").is_not_null())
    if not begun.height:
        return "No run has finished yet.", ["Run the study again to continue; the tables fill as runs end."]
    first = begun.row(0, named=True)
    looked = seed_plan.state()
    state = (
        [*looked, "Between two looks there is no result."]
        if looked
        else ["No configuration has all its runs, so this is how things stand and not a result."]
    )
    return (
        f"{first['configuration']} stands highest so far: IoU {first['validation_iou']:.3f} on validation "
        f"and {first['test_iou']:.3f} on test.",
        state,
    )


def _trained(contenders: Mapping[str, Contender], names: Sequence[str]) -> dict[str, Contender]:
    return {name: each for name, each in contenders.items() if name in names}


def _verdict(
    frame: pl.DataFrame,
    results: Results,
    versus: Mapping[str, Versus],
    contenders: Mapping[str, Contender],
) -> str:
    """Return the best configuration and its score, and those that may be the best on test."""
    first = frame.filter(pl.col("rank") == 1).row(0, named=True)
    name = first["configuration"]
    units = results.runs_of_units(name)
    assert units is not None
    test = score_interval(units)
    among = counted(1 + len(versus), "configuration")
    others = frame.filter(pl.col("rank") > 1).height
    among = among if versus else counted(1 + others, "configuration")
    left, only = results.seed_plan.left, results.seed_plan.only
    best = (
        f"{name} is highest on validation among {among}{left} ({first['validation_iou']:.3f}) and reaches "
        f"IoU {mean(test)} on test."
        if others
        else f"{name} is the only configuration {only}: IoU {first['validation_iou']:.3f} on "
        f"validation and {mean(test)} on test."
    )
    return f"{best} {_standing_of_others(name, versus, contenders)} {_ahead(name, frame, contenders)}".strip()


def _standing_of_others(
    winner: str, versus: Mapping[str, Versus], contenders: Mapping[str, Contender]
) -> str:
    if not versus and not contenders:
        return ""
    if any(each.p_adjusted is None for each in versus.values()):
        return "Training noise is not measured, so no winner is claimed."
    members, everyone = may_be_best(contenders), len(contenders)
    if winner not in members:
        return (
            f"On test {contenders[winner].rival} is better all the same: there is no winner. "
            f"{_members_text(members, everyone)}"
        )
    if len(members) > 1:
        return _members_text(members, everyone)
    equal = [name for name, each in versus.items() if each.difference.conclusion == "practically equal"]
    if equal:
        return f"It is better on test than every other, but practically equal to {listed(equal)}."
    nearest = contenders[winner].against
    return (
        f"It is better on test than every other, than the nearest by {nearest.mean:.3f} "
        f"{interval(nearest.low, nearest.high)}: it wins."
    )


def _members_text(members: Sequence[str], everyone: int) -> str:
    """Return the confidence set of the best as a sentence."""
    if not members:  # masks that were scored beside them are better
        return f"None of the {everyone} configurations may be the best on test."
    if len(members) == everyone:
        return f"Which of the {everyone} is the best on test cannot be said: none can be excluded."
    out = everyone - len(members)
    return (
        f"The best on test is {'one of ' if len(members) > 1 else ''}{listed(members, joined='or')} "
        f"({len(members)} of {everyone}, 95 % confidence); the other {out} {'is' if out == 1 else 'are'} "
        "beaten."
    )


def _ahead(winner: str, frame: pl.DataFrame, contenders: Mapping[str, Contender]) -> str:
    """Return a sentence on the configurations with a higher test mean than the winner."""
    means = dict(frame.select("configuration", "test_iou").iter_rows())
    higher = [name for name in contenders if means[name] > means[winner]]
    if not higher:
        return ""
    first = max(higher, key=means.__getitem__)
    if len(higher) == 1:
        return f"Its test mean is not the highest: {first} has {means[first]:.3f}."
    return f"{len(higher)} have a higher test mean than it, {first} the highest ({means[first]:.3f})."


def _limits(
    study: Study, results: Results, ranked: Sequence[str], names: Sequence[str], incomplete: int
) -> Iterable[str]:
    """Return the limits of the verdict, the most serious first."""
    images, seeds = len(results.ids(ranked[0])), len(results.seeds(ranked[0]))
    num_groups = len(set(results.groups_of(ranked[0])))
    tested = counted_images(num_groups, images, "test image", results.group_noun)
    if seeds == 1:
        yield (
            f"One seed and {tested}: images only; training noise not measured. "
            "More seeds (--seeds 5) measure it."
        )
    else:
        over = f", each tested once in {study.folds} folds" if study.folds else ""
        over += f", repeated {study.repeats} times" if study.repeats > 1 else ""
        these = "these training sets" if study.folds else "this training set"
        yield (
            f"It rests on {counted(seeds, 'seed')} and {tested}{over}, and holds for "
            f"images like these, {these} and this protocol. Intervals are 95 % over images and runs."
        )
    if incomplete:
        yield (
            f"{counted(incomplete, 'configuration')} {'has' if incomplete == 1 else 'have'} not finished all "
            "runs and cannot win."
        )
    if len(names) < len(ranked):
        yield (
            f"{counted(len(ranked) - len(names), 'configuration')} with other test images cannot be compared "
            "with the winner."
        )
    if not study.folds and images < 100:
        yield "One split: with so few images another split may order them differently (--folds 4)."


def _ranking(results: Results, names: Sequence[str]) -> Ranking | None:
    """Return the ranking over the seeds that all configurations have."""
    shared = sorted(set.intersection(*(set(results.seeds(name)) for name in names)))
    if len(shared) < 2 or len(names) < 3:
        return None
    columns = []
    for name in names:
        scores = results.scores(name)
        assert scores is not None
        columns.append(scores.mean(1)[[results.seeds(name).index(seed) for seed in shared]])
    return ranking(np.stack(columns, axis=1))


def _standings(found: Mapping[str, Stability], table: Ranking | None) -> tuple[Standing, ...]:
    ranks = [None] * len(found) if table is None else [float(rank) for rank in table.mean_ranks]
    standings = [Standing(*each) for each in zip(found, ranks, found.values(), strict=True)]
    return tuple(sorted(standings, key=lambda s: (s.mean_rank or 0.0, -s.stability.best)))


def _resolution(
    results: Results, winner: str, versus: Mapping[str, Versus], contenders: Mapping[str, Contender]
) -> str:
    """Return a sentence on the data that would separate the winner from the next undecided configuration."""
    if not results.seed_plan.allows_more_seeds:
        return ""
    as_good = may_be_best(contenders)
    open_pairs = [
        name for name in as_good if name in versus and versus[name].difference.conclusion == "not resolved"
    ]
    if not open_pairs:
        return ""
    other = open_pairs[0]
    ours, theirs = results.runs_of_units(winner), results.runs_of_units(other)
    assert ours is not None
    assert theirs is not None
    needed = to_resolve(ours, theirs, results.margin)
    unit = unit_noun(needed.present.units, len(results.ids(winner)), results.group_noun)
    return (
        f"To settle {winner} against {other} (a difference, or equality within {results.margin:g}), as a "
        f"pair chosen beforehand, {settling_text(needed, unit)}."
    )
