"""The runs that a stored study names, with their keys, by which finished and failed runs are found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from segstudy.config.protocol import Protocol
from segstudy.config.runs import Configuration, Replicate, Run
from segstudy.config.study import Study, runs_of
from segstudy.config.study_file import relative
from segstudy.core.errors import UserError
from segstudy.core.registry import parse, source_hash
from segstudy.core.sums import parse_sum, title
from segstudy.store.folder import StudyFolder
from segstudy.store.records import FailureRecord, NumericsRecord, Parts, RunRecord

COMPONENTS = ("architecture", "loss")
FIRST_VERSIONS = {"architecture": 1, "loss": 1, "preprocessing": 1, "training": 1}  # all of version 0.1
Numerics = Mapping[str, int | str]
Record = RunRecord | FailureRecord


@dataclass(frozen=True)
class Planned:
    """A configuration of a study with its runs.

    Attributes:
        configuration: of several whose runs have equal keys, the first.
        runs: one for each seed and fold.
    """

    configuration: Configuration
    runs: tuple[Run, ...]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of its runs."""
        return tuple(run.key for run in self.runs)


@dataclass(frozen=True)
class KeyParts:
    """The files of a study's folder that keys are computed from.

    Attributes:
        path: of the folder, to which the stored spellings of components are relative.
        data: fingerprint of the samples; empty if it is not known.
        splits: every split and fold.
        numerics: versions of the code; None of version 0.1.
    """

    path: Path
    data: str
    splits: Sequence[Parts]
    numerics: NumericsRecord | None


@dataclass(frozen=True)
class _Place:
    """A study with the data and splits that its keys are computed from."""

    study: Study
    data: str
    splits: Mapping[tuple[int, int | None, str | None, float], str]

    def planned(self, configuration: Configuration, numerics: Numerics) -> Planned:
        runs = runs_of(self.study, configuration, self.data, self._split_of, dict(numerics))
        return Planned(configuration, tuple(runs))

    def _split_of(self, protocol: Protocol, replicate: Replicate) -> str:
        """The fingerprint of a split; of one that was not made yet, a text that no split has."""
        rule = None if self.study.folds else protocol.split
        place = (protocol.split_seed + replicate.repeat, replicate.fold, rule, protocol.train_frac)
        return self.splits.get(place, f"not split yet: {place}")


def planned_of(folder: StudyFolder, study: Study, records: Sequence[Record]) -> list[Planned]:
    """The study's configurations, in its order, with the runs that are planned of them.

    Args:
        folder: the study's.
        study: as it was last run.
        records: of its finished and failed runs.
    """
    data = folder.data()
    parts = KeyParts(folder.path, data.fingerprint if data else "", folder.splits(), folder.numerics())
    return planned_from(parts, study, records)


def planned_from(parts: KeyParts, study: Study, records: Sequence[Record]) -> list[Planned]:
    """As ``planned_of``, for a folder that may not be written yet."""
    splits = {
        (each.split_seed, each.fold, None if study.folds else each.split, each.train_frac): (
            each.ids.fingerprint
        )
        for each in parts.splits
    }
    place = _Place(study, parts.data, splits)
    configurations = study.configurations()
    planned = []
    for configuration in configurations:
        numerics: Numerics = _stored_numerics(parts.path, parts.numerics, configuration)
        if not set(FIRST_VERSIONS) <= set(numerics):
            numerics = _recovered(place, configuration, numerics, configurations, records)
        planned.append(place.planned(configuration, numerics))
    once: dict[tuple[str, ...], Planned] = {}
    for each in planned:
        once.setdefault(each.keys, each)
    return list(once.values())


def is_told_by_files(folder: StudyFolder) -> bool:
    """Whether ``numerics.json`` knows all components: then no stored run decides on the planned keys."""
    stored = folder.numerics()
    return all(
        set(FIRST_VERSIONS) <= set(_stored_numerics(folder.path, stored, each))
        for each in folder.study().configurations()
    )


def _stored_numerics(
    folder: Path, stored: NumericsRecord | None, configuration: Configuration
) -> dict[str, int | str]:
    """The versions of ``numerics.json`` that enter the keys of a configuration."""
    if stored is None:
        return {}
    found: dict[str, int | str] = {"preprocessing": stored.preprocessing, "training": stored.training}
    if configuration.protocol.augmentation != "none":
        found["augmentation"] = stored.augmentation
    for factor, versions in (("architecture", stored.architecture), ("loss", stored.loss)):
        spelling = relative(configuration.level(factor), folder)
        if spelling in versions:
            found[factor] = versions[spelling]
    if configuration.protocol.precision == "bfloat16" and configuration.architecture in stored.bfloat16:
        found["bfloat16"] = stored.bfloat16[configuration.architecture]
    return found


def _recovered(
    place: _Place,
    configuration: Configuration,
    stored: Numerics,
    configurations: Iterable[Configuration],
    records: Sequence[Record],
) -> Numerics:
    """The versions that the newest stored run of a configuration has, where ``numerics.json`` does not say.

    Version 0.1 wrote no such file, and it lacks a component that somebody has added to study.toml by hand.
    The versions are those of other runs, or the first ones, with which a stored run has a key of this
    configuration. Where two files of users have one name, only the file itself tells whose run it is: there
    the version is its hash as it is now.
    """
    known: dict[str, int | str] = {}
    known.update(_hashes_now(configuration, configurations))
    known.update(stored)
    first: dict[str, int | str] = dict(FIRST_VERSIONS)
    if configuration.protocol.augmentation != "none":
        first["augmentation"] = 1
    newest_first = sorted(records, key=_started, reverse=True)
    said = [each.description.numerics for each in newest_first if each.description.numerics]
    whole: list[Numerics] = [dict(numerics) | known for numerics in (*said, first)]
    candidates = {repr(sorted(each.items())): each for each in whole}
    place_of = {record.key: n for n, record in enumerate(newest_first)}
    found = {
        min(place_of[key] for key in keys): numerics
        for numerics in candidates.values()
        if (keys := place_of.keys() & place.planned(configuration, numerics).keys)
    }
    return found[min(found)] if found else known


def _started(record: Record) -> str:
    """When a run began, which failures do not say: they come last."""
    return record.started if isinstance(record, RunRecord) else ""


def _hashes_now(configuration: Configuration, configurations: Iterable[Configuration]) -> dict[str, str]:
    """Hashes of a configuration's own files, where another configuration differs in their folder alone."""
    own = [factor for factor in COMPONENTS if parse_sum(configuration.level(factor)).file]
    if not own:
        return {}
    alike = [each for each in configurations if _described(each) == _described(configuration)]
    return {
        factor: _hash_now(configuration.level(factor))
        for factor in own
        if len({each.level(factor) for each in alike}) > 1
    }


def _described(configuration: Configuration) -> tuple[str, str, dict[str, Any]]:
    """What enters a key of a configuration itself."""
    return title(configuration.architecture), title(configuration.loss), configuration.protocol.numbers()


def _hash_now(component: str) -> str:
    try:
        return source_hash(parse(component)) or ""
    except (OSError, UserError):
        return f"{component} is gone"
