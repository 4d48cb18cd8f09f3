"""The answers of a study: the best configuration, by how much, how certain; and the five questions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from segstudy.analysis.against_winner import Versus, against_winner, undistinguished
from segstudy.analysis.design import design_of
from segstudy.analysis.factor_answers import FactorAnswers, factor_answers
from segstudy.analysis.factorials import factorials
from segstudy.analysis.formatting import count, counted_images, interval, listed, mean, signed
from segstudy.analysis.questions import Answer, answers
from segstudy.analysis.result_warnings import result_warnings
from segstudy.analysis.results import Results, comparable
from segstudy.config.study import Study
from segstudy.core.seeding import seed_for
from segstudy.stats.comparisons import to_resolve
from segstudy.stats.factors import Factorial
from segstudy.stats.intervals import Scores, score_interval
from segstudy.stats.ranks import Ranking, Stability, choice_noise, expected_optimism, ranking, stability


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
        ranking: Friedman's and Nemenyi's tests over seeds; None with too few seeds or configurations.
        ranked: the configurations of ``ranking``, in its order.
        standings: the best mean rank, or the most often first, comes first.
        factorials: analyses of variance, each with its description.
        factors: the effects of everything that varies, in sentences.
        optimism: the overestimate from choosing the best of so many, in a sentence.
        resolution: the data that would settle the top pair, in a sentence.
        history: how often the test subset was scored, in sentences.
        questions: the five.
    """

    verdict: str
    limits: tuple[str, ...]
    winner: str | None = None
    versus: Mapping[str, Versus] | None = None
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
    incomplete = len(results.trained) - len(ranked)
    if not ranked:
        sentence, limits = _unfinished(frame)
        return Answers(sentence, tuple(limits), history=tuple(history))
    winner = ranked[0]
    names = comparable(results, ranked)
    others = [row.name for row in results.rows if row.masks is not None]
    versus = against_winner(results, winner, [*names, *others])
    own = {name: each for name, each in versus.items() if name in names}
    units = [results.units(name) for name in names]
    scores = [each for each in units if each is not None]
    table = _ranking(results, names)
    design = design_of(results)
    analyses = factorials(design)
    return Answers(
        verdict=_verdict(frame, results, own),
        limits=(*_limits(study, results, ranked, names, incomplete), *result_warnings(results, names)),
        winner=winner,
        versus=versus,
        ranking=table,
        ranked=tuple(names),
        standings=_standings(names, scores, table),
        factorials=tuple(analyses),
        factors=factor_answers(design, analyses),
        optimism=_optimism(results, names),
        resolution=_resolution(results, winner, own),
        history=tuple(history),
        questions=tuple(answers(results, epochs, ranked)),
    )


def _unfinished(frame: pl.DataFrame) -> tuple[str, list[str]]:
    begun = frame.filter(pl.col("validation_iou").is_not_null())
    if not begun.height:
        return "No run has finished yet.", ["Run the study again to continue; the tables fill as runs end."]
    first = begun.row(0, named=True)
    return (
        f"{first['configuration']} stands highest so far: IoU {first['validation_iou']:.3f} on validation "
        f"and {first['test_iou']:.3f} on test.",
        ["No configuration has all its runs, so this is how things stand and not a result."],
    )


def _verdict(frame: pl.DataFrame, results: Results, versus: Mapping[str, Versus]) -> str:
    """Return two sentences: the best configuration and its score, and those that may be as good."""
    first = frame.filter(pl.col("rank") == 1).row(0, named=True)
    name = first["configuration"]
    units = results.units(name)
    assert units is not None
    test = score_interval(units)
    among = count(1 + len(versus), "configuration")
    others = frame.filter(pl.col("rank") > 1).height
    among = among if versus else count(1 + others, "configuration")
    best = (
        f"{name} is highest on validation among {among} ({first['validation_iou']:.3f}) and reaches IoU "
        f"{mean(test)} on test."
        if others
        else f"{name} is the only configuration with all its runs: IoU {first['validation_iou']:.3f} on "
        f"validation and {mean(test)} on test."
    )
    return f"{best} {_standing_of_others(versus)}".strip()


