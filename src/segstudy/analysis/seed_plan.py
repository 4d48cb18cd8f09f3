"""How the seeds of a study are planned: a fixed number for all, or by the looks of a sequential study.

Both kinds answer the same questions here, so that other modules ask and need no special case.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segstudy.analysis.formatting import listed
from segstudy.config.runs import Run
from segstudy.core.quantities import counted
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import Looks, looks_of

if TYPE_CHECKING:
    import polars as pl

    from segstudy.stats.best import AgainstBest

NOT_HELPED = "more seeds would not help"
WHY_ENDED = {
    "one is left": "only one configuration is left",
    "practically equal": "those that are left are practically equal",
    NOT_HELPED: "more seeds would hardly decide what is open (more test images may)",
    "last look": "all planned looks were taken",
}

AT_MOST = " The runs and hours given here are the most that it takes."

# From tests/stats/test_sequential.py: 2,000 or 500 studies in each of 32 settings.
UNADJUSTED = (
    "Other intervals and p values are not: in simulations, the winner's test mean was too high by up to .002 "
    "more than in studies with fixed seeds, its 95 % interval contained the true mean in 91.6 to 95.8 % "
    "(fixed 92.6 to 96.0 %), and a pair of equal ones had p < .05 in 2.3 to 5.6 %. Factors and questions "
    "rest on the configurations that are left."
)


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """The planned seeds of a study.

    Attributes:
        looks: of a sequential study; None if the seeds are fixed.
    """

    looks: Looks | None = None

    @property
    def is_sequential(self) -> bool:
        return self.looks is not None

    @property
    def is_between_looks(self) -> bool:
        """Whether there is no result now, because runs for the next look are trained."""
        return self.looks is not None and self.looks.is_between

    @property
    def stopped(self) -> Mapping[str, int]:
        """The look at which each stopped configuration was stopped, from 1, by name."""
        return {} if self.looks is None else self.looks.stopped

    @property
    def keeps_all_competitors(self) -> bool:
        """Whether all that competed have all their seeds: a stopped configuration has fewer."""
        return self.looks is None

    @property
    def allows_more_seeds(self) -> bool:
        """Whether more seeds can be added: after planned looks they cannot."""
        return self.looks is None

    @property
    def ended_without_help(self) -> bool:
        """Whether the study ended early, because more seeds would hardly decide anything."""
        return (
            self.looks is not None
            and self.looks.last is not None
            and (self.looks.last.conclusion == NOT_HELPED)
        )

    @property
    def p_factor(self) -> float:
        """By which p values are multiplied to pay for all looks."""
        return 1.0 if self.looks is None else self.looks.p_factor

    def num_compared(self, number: int) -> int:
        """Return for how many configurations comparisons must hold, of which so many are compared now."""
        return number if self.looks is None else max(number, len(self.looks.plan.configurations))

    def needed(self, name: str, runs: Sequence[Run], finished: Collection[str]) -> tuple[Run, ...]:
        """Return the runs that are planned of a configuration, as far as the looks decided.

        Args:
            name: of the configuration.
            runs: with all seeds of the study.
            finished: keys of runs that are stored.
        """
        if self.looks is None:
            return tuple(runs)
        found = _up_to(runs, self.looks.num_seeds(name))
        if self.looks.is_ended or name not in self.looks.left_out:
            return found
        for seeds in self.looks.plan.seeds[: len(self.looks.looks)]:  # it comes back with its failed runs
            if any(run.key not in finished for run in found):
                return found
            found = max(found, _up_to(runs, seeds), key=len)
        return found

    def against_best(self) -> "dict[str, tuple[str, AgainstBest]] | None":
        """Return the rival and the numbers of each configuration at the last look that compared it.

        None if the seeds are fixed: then the runs themselves are compared. Nothing between two looks.
        """
        if self.looks is None:
            return None
        return {} if self.looks.is_between else _at_looks(self.looks)

    @property
    def left(self) -> str:
        """The words after a number of configurations."""
        return "" if self.looks is None else " that are left"

    @property
    def only(self) -> str:
        """The words after a single configuration."""
        return "with all its runs" if self.looks is None else "that is left"

    @property
    def at_most(self) -> str:
        """The words before a number of runs that may be fewer."""
        return "" if self.looks is None else "at most "

    @property
    def until(self) -> str:
        """The end of one training in words; empty if it is the end of the study."""
        return "" if self.looks is None else "until the next look"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a call of ``segstudy run`` that plans the same looks."""
        return () if self.looks is None else ("--until-settled",)

    def outlook(self, has_runs_left: bool) -> tuple[str, ...]:
        """Return a sentence on the looks before a training; none if the seeds are fixed."""
        if self.looks is None:
            return ()
        return (progress(self.looks) + (AT_MOST if has_runs_left else ""),)

    def state(self) -> tuple[str, ...]:
        """Return sentences on how far the looks came; none if the seeds are fixed."""
        return () if self.looks is None else (progress(self.looks), *stops(self.looks))

    def limits(self, frame: "pl.DataFrame", winner: str) -> tuple[str, ...]:
        """Return what the looks decided and leave unadjusted; nothing if the seeds are fixed.

        Args:
            frame: the leaderboard.
            winner: its first configuration.
        """
        return () if self.looks is None else tuple(_about_looks(self.looks, frame, winner))

    def seeds_text(self, num_seeds: int, noun: str = "seed") -> str:
        """Return the number of seeds in words, up to the last look that was begun.

        Args:
            num_seeds: of the study, if they are fixed.
            noun: such as ``random seed``.
        """
        if self.looks is None:
            return counted(num_seeds, noun)
        seeds = self.looks.plan.seeds
        return f"{seeds[0]} to {seeds[len(self.looks.looks) - 1]} {noun}s"

    def planned_text(self, num_seeds: int) -> str:
        """Return the planned seeds in words, up to the last look that is planned."""
        if self.looks is None:
            return counted(num_seeds, "seed")
        return f"sequential with {self.looks.plan.seeds[0]} to {self.looks.plan.seeds[-1]} seeds"

    @property
    def options(self) -> str:
        """The options of ``segstudy run`` that a study file does not have; empty if the seeds are fixed."""
        if self.looks is None:
            return ""
        seeds = self.looks.plan.seeds
        return f" --until-settled --seeds {seeds[0]} --max-seeds {seeds[-1]}"

    @property
    def sequence(self) -> tuple[str, ...]:
        """A sentence on the looks for a paper; none if the seeds are fixed."""
        return () if self.looks is None else (_sequence(self.looks),)


def seed_plan_of(folder: StudyFolder) -> SeedPlan:
    """Read how the seeds of a study are planned.

    Raises:
        UserError: looks.json is damaged, altered, of a later version, or missing from a sequential study.
    """
    return SeedPlan(looks_of(folder))


def _up_to(runs: Sequence[Run], num_seeds: int) -> tuple[Run, ...]:
    return tuple(run for run in runs if run.seed < num_seeds)


def _at_looks(looks: Looks) -> "dict[str, tuple[str, AgainstBest]]":
    from segstudy.stats.best import AgainstBest  # with scipy, which `segstudy status` does without

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
        kept += f", {_not_compared(list(looks.left_out))}"
    if looks.is_ended:
        return f"{after} it has ended, because {WHY_ENDED[last.conclusion]}; {kept}."
    return f"{after} {kept}; the next look has {seeds[number]} seeds."


def _about_looks(looks: Looks, frame: "pl.DataFrame", winner: str) -> Iterator[str]:
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


def _sequence(looks: Looks) -> str:
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
