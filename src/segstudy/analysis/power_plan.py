"""The power of a study before it is trained: the smallest differences that studies of some sizes can show."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.core.suggestions import use_one_of
from segstudy.stats.power import PROMISE, Design, smallest_difference, variances
from segstudy.stats.power_pilot import Pilot, smallest_range
from segstudy.stats.power_training_sets import smallest_difference_across

SEEDS = (2, 3, 5, 10, 20)
MOST_SEEDS = 50  # that are tried for a wanted difference
MOST_DIFFERENCE = 1.0  # of IoU
ACROSS = "smallest_difference_across_training_sets"

# PH2 at 64 px, U-Net and SegNet with two losses, 4 folds repeated 5 times, 2 seeds: docs/results. Of training
# sets: what single configurations show there; the differences show less.
PH2_NAME = "PH2 at 64 px (docs/results/ph2-64px-repeated-folds)"
PH2 = {"image": 0.026, "seed": 0.007, "residual": 0.055, "training_set": 0.004}


@dataclass(frozen=True, slots=True)
class Layout:
    """How images are divided.

    Attributes:
        folds: 0: one split.
        repeats: sets of folds.
        num_units: that are tested: images, or groups of them.
        times_images: as many images as the data set has, or a multiple.
    """

    folds: int
    repeats: int
    num_units: int
    times_images: int = 1

    def design(self, seeds: int) -> Design:
        return Design(seeds, self.num_units, max(1, self.folds), self.repeats)


@dataclass(frozen=True, slots=True)
class PlannedSize:
    """The power of a study of one size.

    Attributes:
        layout: how images are divided.
        seeds: of each configuration.
        num_runs: of all configurations.
        hours: on this machine; None if unknown.
        smallest: the smallest difference that it shows with a probability of 80 %, for its training sets.
        low, high: between what it lies in four of five cases, as the variances of the pilot are estimates.
        across: the smallest difference for training sets like these; None without folds.
    """

    layout: Layout
    seeds: int
    num_runs: int
    hours: float | None
    smallest: float
    low: float
    high: float
    across: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON; a difference is None if it is above 1.

        Without folds nothing is known of other training sets: then their key is missing.
        """
        across = {} if self.across is None else {ACROSS: _finite(self.across)}
        return {
            "seeds": self.seeds,
            "folds": self.layout.folds,
            "repeats": self.layout.repeats,
            "units": self.layout.num_units,
            "times_images": self.layout.times_images,
            "num_runs": self.num_runs,
            "hours": self.hours,
            "smallest_difference": _finite(self.smallest),
            "low": _finite(self.low),
            "high": _finite(self.high),
            **across,
        }


@dataclass(frozen=True)
class Cheapest:
    """The size that shows a wanted difference in the fewest hours.

    Attributes:
        difference: wanted.
        size: for the training sets of the study; None if none of those tried is enough.
        across: for training sets like these.
    """

    difference: float
    size: PlannedSize | None
    across: PlannedSize | None


