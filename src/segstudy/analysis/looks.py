"""A look of a sequential study: a pure function of the stored runs and of the plan of looks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from segstudy.analysis.configurations import Row, rows_of
from segstudy.analysis.formatting import listed
from segstudy.analysis.results import Results, results_of
from segstudy.core.quantities import counted
from segstudy.stats.best import AgainstBest
from segstudy.stats.intervals import AnyScores
from segstudy.stats.sequential import look
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import LookPlan, LookResult, Looks, StoredLook, hash_of_keys

WHY_ENDED = {
    "one is left": "only one configuration is left",
    "practically equal": "those that are left are practically equal",
    "more seeds would not help": "more seeds would hardly decide what is open (more test images may)",
    "last look": "all planned looks were taken",
}

# From tests/stats/test_sequential.py: 2,000 or 500 studies in each of 32 settings.
UNADJUSTED = (
    "Other intervals and p values are not: in simulations, the winner's test mean was too high by up to .002 "
    "more than in studies with fixed seeds, its 95 % interval contained the true mean in 91.6 to 95.8 % "
    "(fixed 92.6 to 96.0 %), and a pair of equal ones had p < .05 in 2.3 to 5.6 %. Factors and questions "
    "rest on the configurations that are left."
)


def taken(folder: StudyFolder, plan: LookPlan, begun: StoredLook, names: Sequence[str]) -> StoredLook:
    """Return a look with its results.

    Args:
        folder: of the study; all runs of the compared configurations up to this look are stored.
        plan: of all looks.
        begun: the look without its results.
        names: the configurations to compare, at least two.
    """
    rows = [_up_to(row, begun.seeds) for row in rows_of(folder) if row.name in names]
    results = results_of(folder, rows)
    order = [row.name for row in rows]
    decided = look(
        [_units(results, name) for name in order],
        plan.seeds,
        plan.error_shares,
        len(plan.configurations),
        plan.margin,
    )
    found = [
        LookResult(
            name=name,
            rival=order[each.rival],
            difference=each.mean,
            low=each.low,
            high=each.high,
            standard_error=each.standard_error,
            df=each.df,
            stopped=each.excluded,
        )
        for name, each in zip(order, decided.against, strict=True)
    ]
    keys = [key for row in rows for key in row.keys]
    update = {"runs_sha256": hash_of_keys(keys), "results": found, "chance": decided.chance}
    return begun.model_copy(update={**update, "conclusion": decided.conclusion})


def _up_to(row: Row, num_seeds: int) -> Row:
    return replace(row, records=tuple(each for each in row.records if each.seed < num_seeds))


def _units(results: Results, name: str) -> AnyScores:
    units = results.runs_of_units(name)
    assert units is not None
    return units


def against_best_of(looks: Looks) -> dict[str, tuple[str, AgainstBest]]:
    """Return the rival and the numbers of each configuration at the last look that compared it."""
    found = {}
    for each in looks.taken:
        for result in each.results:
            place = [other.name for other in each.results].index(result.rival)
            found[result.name] = (
                result.rival,
                AgainstBest(
                    rival=place,
                    mean=result.difference,
                    low=result.low,
                    high=result.high,
                    standard_error=result.standard_error,
                    df=result.df,
                    num_configurations=len(looks.plan.configurations),
                    level=1 - each.error_share,
                ),
            )
    return found


def progress(looks: Looks) -> str:
    """Return a sentence on the looks that were taken, and what is next."""
    seeds = looks.plan.seeds
    planned = f"Sequential study, looks planned at {listed([str(each) for each in seeds], len(seeds))} seeds"
    last = looks.last
    if last is None:
        return f"{planned}: none was taken yet."
    number = len(looks.taken)
    after = f"{planned}: after look {number} ({counted(last.seeds, 'seed')})"
    everyone = len(looks.plan.configurations)
    left = everyone - len(looks.stopped) - len(looks.left_out)
    kept = f"{left} of {counted(everyone, 'configuration')} {'is' if left == 1 else 'are'} left"
    if looks.left_out:
        kept += f", {_not_compared(looks.left_out)}"
    if looks.is_ended:
        return f"{after} it has ended, because {WHY_ENDED[last.conclusion]}; {kept}."
    return f"{after} {kept}; the next look has {seeds[number]} seeds."


def about_looks(looks: Looks, frame: pl.DataFrame, winner: str) -> Iterator[str]:
    """Say how far a sequential study came, what its looks decided, and what they leave unadjusted.

    Args:
        looks: of the study, at least one of them taken.
        frame: its leaderboard.
        winner: its first configuration.
    """
    yield progress(looks)
    yield from (f"{each}." for each in stops(looks))
    means = dict(frame.select("configuration", "validation_iou").iter_rows())
    higher = [name for name in looks.stopped if means.get(name) is not None and means[name] > means[winner]]
    if higher:
        has = "has" if len(higher) == 1 else "have"
        yield f"{listed(higher)} {has} a higher validation mean than {winner}, but {has} been beaten on test."
    yield (
        "The looks were at test scores. Which may be the best, and by how much, is adjusted for them: the "
        f"error of 5 % is divided among the looks ({_shares(looks)} %). {UNADJUSTED}"
    )


def _shares(looks: Looks) -> str:
    return listed([f"{100 * each:.2f}" for each in looks.plan.error_shares], len(looks.plan.error_shares))


def sequence(looks: Looks) -> str:
    """Describe the looks for a paper."""
    stages = listed([str(each) for each in looks.plan.seeds], len(looks.plan.seeds))
    were = "look was" if len(looks.taken) == 1 else "looks were"
    return (
        f"The study was sequential: looks at the test scores were planned after {stages} seeds. A "
        "configuration that another one beat at a look got no more seeds. Each look compared all pairs of "
        "configurations at once (Games and Howell), with its own share of an error of 5 % "
        f"({_shares(looks)} %; alpha spending, Lan and DeMets). {len(looks.taken)} {were} taken."
    )


def decided(looks: Looks, number: int) -> str:
    """Return a sentence on what one look decided."""
    found = looks.looks[number]
    beaten = [result.name for result in found.results if result.stopped]
    at = f"look {number + 1} ({counted(found.seeds, 'seed')})"
    said = f"{at}: {f'{listed(beaten)} stopped' if beaten else 'none stopped'}"
    return f"{said}, {_not_compared(found.left_out)}" if found.left_out else said


def _not_compared(names: Sequence[str]) -> str:
    return f"{len(names)} left out because of failed runs ({listed(names)})"


def stops(looks: Looks) -> Iterator[str]:
    """Say for each look which configurations were stopped."""
    by_look: dict[int, list[str]] = {}
    for name, number in looks.stopped.items():
        by_look.setdefault(number, []).append(name)
    for number, names in sorted(by_look.items()):
        seeds = looks.plan.seeds[number - 1]
        yield f"{listed(names)} stopped at look {number} ({counted(seeds, 'seed')})"
