"""The configurations that may be the best on test: each against the best of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segstudy.analysis.results import Results
from segstudy.stats.best import AgainstBest, against_best
from segstudy.stats.intervals import AnyScores, by_seed


@dataclass(frozen=True, slots=True)
class Contender:
    """A configuration against the best of the others on test.

    Attributes:
        name: the configuration.
        rival: the one that beats it most clearly, or comes nearest to it.
        against: the numbers.
    """

    name: str
    rival: str
    against: AgainstBest

    @property
    def excluded(self) -> bool:
        """Whether another is better by more than runs, images and the number of comparisons explain."""
        return self.against.excluded


def confidence_set(results: Results, names: Sequence[str]) -> dict[str, Contender]:
    """Compare each configuration with the best of the others.

    Args:
        results: of the study.
        names: configurations or masks of other tools; the first says which test images count. Those that are
            incomplete, were tested on other images or have a single run, whose training noise is not known,
            are left out.

    Returns:
        By name, those that can be compared; nothing if that is fewer than two. Of a sequential study, all
        that were compared at its looks, each as at its last one; nothing between two looks.
    """
    at_looks = results.seed_plan.against_best()
    if at_looks is not None:
        return {name: Contender(name, rival, against) for name, (rival, against) in at_looks.items()}
    usable: dict[str, AnyScores] = {}
    for name in dict.fromkeys(names):
        units = results.runs_of_units(name) if results.complete(name) else None
        if units is None or by_seed(units).shape[1] < 2 or not results.comparable(names[0], name):
            continue
        if len(by_seed(units)) > 1 or results.row(name).deterministic:
            usable[name] = units
    if len(usable) < 2:
        return {}
    compared, order = against_best(list(usable.values())), list(usable)
    return {
        name: Contender(name, order[found.rival], found) for name, found in zip(order, compared, strict=True)
    }


def may_be_best(contenders: Mapping[str, Contender]) -> list[str]:
    """Return the configurations that may be the best."""
    return [name for name, each in contenders.items() if not each.excluded]
