"""The power of a planned study: sizes to compare, variances from a pilot, and hours on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from segstudy.analysis.power_plan import (
    PH2,
    PH2_NAME,
    SEEDS,
    Layout,
    PowerPlan,
    Sizer,
    pilot_of,
    refuse_values,
)
from segstudy.analysis.results import Results, comparable, gather
from segstudy.analysis.settling import unit_noun
from segstudy.config.runs import Configuration
from segstudy.core.errors import UserError
from segstudy.stats.power_pilot import Pilot, pilot
from segstudy.store.folder import StudyFolder
from segstudy.study.duration import wall_seconds
from segstudy.study.estimate import START_S, Estimate, images_of
from segstudy.study.machine import Machine, choose_machine
from segstudy.study.network_inputs import Inputs, inputs_of
from segstudy.study.plan import Plan

FOLDS = ((4, 1), (10, 1), (4, 3))  # folds and repeats that are compared with the study's own
TIMES = (2, 4)  # as many images
ROUNDING = 1e-9  # of a mean of equal scores


def power_plan(
    made: Plan,
    ahead: Estimate,
    machine: Machine,
    study: Path | None,
    sds: Mapping[str, float],
    difference: float | None,
) -> PowerPlan:
    """Return the power of a planned study and of others like it.

    Args:
        made: the study.
        ahead: its estimated cost.
        machine: where it will be trained.
        study: the folder of a pilot; None: standard deviations of PH2.
        sds: standard deviations that are given, by name; they replace those of the pilot.
        difference: of IoU that should be shown.

    Raises:
        UserError: a wrong value, or a pilot without two configurations with two seeds.
    """
    refuse_values(sds, difference)
    workers = _workers(ahead, machine)
    sizes = _Sizes(made, ahead, workers, _seconds_of(study))
    found, source = _variances(study, sds)
    sizer = Sizer(found, len(made.configurations()), sizes.hours)
    num_seeds = 1 + max(run.seed for run in made.runs)  # of a sequential study as far as its looks decided
    seeds = sorted({*SEEDS, max(2, num_seeds)})
    own, layouts = sizes.own, sizes.layouts
    return PowerPlan(
        name=made.study.name,
        num_configurations=sizer.num_configurations,
        unit=sizes.unit,
        workers=workers,
        source=source,
        pilot=found,
        present=sizer.size(own, num_seeds) if num_seeds > 1 else None,
        sizes=tuple(sizer.size(layout, number) for layout in layouts for number in seeds),
        cheapest=None if difference is None else sizer.cheapest(layouts, difference),
    )


def _variances(study: Path | None, sds: Mapping[str, float]) -> tuple[Pilot, str]:
    """Return the variances, and where they are from."""
    if study is None:
        found, source = pilot_of(PH2), f"{PH2_NAME}: no pilot was given, and your data may differ"
    else:
        found, source = _from_pilot(study)
    if not sds:
        return found, source
    given = pilot_of({**found.standard_deviations(), **sds})
    rest = [name for name in PH2 if name not in sds]
    return given, f"given: {', '.join(sds)}" + (f"; {', '.join(rest)} from {source}" if rest else "")


def _from_pilot(study: Path) -> tuple[Pilot, str]:
    results = gather(StudyFolder(study))
    names = _pilots(results)
    if len(names) < 2:
        raise UserError(
            f"{study}: a pilot needs two or more configurations with two or more finished seeds each and "
            f"equal test images, got {len(names)}; train more seeds, or give standard deviations with --sd"
        )
    found = _measured(results, names)
    if not _varies(found):
        raise UserError(
            f"{study}: all runs of the pilot have equal scores on each image, so it does not show how much "
            "scores vary (have they learned anything?); name another pilot, or give standard deviations "
            "with --sd alone"
        )
    source = f"{study}: {len(names)} configurations, {len(results.seeds(names[0]))} seeds"
    if results.seed_plan.is_sequential:
        source += " (a sequential study: the power here is that of fixed seeds, without looks)"
    if found.knows_training_sets:
        return found, source
    sets = np.asarray(2 * PH2["training_set"] ** 2)
    possible = None if found.possible is None else replace(found.possible, training_sets=sets)
    known = replace(found, variances=replace(found.variances, training_sets=sets), possible=possible)
    return known, f"{source}; training_set from {PH2_NAME}, because only repeated folds measure it"


def refuse_pilot(study: Path) -> None:
    """Refuse a folder that cannot be a pilot, before anything is timed.

    Raises:
        UserError: no study, or a study without two configurations with two seeds.
    """
    _from_pilot(study)


def is_pilot(study: Path) -> bool:
    """Whether the folder is a study that can be a pilot."""
    if not StudyFolder(study).exists():
        return False
    results = gather(StudyFolder(study))
    names = _pilots(results)
    return len(names) > 1 and _varies(_measured(results, names))


def _measured(results: Results, names: Sequence[str]) -> Pilot:
    scores = [results.runs_of_units(name) for name in names]
    return pilot([each for each in scores if each is not None])


def _varies(found: Pilot) -> bool:
    """Whether any score varies by more than rounding."""
    return max(found.standard_deviations().values()) > ROUNDING


def _pilots(results: Results) -> list[str]:
    """Return the configurations with equal images, folds and numbers of seeds, two at least."""
    names = [row.name for row in results.trained if results.scores(row.name) is not None]
    names = [name for name in names if len(results.seeds(name)) > 1]
    if not names:
        return []
    most = max(len(results.seeds(name)) for name in names)
    names = comparable(results, [name for name in names if len(results.seeds(name)) == most])
    first = results.folds(names[0])
    if first is None:
        return [name for name in names if results.folds(name) is None]
    folds = {name: found for name in names if (found := results.folds(name)) is not None}
    return [name for name, each in folds.items() if np.array_equal(each.folds, first.folds)]


def _workers(ahead: Estimate, machine: Machine) -> int:
    """Return the runs in parallel; the estimate has fewer where fewer runs are left."""
    if ahead.num_runs > ahead.workers:
        return ahead.workers
    whole = choose_machine(
        device=machine.device,
        threads=machine.threads,
        executor=machine.executor,
        executor_options=machine.executor_options,
    )
    return max(ahead.workers, whole.workers)


def _seconds_of(study: Path | None) -> float | None:
    """Return the mean seconds of a pilot's runs."""
    if study is None:
        return None
    folder = StudyFolder(study)
    seconds = [record.seconds.total for record in folder.run_records(sorted(folder.finished()))]
    return float(np.mean(seconds)) if seconds else None


