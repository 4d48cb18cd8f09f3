"""The configurations of a study with their finished and failed runs, from its folder alone."""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from segstudy.analysis.run_matching import COMPONENTS, Planned, planned_of
from segstudy.analysis.seed_plan import seed_plan_of
from segstudy.config.runs import Configuration, Run, configuration_names
from segstudy.core.sums import distinct_titles, title
from segstudy.store.folder import StudyFolder
from segstudy.store.records import FailureRecord, MasksRecord, RunRecord


@dataclass(frozen=True)
class Row:
    """A configuration with its stored runs, or masks of another tool.

    Attributes:
        name: as printed; no other row of the study has it.
        configuration: ``architecture`` and ``loss`` as printed, and ``protocol``; empty for masks.
        records: ``run.json`` of each finished run.
        failures: records of the runs that failed.
        num_planned: runs, or sets of masks.
        num_replicates: seeds.
        masks: the record of masks that `segstudy score` stored; None for the study's own configurations.
        folder: of masks, their folder in ``external/``.
        data: fingerprint of the data that all of this was trained and tested on.
        planned: the configuration as the study has it; None for masks, and for runs that it does not name.
        repeats: which set of folds each run belongs to, by key; empty where there is only one.
        stopped: of a sequential study, the look at which it was stopped, so that no more runs are planned.
    """

    name: str
    configuration: Mapping[str, Any]
    records: tuple[RunRecord, ...]
    failures: tuple[FailureRecord, ...]
    num_planned: int
    num_replicates: int
    masks: MasksRecord | None = None
    folder: str = ""
    data: str = ""
    planned: Configuration | None = None
    repeats: Mapping[str, int] = field(default_factory=dict)
    stopped: int | None = None

    @property
    def keys(self) -> list[str]:
        """The keys of its finished runs."""
        return [record.key for record in self.records]

    @property
    def deterministic(self) -> bool:
        """Whether these are masks of a tool that gives the same ones every time."""
        return self.masks is not None and self.masks.deterministic

    @property
    def foreground(self) -> Any:
        """Return the values of a multi-class mask that count as foreground; None if not stored."""
        if self.masks is not None:
            return (self.masks.foreground or []) if "foreground" in self.masks.model_fields_set else None
        protocol = self.configuration["protocol"]
        return protocol["foreground"] or [] if "foreground" in protocol else None

    @property
    def classes(self) -> str:
        """Return the classes, and the values to ignore, in words."""
        if self.masks is not None:
            return classes_text(self.masks.classes, self.masks.ignore)
        protocol = self.configuration["protocol"]
        return classes_text(protocol.get("classes"), protocol.get("ignore"))

    def has_truth_of(self, other: "Row") -> bool:
        """Whether both are scored against the same masks of the same data, as far as is stored."""
        datas = {self.data, other.data} - {""}
        foregrounds = self.foreground, other.foreground
        same = None in foregrounds or foregrounds[0] == foregrounds[1]
        return len(datas) < 2 and same and self.classes == other.classes

    @property
    def complete(self) -> bool:
        """Whether every planned run is finished, or every test image has its mask; never if stopped."""
        if self.masks is not None:
            return not any(self.masks.missing.values())
        return len(self.records) == self.num_planned > 0 and self.stopped is None


def classes_text(classes: str | None, ignore: Iterable[int | str] | None) -> str:
    """Return the classes of a study or of masks, and the values to ignore, in words."""
    ignored = "".join(f", {value} ignored" for value in ignore or ())
    return f"{classes or 'one foreground'}{ignored}"


def all_rows(folder: StudyFolder, show_all: bool = False) -> list[Row]:
    """Return the rows of ``rows_of``, and after them the masks of other tools; all names differ."""
    rows = rows_of(folder, show_all)
    taken = {row.name for row in rows}
    nothing = {"architecture": "", "loss": "", "protocol": {}}
    for key, each in folder.external_records().items():
        if isinstance(each, MasksRecord):
            name = _free(each.name, taken, "masks")
            num_sets = len(each.seeds)
            rows.append(Row(name, nothing, (), (), num_sets, num_sets, each, key, each.data.fingerprint))
    return rows


def rows_of(folder: StudyFolder, show_all: bool = False) -> list[Row]:
    """Return the study's configurations, in its order, with their finished and failed runs.

    A run on other data or another split than the study's, or of other code, is as unnamed as one of another
    configuration: with ``show_all`` its row follows, with nothing planned.
    """
    study = folder.study()
    records = folder.run_records(sorted(folder.finished()))
    records.sort(key=lambda record: record.started, reverse=True)
    failures = folder.failed()
    finished = {record.key: record for record in records}
    seed_plan = seed_plan_of(folder)
    named = named_configurations(folder, [*records, *failures.values()], finished.keys())
    rows = [
        Row(
            name=name,
            configuration=described,
            records=_in_order(finished[key] for key in each.keys if key in finished),
            failures=tuple(failure for key, failure in failures.items() if key in each.keys),
            num_planned=len(each.runs),
            num_replicates=study.seeds,
            data=each.runs[0].data,
            planned=each.configuration,
            repeats={run.key: run.repeat for run in each.runs} if study.repeats > 1 else {},
            stopped=seed_plan.stopped.get(name),
        )
        for name, described, each in named
    ]
    if not show_all:
        return rows
    taken = {key for row in rows for key in row.keys}
    others = [each for each in records if each.key not in taken]
    return [*rows, *_unnamed_rows(rows, [each for *_, each in named], others, _split_seeds(folder))]