def _standing_of_others(versus: Mapping[str, Versus]) -> str:
    if not versus:
        return ""
    if any(each.p_adjusted is None for each in versus.values()):
        return "Training noise is not measured, so no winner is claimed."
    as_good = undistinguished(versus)
    worse = [each for each in versus.values() if each.excluded]
    equal = [name for name, each in versus.items() if each.difference.conclusion == "practically equal"]
    if equal and not as_good:
        return f"It is better on test than every other, but practically equal to {listed(equal)}."
    if not as_good:
        nearest = min(worse, key=lambda each: each.difference.mean).difference
        return (
            f"It is better on test than every other, than the nearest by {nearest.mean:.3f} "
            f"{interval(nearest.low, nearest.high)}: it wins."
        )
    better = [other for other in as_good if versus[other].better]
    if better:
        verb = "is" if len(better) == 1 else "are"
        return f"On test {listed(better)} {verb} better all the same: there is no winner."
    said = f"{listed(as_good)} cannot be told from it on test"
    rest = f"; it is better than the other {len(worse)}" if worse else ""
    return f"{said}{rest}."


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
        yield (
            f"It rests on {count(seeds, 'seed')} and {tested}{over}, and holds for "
            "images like these and this protocol. Intervals are 95 % over images and runs."
        )
    if incomplete:
        yield (
            f"{count(incomplete, 'configuration')} {'has' if incomplete == 1 else 'have'} not finished all "
            "runs and cannot win."
        )
    if len(names) < len(ranked):
        yield (
            f"{count(len(ranked) - len(names), 'configuration')} with other test images cannot be compared "
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


def _standings(names: Sequence[str], scores: Sequence[Scores], table: Ranking | None) -> tuple[Standing, ...]:
    found = stability(scores, seed_for("ranks", count=len(names)))
    ranks = [None] * len(names) if table is None else [float(rank) for rank in table.mean_ranks]
    standings = [Standing(*each) for each in zip(names, ranks, found, strict=True)]
    return tuple(sorted(standings, key=lambda s: (s.mean_rank or 0.0, -s.stability.best)))


def _optimism(results: Results, names: Sequence[str]) -> str:
    """Return a sentence on the winner's validation and test scores, and the expected overestimate."""
    found = {part: results.scores(names[0], part) for part in ("validation", "test")}
    if found["validation"] is None or found["test"] is None:
        return ""
    validation, test = float(found["validation"].mean()), float(found["test"].mean())
    seen = (
        f"{names[0]} has {validation:.3f} on validation and {test:.3f} on test ({signed(validation - test)})."
    )
    units = [results.units(name, "validation") for name in names]
    scores = [each for each in units if each is not None and each.shape[1] > 1]
    if len(scores) < 2:
        return seen
    expected = expected_optimism(len(scores), choice_noise(scores))
    return (
        f"{seen} Were all {len(scores)} configurations equal, the best of them would look {expected:.3f} "
        "better on validation than it is; the more they differ, the less."
    )


def _resolution(results: Results, winner: str, versus: Mapping[str, Versus]) -> str:
    """Return a sentence on the data that would separate the winner from the next undecided configuration."""
    as_good = undistinguished(versus)
    open_pairs = [name for name in as_good if versus[name].difference.conclusion == "not resolved"]
    if not open_pairs:
        return ""
    other = open_pairs[0]
    ours, theirs = results.units(winner), results.units(other)
    assert ours is not None
    assert theirs is not None
    needed = to_resolve(ours, theirs, results.margin)
    seeds, images = min(len(ours), len(theirs)), ours.shape[1]
    pair = (
        f"To settle {winner} against {other} (as different as they look, or equal within "
        f"{results.margin:g}), as a pair chosen beforehand"
    )
    if needed.replicates is not None:
        more = needed.replicates - seeds
        return f"{pair}, {count(more, 'more seed')} would do." if more else f"{pair}, nothing more is needed."
    if needed.units is not None:
        return (
            f"{pair}, no number of seeds is enough: about {needed.units} test images are needed, "
            f"not {images}."
        )
    return f"{pair}, neither more seeds nor more images within reason would do."
