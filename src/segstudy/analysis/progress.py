"""The runs of a study that are planned, finished and failed, without reading what is known already."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from segstudy.analysis.configurations import named_configurations, rows_of
from segstudy.analysis.run_matching import is_told_by_files
from segstudy.analysis.seed_plan import seed_plan_of
from segstudy.core.environment import differing
from segstudy.core.file_stamps import stamp_of
from segstudy.core.installed import package_files
from segstudy.core.version import __version__
from segstudy.store.folder import StudyFolder
from segstudy.store.records import FailureRecord, RunRecord
from segstudy.store.run_index import (
    RunFacts,
    RunIndex,
    TimedProtocol,
    derived_from,
    read_run_index,
    write_run_index,
)

# All files that the keys of the planned runs follow from.
PLAN_FILES = (
    "study.toml",
    "data.json",
    "split.json",
    "numerics.json",
    "looks.json",
    "preregistration.json",
)


class _Plan(BaseModel):
    """The planned runs in an index: of each configuration the fields of ``PlannedRuns``."""

    sources: str | None
    runs: list[tuple[str, TimedProtocol, list[str]]]


class _Hardware(BaseModel):
    """The sentences on hardware in an index, with the state of the study that they describe."""

    state: str
    sentences: list[str]


@dataclass(frozen=True, slots=True)
class PlannedRuns:
    """The planned runs of a configuration.

    Attributes:
        architecture: as printed.
        protocol: all its fields.
        keys: of the runs.
    """

    architecture: str
    protocol: Mapping[str, Any]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study has come.

    Attributes:
        planned: by configuration, in the study's order.
        finished: all finished runs, by key; also those that the study does not name.
        failed: records of the runs whose last attempt failed, by key.
        hardware: of the planned runs that are finished, if it differs, in sentences.
    """

    planned: tuple[PlannedRuns, ...]
    finished: Mapping[str, RunFacts]
    failed: Mapping[str, FailureRecord]
    hardware: tuple[str, ...] = ()

    @property
    def num_planned(self) -> int:
        return sum(len(each.keys) for each in self.planned)

    @property
    def num_finished(self) -> int:
        """How many of the planned runs are finished."""
        return sum(key in self.finished for each in self.planned for key in each.keys)

    @property
    def environments(self) -> list[Mapping[str, Any]]:
        """All environments in which runs were trained; one object of many runs comes once."""
        return _environments(self.finished)


def progress_of(folder: StudyFolder) -> Progress:
    """Return how far a study has come, from its folder alone.

    What is read is kept in the index of the runs, so that the next call is quick, see ``store.run_index``.

    Raises:
        UserError: not a study, or a file in it is damaged.
    """
    index = read_run_index(folder)
    sources = _sources(folder)
    plan = derived_from(index, "plan", _Plan)
    if plan.get("sources") != sources:
        # Else keys follow from the stored runs too: of unknown components, of looks that were taken.
        told = is_told_by_files(folder) and not seed_plan_of(folder).is_sequential
        plan = {"sources": sources if told else None, "runs": _planned_runs(folder, told)}
    hardware = _hardware(folder, index, sources)
    planned = tuple(
        PlannedRuns(architecture, protocol, tuple(keys)) for architecture, protocol, keys in plan["runs"]
    )
    progress = Progress(planned, index.runs, folder.failed(), tuple(hardware["sentences"]))
    derived = {"plan": plan, "hardware": hardware} if plan["sources"] else {}
    write_run_index(folder, index, derived, progress.num_planned)
    return progress


def _planned_runs(folder: StudyFolder, told: bool) -> list[list[Any]]:
    """Return the fields of ``PlannedRuns`` of every configuration."""
    finished = folder.finished()
    records: list[RunRecord | FailureRecord] = []
    if not told:
        records = [*folder.run_records(sorted(finished)), *folder.failed().values()]
    return [
        [described["architecture"], described["protocol"], list(planned.keys)]
        for _, described, planned in named_configurations(folder, records, finished)
    ]


def _hardware(folder: StudyFolder, index: RunIndex, sources: str) -> dict[str, Any]:
    """Return the sentences on hardware that differs, with the state of the study that they describe."""
    if not differing(_environments(index.runs)):
        return {"state": "", "sentences": []}
    stamps = json.dumps(sorted(index.stamps.items()))
    state = hashlib.sha256(f"{sources} {stamps}".encode()).hexdigest()
    known = derived_from(index, "hardware", _Hardware)
    if known.get("state") == state:
        return known
    from segstudy.analysis.hardware import hardware  # with the statistics, which import scipy

    return {"state": state, "sentences": list(hardware(rows_of(folder)).sentences)}


def _environments(runs: Mapping[str, RunFacts]) -> list[Mapping[str, Any]]:
    return list({id(each): each for facts in runs.values() for each in facts.environments}.values())


def _sources(folder: StudyFolder) -> str:
    """Return a hash of all that the keys of planned runs follow from: the study's files and this program."""
    found = hashlib.sha256(__version__.encode())
    for file in package_files("segstudy"):
        found.update(repr(stamp_of(file.stat())).encode())
    for name in PLAN_FILES:
        file = folder.path / name
        content = file.read_bytes() if file.is_file() else b""
        found.update(f"{name} {len(content)} ".encode())
        found.update(content)
    return found.hexdigest()
