"""Differences between configurations within subgroups of the test images: whether they depend on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segstudy.analysis.formatting import interval, listed, p_value, signed
from segstudy.analysis.results import Results
from segstudy.analysis.subgroups import FEWEST
from segstudy.core.quantities import counted
from segstudy.stats.comparisons import Difference, difference
from segstudy.stats.intervals import LEVEL
from segstudy.stats.subgroups import interaction

FEWEST_TESTED = 10  # units that a subgroup needs to take part in the test
Members = Mapping[tuple[str, str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class InSubgroup:
    """Two configurations on the images of one subgroup.

    Attributes:
        name: of the subgroup.
        num_images: in it.
        difference: of the two there; its interval is left out with fewer images than ``FEWEST``.
        is_tested: whether the subgroup takes part in the test of equal differences.
    """

    name: str
    num_images: int
    difference: Difference
    is_tested: bool

    @property
    def has_interval(self) -> bool:
        return self.num_images >= FEWEST


@dataclass(frozen=True, slots=True)
class SubgroupDifferences:
    """The first configuration less another one, by subgroups of one kind.

    Attributes:
        kind: of the subgroups, such as ``category``.
        first, other: the configurations.
        subgroups: with the difference in each.
        p: of equal differences in all subgroups; None if it is not tested.
        p_adjusted: the same, corrected for all tests of the section (Holm).
    """

    kind: str
    first: str
    other: str
    subgroups: tuple[InSubgroup, ...]
    p: float | None
    p_adjusted: float | None = None

    @property
    def depends(self) -> bool:
        """Whether the difference is shown to depend on the subgroup."""
        return self.p_adjusted is not None and self.p_adjusted < 1 - LEVEL


def subgroup_differences(
    results: Results, names: Sequence[str], members: Members
) -> list[SubgroupDifferences]:
    """Compare the first configuration with each of the others within subgroups.

    Args:
        results: of the study.
        names: configurations on the same test images.
        members: the images of each subgroup, by kind and name.
    """
    alone = _of_one_group(results, members)
    kinds: dict[str, dict[str, Sequence[str]]] = {}
    for (kind, name), mine in members.items():
        if (kind, name) not in alone:
            kinds.setdefault(kind, {})[name] = mine
    found = [
        _compared(results, kind, names[0], other, subgroups)
        for kind, subgroups in kinds.items()
        if len(subgroups) > 1
        for other in names[1:]
    ]
    return adjusted(found)


def _of_one_group(results: Results, members: Members) -> list[tuple[str, str]]:
    return [
        where for where, mine in members.items() if len({results.groups.get(each, each) for each in mine}) < 2
    ]


def left_out_text(results: Results, members: Members) -> str:
    """Return a sentence on the subgroups without differences, which have one image or group; else nothing."""
    alone = [f"{kind} {name}" for kind, name in _of_one_group(results, members)]
    if not alone:
        return ""
    return (
        f"{counted(len(alone), 'subgroup')} left out of the differences, with one image or the images of one "
        f"{results.group_noun} only: {listed(alone)}."
    )


def _compared(
    results: Results, kind: str, first: str, other: str, subgroups: Mapping[str, Sequence[str]]
) -> SubgroupDifferences:
    ours, theirs = results.scores(first), results.scores(other)
    assert ours is not None
    assert theirs is not None
    ids, groups = results.ids(first), results.groups_of(first)
    place = {each: i for i, each in enumerate(ids)}
    columns = {name: [place[each] for each in mine] for name, mine in subgroups.items()}
    each = tuple(
        InSubgroup(
            name,
            len(mine),
            difference(ours[:, mine], theirs[:, mine], [groups[i] for i in mine], results.margin),
            len({groups[i] for i in mine}) >= FEWEST_TESTED,
        )
        for name, mine in columns.items()
    )
    tested = [columns[one.name] for one in each if one.is_tested]
    p = None
    if len(tested) > 1 and min(len(ours), len(theirs)) > 1:
        chosen = [i for mine in tested for i in mine]
        numbers = np.repeat(range(len(tested)), [len(mine) for mine in tested]).tolist()
        p = interaction(ours[:, chosen], theirs[:, chosen], numbers, [groups[i] for i in chosen]).p
    return SubgroupDifferences(kind, first, other, each, p)


def adjusted(found: Sequence[SubgroupDifferences]) -> list[SubgroupDifferences]:
    """Return the same with p values that are corrected for all of these tests (Holm)."""
    tested = [each for each in found if each.p is not None]
    if not tested:
        return list(found)
    from statsmodels.stats.multitest import multipletests  # with pandas: 0.3 s of the start of each command

    p_values = iter(multipletests([each.p for each in tested], method="holm")[1])
    return [each if each.p is None else replace(each, p_adjusted=float(next(p_values))) for each in found]


def dependence_sentences(found: Sequence[SubgroupDifferences], where: str = "where it is") -> list[str]:
    """Return sentences on the differences that depend on the subgroup, or that none is shown to.

    Args:
        found: the differences.
        where: what is written before the name of a subgroup.
    """
    tested = [each for each in found if each.p_adjusted is not None]
    if not tested:
        return []
    sentences = [_dependence(each, where) for each in tested if each.depends]
    if not sentences:
        least = min(each.p_adjusted for each in tested if each.p_adjusted is not None)
        kinds = listed(list(dict.fromkeys(each.kind for each in tested)), joined="or")
        sentences = [
            f"No difference between {tested[0].first} and the others is shown to depend on {kinds} (least "
            f"{p_value(least)}, corrected for {counted(len(tested), 'test')}); it still may."
        ]
    return sentences


def _dependence(each: SubgroupDifferences, where: str) -> str:
    assert each.p_adjusted is not None
    apart = sorted((s for s in each.subgroups if s.is_tested), key=lambda s: -s.difference.mean)
    most, least = apart[0], apart[-1]
    return (
        f"The difference between {each.first} and {each.other} depends on {each.kind} "
        f"({p_value(each.p_adjusted)}): {_seen(most, where)}, {_seen(least, where)}."
    )


def _seen(one: InSubgroup, where: str) -> str:
    d = one.difference
    return f"{signed(d.mean)} {interval(d.low, d.high)} {where} {one.name}"