class _Sizes:
    """The sizes that a study is compared with, and their hours."""

    def __init__(self, made: Plan, ahead: Estimate, workers: int, measured_s: float | None):
        self._made, self._ahead, self._workers, self._measured_s = made, ahead, workers, measured_s
        self._split = made.split_of(made.runs[0])
        self._groups = {sample.id: sample.group for sample in made.dataset.samples}

    def _units(self, ids: Sequence[str]) -> int:
        return len({self._groups.get(each, each) for each in ids})

    @cached_property
    def _everything(self) -> tuple[str, ...]:
        split = self._split
        return (*split.train, *split.validation, *split.test)

    @property
    def unit(self) -> str:
        ids = self._everything
        return unit_noun(self._units(ids), len(ids), self._made.dataset.group_noun)

    @property
    def own(self) -> Layout:
        study = self._made.study
        tested = self._everything if study.folds else self._split.test
        return Layout(study.folds, study.repeats, self._units(tested))

    @property
    def layouts(self) -> list[Layout]:
        own, num_units = self.own, self._units(self._everything)
        folds = [Layout(k, repeats, num_units) for k, repeats in FOLDS if 2 * k <= num_units]
        more = [replace(own, num_units=times * own.num_units, times_images=times) for times in TIMES]
        return list(dict.fromkeys([own, *folds, *more]))

    def hours(self, layout: Layout, seeds: int) -> float | None:
        """Return the wall time of a whole study of this size, with the workers of this machine."""
        durations = []
        for configuration in self._made.configurations():
            seconds = self._seconds(configuration)
            if seconds is None:
                return None
            durations.append(seconds * self._longer(configuration, layout))
        runs = seeds * max(1, layout.folds) * layout.repeats
        return (wall_seconds(durations * runs, self._workers) + START_S) / 3600

    def _seconds(self, configuration: Configuration) -> float | None:
        """Return the seconds of a run: by timed steps, or as measured in the pilot."""
        expected = self._ahead.forecast.runs
        keys = [run.key for run in self._made.runs if run.configuration == configuration]
        timed = [expected[key].seconds for key in keys if key in expected]
        return float(np.mean(timed)) if timed else self._measured_s

    def _longer(self, configuration: Configuration, layout: Layout) -> float:
        """Return how many times as long as planned a run takes, by its numbers of images."""
        protocol, split = configuration.protocol, self._split
        sizes = [len(split.train), len(split.validation), len(split.test)]
        if layout.folds:
            part = sum(sizes) // layout.folds
            sizes = [sum(sizes) - 2 * part, part, part]
        own = inputs_of(protocol, split, self._made.native_sizes)
        inputs = Inputs(
            *(
                round(number * layout.times_images * of_part / max(1, len(part)))
                for number, of_part, part in zip(
                    sizes, own, (split.train, split.validation, split.test), strict=True
                )
            )
        )
        return images_of(protocol, inputs) / images_of(protocol, own)