def named_configurations(
    folder: StudyFolder, records: Sequence[RunRecord | FailureRecord], finished: Collection[str]
) -> list[tuple[str, dict[str, Any], Planned]]:
    """Return name, description and planned runs of each of the study's configurations, in its order.

    Args:
        folder: the study's.
        records: of its finished and failed runs, from which the versions of components follow that
            ``numerics.json`` does not know.
        finished: keys of its finished runs, by which a sequential study plans.
    """
    planned, seed_plan = planned_of(folder, folder.study(), records), seed_plan_of(folder)
    names = configuration_names([each.configuration for each in planned])
    planned = [
        _with_runs(each, seed_plan.needed(name, each.runs, finished))
        for each, name in zip(planned, names, strict=True)
    ]
    titles = {f: distinct_titles(each.configuration.level(f) for each in planned) for f in COMPONENTS}
    described = [
        {
            **{f: titles[f][each.configuration.level(f)] for f in COMPONENTS},
            "protocol": each.configuration.protocol.model_dump(mode="json"),
        }
        for each in planned
    ]
    return list(zip(names, described, planned, strict=True))


def _with_runs(planned: Planned, runs: tuple[Run, ...]) -> Planned:
    return planned if runs is planned.runs else replace(planned, runs=runs)  # its keys are computed once


def names_of_runs(folder: StudyFolder) -> dict[str, str]:
    """Return the present name of every finished run's configuration, by key."""
    rows = rows_of(folder, show_all=True)
    return {record.key: row.name for row in rows for record in row.records}


def _unnamed_rows(
    rows: Sequence[Row],
    planned: Sequence[Planned],
    records: Iterable[RunRecord],
    split_seeds: Mapping[str, int],
) -> Iterator[Row]:
    """Return configurations that the study no longer names, with runs of equal code, data and subsets."""
    groups: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        groups[_origin(record)].append(record)
    separate = [part for found in groups.values() for part in _without_conflicts(found, split_seeds)]
    taken = {row.name for row in rows}
    current = {
        (f, title(each.configuration.level(f)), each.runs[0].numerics.get(f))
        for each in planned
        for f in COMPONENTS
    }
    for found in separate:
        first = found[0]
        described = {f: _called(first, f, current) for f in COMPONENTS}
        yield Row(
            _free(first.name, taken, "older"),
            {**described, "protocol": first.protocol},
            _in_order(found),
            (),
            0,
            len({run.seed for run in found}),
            data=first.description.data,
            repeats=_repeats(found, split_seeds),
        )


def _split_seeds(folder: StudyFolder) -> dict[str, int]:
    """The ``split_seed`` of each set of folds of the study, by the fingerprint of every fold."""
    return {each.ids.fingerprint: each.split_seed for each in folder.splits() if each.fold is not None}


def _repeats(records: Sequence[RunRecord], split_seeds: Mapping[str, int]) -> dict[str, int]:
    """Which set of folds each run belongs to, by key; empty where there is only one."""
    found = {record.key: split_seeds.get(record.description.split, -1) for record in records}
    order = {seed: n for n, seed in enumerate(sorted(set(found.values())))}
    return {key: order[seed] for key, seed in found.items()} if len(order) > 1 else {}


def _origin(record: RunRecord) -> str:
    """Return what runs of one configuration have in common: all contents of their keys but seed and fold."""
    described = record.description.model_dump(mode="json", exclude={"seed"})
    if record.fold is not None:
        del described["split"]
    return json.dumps([record.architecture, record.loss, described], sort_keys=True)


def _without_conflicts(records: Sequence[RunRecord], split_seeds: Mapping[str, int]) -> list[list[RunRecord]]:
    """Return groups of runs that can be one configuration: all, unless a fold has two splits.

    Of several runs of one seed and fold each begins a group of its own. Folds of different ``split_seed``
    are repeats.
    """

    def place(record: RunRecord) -> tuple[int | None, int | None]:
        return split_seeds.get(record.description.split), record.fold

    splits = {(place(record), record.description.split) for record in records}
    divided = len(splits) > len({where for where, _ in splits})
    groups: dict[Any, list[RunRecord]] = defaultdict(list)
    seen: Counter[Any] = Counter()
    for record in records:
        part = (record.fold, record.description.split) if divided else None
        replicate = (part, record.seed, place(record))
        groups[part, seen[replicate]].append(record)
        seen[replicate] += 1
    return list(groups.values())


def _called(record: RunRecord, factor: str, current: set[tuple[str, str, Any]]) -> str:
    """Return a component's title; for a user's file that has changed since, with its former hash."""
    source, called = record.description.numerics.get(factor), str(getattr(record, factor))
    if not isinstance(source, str) or (factor, called, source) in current:
        return called
    return f"{called} ({source[:6]})"


def _free(name: str, taken: set[str], what: str) -> str:
    """Return the name, followed by a word or a number if it is taken, and add it to ``taken``."""
    others = (f"{name} ({what}, {n})" for n in itertools.count(2))
    free = next(each for each in itertools.chain([name, f"{name} ({what})"], others) if each not in taken)
    taken.add(free)
    return free


def _in_order(records: Iterable[RunRecord]) -> tuple[RunRecord, ...]:
    return tuple(sorted(records, key=lambda record: record.key))
