"""A look of a sequential study: a pure function of the stored runs and of the plan of looks."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from segstudy.analysis.configurations import Row, named_configurations, rows_of
from segstudy.analysis.formatting import listed
from segstudy.analysis.result_warnings import collapsed_runs
from segstudy.analysis.results import Results, comparable, gather, results_of
from segstudy.analysis.seed_plan import seed_plan_of
from segstudy.config.runs import Run
from segstudy.stats.intervals import AnyScores
from segstudy.stats.sequential import look
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import LookPlan, LookResult, Looks, StoredLook, hash_of_keys, looks_of
from segstudy.store.records import FailureRecord, RunRecord

SAME_DIGITS = 1e-6  # other versions of libraries may change the last digits of an interval


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


def look_at_others(looks: Looks, runs: Iterable[Run], names: Mapping[str, str]) -> int | None:
    """Return the first taken look, from 1, that compared other runs than these; None if there is none.

    Args:
        looks: of the study.
        runs: that the study plans, at least those that the looks need.
        names: of their configurations, by key.
    """
    planned = [(run.seed, run.key, names[run.key]) for run in runs]
    for number, each in enumerate(looks.taken, 1):
        compared = {result.name for result in each.results}
        keys = [key for seed, key, name in planned if seed < each.seeds and name in compared]
        if hash_of_keys(keys) != each.runs_sha256:
            return number
    return None


def is_same(found: StoredLook, stored: StoredLook) -> bool:
    """Whether two have the same runs and decisions, and the same numbers but for their last digits."""
    a, b = (each.model_dump(exclude={"results", "chance"}) for each in (found, stored))
    if a != b or len(found.results) != len(stored.results):
        return False
    pairs = [
        (x, y)
        for one, other in zip(found.results, stored.results, strict=True)
        for x, y in zip(one.model_dump().values(), other.model_dump().values(), strict=True)
    ]
    return all(
        math.isclose(x, y, rel_tol=SAME_DIGITS, abs_tol=SAME_DIGITS) if isinstance(x, float) else x == y
        for x, y in pairs
    )


def wrong_look(folder: StudyFolder, with_scores: bool = True) -> int | None:
    """Return the first taken look, from 1, that does not follow from the stored runs; None if all do.

    Args:
        folder: of the study.
        with_scores: take each look again whose runs are all stored; else compare keys only.

    Raises:
        UserError: a file that is needed is damaged.
    """
    looks = looks_of(folder)
    if looks is None:
        return None
    finished = folder.finished()
    records: list[RunRecord | FailureRecord] = [*folder.run_records(sorted(finished))]
    records += folder.failed().values()
    named = named_configurations(folder, records, finished)
    names = {run.key: name for name, _, each in named for run in each.runs}
    runs = [run for *_, each in named for run in each.runs]
    if number := look_at_others(looks, runs, names):
        return number
    for number, stored in enumerate(looks.taken if with_scores else [], 1):
        compared = [result.name for result in stored.results]
        needed = {run.key for run in runs if run.seed < stored.seeds and names[run.key] in compared}
        if needed <= finished and not is_same(taken(folder, looks.plan, stored, compared), stored):
            return number
    return None


def _up_to(row: Row, num_seeds: int) -> Row:
    return replace(row, records=tuple(each for each in row.records if each.seed < num_seeds))


def _units(results: Results, name: str) -> AnyScores:
    units = results.runs_of_units(name)
    assert units is not None
    return units


def doubt_of_end(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Say that a study may have ended early by accident: because of runs that collapsed.

    Args:
        results: of the study.
        names: the configurations that are left.
    """
    found = collapsed_runs(results, names) if results.seed_plan.ended_without_help else []
    if found:
        each = [
            f"{number} of {len(results.row(name).records)} of {name}"
            for name, number in Counter(run.name for run in found).items()
        ]
        yield (
            "That more seeds would hardly decide assumes that runs go on to collapse as often as so far "
            f"({listed(each, len(each))}). If that was an accident, more seeds may decide: in a new "
            "study, with a larger --seeds for the first look."
        )


def doubt_of_end_in(folder: StudyFolder) -> Iterator[str]:
    """Return the same for a study's folder."""
    if seed_plan_of(folder).ended_without_help:
        results = gather(folder)
        ranked = [row.name for row in results.trained if row.complete]
        yield from doubt_of_end(results, comparable(results, ranked) if ranked else [])