@dataclass(frozen=True)
class PowerPlan:
    """The power of a study and of others like it.

    Attributes:
        name: of the study.
        num_configurations: of it, which decide what is tested: one pair, or all pairs.
        unit: what is tested: ``test image``, or ``test patient`` where images of a patient are joined.
        source: where the variances are from.
        pilot: the variances.
        present: the study itself; None with one seed, which shows no difference.
        sizes: of all layouts and numbers of seeds.
        cheapest: for the wanted difference, if there is one.
        workers: runs in parallel, for the hours.
    """

    name: str
    num_configurations: int
    unit: str
    source: str
    pilot: Pilot
    present: PlannedSize | None
    sizes: tuple[PlannedSize, ...]
    cheapest: Cheapest | None = None
    workers: int = 1

    @property
    def layouts(self) -> list[Layout]:
        return list(dict.fromkeys(each.layout for each in self.sizes))

    @property
    def multiplicity(self) -> str:
        """Return which comparisons are meant, in words."""
        if self.num_configurations <= 2:
            return "one pair of configurations, chosen beforehand"
        return f"all pairs of {self.num_configurations} configurations together (studentized range)"

    def layout_text(self, layout: Layout) -> str:
        """Return a layout as ``200 test images, 4 folds x 3``."""
        how = "one split" if not layout.folds else counted(layout.folds, "fold")
        how += f" x {layout.repeats}" if layout.repeats > 1 else ""
        times = f", {layout.times_images} times the images" if layout.times_images > 1 else ""
        return f"{counted(layout.num_units, self.unit)}, {how}{times}"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON takes it."""
        found = self.cheapest
        return {
            "name": self.name,
            "num_configurations": self.num_configurations,
            "multiplicity": self.multiplicity,
            "probability": PROMISE,
            "unit": self.unit,
            "workers": self.workers,
            "source": self.source,
            "standard_deviations": self.pilot.standard_deviations(),
            "present": None if self.present is None else self.present.as_dict(),
            "sizes": [each.as_dict() for each in self.sizes],
            "cheapest": None
            if found is None
            else {
                "difference": found.difference,
                "size": None if found.size is None else found.size.as_dict(),
                "across_training_sets": None if found.across is None else found.across.as_dict(),
            },
        }


def _finite(value: float) -> float | None:
    return None if value > MOST_DIFFERENCE else value


def _known(hours: float | None) -> float:
    """Return hours to compare; sizes whose hours are unknown come after all others, by their runs."""
    return math.inf if hours is None else hours


def refuse_values(sds: Mapping[str, float], difference: float | None) -> None:
    """Refuse values that are no standard deviation or difference of IoU.

    Raises:
        UserError: such a value, or an unknown name.
    """
    for name, value in sds.items():
        if name not in PH2:
            raise UserError(f"--sd has no {name!r}: {use_one_of(name, list(PH2))}")
        if not 0 <= value <= 1:
            raise UserError(f"--sd {name} must be from 0 to 1, got {value:g}")
    if difference is not None and not 0 < difference < 1:
        raise UserError(f"--difference must be between 0 and 1, got {difference:g}")


def pilot_of(sds: Mapping[str, float]) -> Pilot:
    """Return the variances of given standard deviations, which count as known."""
    return Pilot(variances(sds["image"], sds["seed"], sds["residual"], sds["training_set"]))


@dataclass(frozen=True)
class Sizer:
    """What turns a layout and a number of seeds into a ``PlannedSize``.

    Attributes:
        pilot: the variances.
        num_configurations: of the study.
        hours: of a layout and a number of seeds; None if unknown.
    """

    pilot: Pilot
    num_configurations: int
    hours: Callable[[Layout, int], float | None]

    def size(self, layout: Layout, seeds: int) -> PlannedSize:
        """Return the power of this size; at least two seeds."""
        design, parts = layout.design(seeds), self.pilot.parts
        smallest = smallest_difference(parts, design, self.num_configurations)
        low, high = smallest_range(self.pilot, design, self.num_configurations)
        across = smallest_difference_across(parts, design, self.num_configurations) if layout.folds else None
        runs = design.runs * self.num_configurations
        hours = self.hours(layout, seeds)
        return PlannedSize(layout, seeds, runs, hours, smallest, low, high, across)

    def cheapest(self, layouts: Sequence[Layout], difference: float) -> Cheapest:
        """Return the sizes that show a difference in the fewest hours; more images only if needed."""
        found = [self._fewest_seeds(layouts, difference, across) for across in (False, True)]
        return Cheapest(difference, *found)

    def _fewest_seeds(self, layouts: Sequence[Layout], difference: float, across: bool) -> PlannedSize | None:
        for times in sorted({each.times_images for each in layouts}):
            there = [each for each in layouts if each.times_images == times]
            enough = [size for each in there for size in self._enough(each, difference, across)]
            if enough:
                return min(enough, key=lambda each: (_known(each.hours), each.num_runs))
        return None

    def _enough(self, layout: Layout, difference: float, across: bool) -> Iterator[PlannedSize]:
        """Yield the fewest seeds of a layout that show the difference, if not too many are needed."""

        def shows(seeds: int) -> bool:
            design, parts = layout.design(seeds), self.pilot.parts
            smallest = smallest_difference_across if across else smallest_difference
            return smallest(parts, design, self.num_configurations) <= difference

        if (across and not layout.folds) or not shows(MOST_SEEDS):
            return
        low, high = 1, MOST_SEEDS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if shows(middle) else (middle, high)
        yield self.size(layout, high)
