"""The answers of `segstudy compare-sets`, in sentences."""

import itertools
import math
from collections.abc import Sequence

from scipy.special import stdtrit

from segstudy.analysis.compare_sets import SetPair, SetsComparison
from segstudy.analysis.formatting import interval, listed, p_value, score, signed
from segstudy.analysis.result_warnings import result_warnings
from segstudy.core.quantities import counted
from segstudy.stats.intervals import LEVEL
from segstudy.stats.ranks import Ranking

FEW_SETS = 4  # data sets up to which it is said what so few cannot tell
MOST_SETS = 12  # named in a sentence
MANY_SETS = 10  # Demsar (2006): from which on the approximation of Nemenyi's test is good


def answers(found: SetsComparison) -> tuple[str, ...]:
    """Return the whole answer: the highest, the safest, stability, ranks, what so few sets cannot tell."""
    return (
        _highest(found),
        _against(found),
        _safest(found),
        _stability(found),
        ranks_text(found),
        *limits(found),
    )


def _highest(found: SetsComparison) -> str:
    top, names = found.top, found.set_names
    won = f"it is the highest on {top.sets_won} of {len(names)}"
    return (
        f"Over {len(names)} data sets ({listed(names)}), {top.name} has the highest mean test IoU, "
        f"{score(top.mean)} (each set counts the same); {won}."
    )


def _against(found: SetsComparison) -> str:
    """Return the highest configuration against the others; intervals and p values hold for all pairs."""
    pairs = found.against_top.values()
    kinds = {
        "is better than": "a",
        "is worse than": "b",
        "is practically equal to": "practically equal",
        "cannot be told from": "not resolved",
    }
    said = []
    for verb, conclusion in kinds.items():
        some = [_by(pair) for pair in pairs if pair.over.conclusion == conclusion]
        if some:
            said.append(f"{verb} {listed(some)}")
    where = "" if len(found.pairs) == 1 else f" Intervals and p values hold for all {len(found.pairs)} pairs."
    return f"In data sets like these, it {'; it '.join(said)}.{where}"


def _by(pair: SetPair) -> str:
    over = pair.over
    return f"{pair.b} ({signed(over.mean)} {interval(over.low, over.high)}, {p_value(over.p)})"


def _safest(found: SetsComparison) -> str:
    safe, names = found.safest, found.set_names
    if safe.losses.worst == 0:
        return f"Safest is {safe.name}: it is the highest on every set."
    per_set = [f"{score(loss)} on {name}" for loss, name in zip(safe.losses.per_set, names, strict=True)]
    most = score(safe.losses.worst)
    said = (
        f"Safest is {safe.name}: against the best of each set it loses {most} at most "
        f"({listed(per_set, MOST_SETS)})."
    )
    if safe is not found.top:
        worst = found.top.losses
        said += f" {found.top.name} loses up to {score(worst.worst)}, on {names[worst.worst_set]}."
    return said


def _stability(found: SetsComparison) -> str:
    top, names = found.top, found.set_names
    other = {name: best for name, best in zip(names, found.without, strict=True) if best != top.name}
    if other:
        changed = listed([f"without {name} it is {best}" for name, best in other.items()], len(other))
        said = f"The highest mean depends on the choice of sets: {changed}."
    else:
        said = f"Whichever set is left out, {top.name} keeps the highest mean."
    shares = [row for row in found.rows if row.stability.best >= 1 - LEVEL]
    firsts = listed([f"{row.name} {100 * row.stability.best:.0f} %" for row in shares]) if shares else "none"
    return f"{said} If sets, images and runs are resampled, the share of first places is: {firsts}."


def ranks_text(found: SetsComparison) -> str:
    """Return the result of Friedman's test, and whether so few sets could show anything at all."""
    ranks, num = found.ranks, len(found.rows)
    how = "exact" if ranks.is_exact else "Iman and Davenport's approximation"
    f = f"F = {ranks.f:.1f} on {ranks.df} and {ranks.df_residual} degrees of freedom"
    f = "all sets agree" if math.isinf(ranks.f) else f
    said = f"Ranks with sets as blocks (Friedman, {how}): {p_value(ranks.p)}, {f}."
    if not ranks.can_tell:
        said += (
            f" With {ranks.num_sets} sets and {num} configurations p cannot be less than "
            f"{ranks.least_p:.3f}, so ranks cannot tell anything at 5 %."
        )
    elif found.ranking is not None:
        said += f" {_nemenyi(found, found.ranking)}"
    return said


def _nemenyi(found: SetsComparison, ranking: Ranking) -> str:
    """Return which mean ranks differ by more than the critical difference."""
    apart = [
        f"{a.name} from {b.name}"
        for a, b in itertools.combinations(found.rows, 2)
        if abs(a.mean_rank - b.mean_rank) > ranking.critical_difference
    ]
    separated = f"{counted(len(apart), 'pair')}: {listed(apart)}" if apart else "no pair"
    return f"Nemenyi's critical difference, {ranking.critical_difference:.1f} ranks, separates {separated}."


def limits(found: SetsComparison) -> tuple[str, ...]:
    """Return what the numbers do not tell: few sets, single runs, looks of sequential studies."""
    num_sets = len(found.set_names)
    said = []
    if num_sets <= FEW_SETS:
        width = float(stdtrit(num_sets - 1, (1 + LEVEL) / 2))
        said.append(
            f"{num_sets} data sets are few: the interval of one pair reaches {width:.1f} standard errors to "
            "each side (2.0 with many sets), and how much sets differ is hardly known. What is not shown "
            "here may exist."
        )
    if found.ranking is not None and num_sets < MANY_SETS:
        said.append(
            f"Nemenyi's critical difference is an approximation for {MANY_SETS} sets or more; here it is "
            "rough."
        )
    alone = [
        name
        for k, name in enumerate(found.set_names)
        if any(not row.per_set[k].has_training_noise for row in found.rows)
    ]
    if alone:
        said.append(
            f"Single runs of a configuration on {listed(alone)}: training noise is not measured there and "
            "counts as a difference between sets."
        )
    sequential = [each.name for each in found.matched.sets if each.results.seed_plan.is_sequential]
    if sequential:
        said.append(
            f"Sequential studies on {listed(sequential)}: these comparisons are not adjusted for their "
            "looks, and what was stopped there is left out."
        )
    return tuple(said)


def facts(found: SetsComparison) -> Sequence[str]:
    """Return what was compared, what was left out, and what differs between the studies."""
    sets = [
        f"{each.name}: {counted(each.num_images, 'test image')}"
        + (f" of {each.num_units} groups" if each.num_units != each.num_images else "")
        for each in found.matched.sets
    ]
    return (
        f"{counted(len(found.rows), 'configuration')} on {'; '.join(sets)}. Test IoU at native size.",
        *found.matched.left_out,
        *found.matched.notes,
        *warnings(found),
    )


def warnings(found: SetsComparison) -> tuple[str, ...]:
    """Return what makes the numbers of each set less certain than they look, see ``result_warnings``."""
    names = {each.name: each.names for each in found.matched.configurations}
    sets: dict[str, list[str]] = {}
    for k, each in enumerate(found.matched.sets):
        for warning in result_warnings(each.results, [names[row.name][k] for row in found.rows]):
            sets.setdefault(warning, []).append(each.name)
    return tuple(f"{listed(its)}: {warning}" for warning, its in sets.items())
