"""The index of a study's finished runs: in one file, what ``status`` needs of each ``run.json``.

To read ten thousand small files takes seconds. The index is derived and may be deleted at any time. It is
never trusted over the runs: every ``run.json`` whose stamp is not the stored one is read again, and an index
that is missing, damaged or of another version is made again. It is written in one step, so that of two
processes the last one wins; where the folder cannot be written there is none.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import time_ns
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segstudy.core.atomic_files import DiskError, write_text
from segstudy.core.errors import UserError
from segstudy.core.file_stamps import UNSETTLED_NS, FileStamp, stamp_of
from segstudy.core.input_files import read_bytes
from segstudy.core.json_files import MAX_RECORD_BYTES
from segstudy.core.sealed_json import sealed, unsealed
from segstudy.store.folder import StudyFolder
from segstudy.store.records import RunRecord
from segstudy.store.run_records import read_run_record

INDEX = "run_index.json"
VERSION = 1  # of the index: raise it with each change of its content, also of what is derived in it
FEWEST = 200  # planned runs for which an index is kept; fewer are read as quickly without


class TimedProtocol(BaseModel):
    """The fields of a protocol that the time of its runs follows from; it may have more."""

    width: int
    image_size: Any
    precision: str
    batch_size: int = Field(gt=0)
    epochs: int = Field(gt=0)
    budget: str = ""
    steps: int = Field(1, gt=0)


_Place = Annotated[int, Field(ge=0)]  # in a list


class _Content(BaseModel):
    """What the file holds: of each run its stamp, its network, its seconds and its environments."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    networks: list[tuple[str, dict[str, Any]]]
    environments: list[dict[str, Any]]
    runs: dict[str, tuple[int, int, int, int, _Place, float, list[_Place]]]
    derived: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What ``status`` needs of a finished run; equal values of several runs are one object.

    Attributes:
        architecture: as printed.
        protocol: all its fields.
        seconds: of its training.
        environments: of all its sessions.
    """

    architecture: str
    protocol: Mapping[str, Any]
    seconds: float
    environments: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class RunIndex:
    """The finished runs of a study as they are now.

    Attributes:
        runs: by key.
        derived: what ``write_run_index`` was given; who uses it checks whether it still holds.
        stamps: of each ``run.json``.
        is_stored: whether the file holds all of this.
    """

    runs: Mapping[str, RunFacts]
    derived: Mapping[str, Any]
    stamps: Mapping[str, FileStamp] = field(default_factory=dict)
    is_stored: bool = True


def read_run_index(folder: StudyFolder) -> RunIndex:
    """Return the facts of all finished runs; only runs that the index does not know as they are are read.

    Raises:
        UserError: a run is damaged, or of a newer version.
    """
    finished = sorted(folder.finished())
    stored = _stored(folder)
    stamps = dict(_stamps(folder, finished))
    runs = {
        key: stored.runs[key]
        if key in stamps and stamps[key] == stored.stamps.get(key)
        else _facts(read_run_record(folder.runs / key))
        for key in finished
    }
    return RunIndex(runs, stored.derived, stamps, is_stored=stored.is_stored and stamps == stored.stamps)


def write_run_index(
    folder: StudyFolder, index: RunIndex, derived: Mapping[str, Any], num_planned: int
) -> None:
    """Store the index if that saves time: of many runs, where the folder can be written.

    Runs that were stored in the last moments are left out: their files may change again within the same tick
    of the clock.
    """
    if num_planned < FEWEST or (index.is_stored and derived == index.derived):
        return
    past = time_ns() - UNSETTLED_NS
    networks, environments = _Numbered(), _Numbered()
    runs = {
        key: [
            *index.stamps[key],
            networks.number([facts.architecture, facts.protocol]),
            facts.seconds,
            [environments.number(each) for each in facts.environments],
        ]
        for key, facts in index.runs.items()
        if key in index.stamps and index.stamps[key].latest_ns < past
    }
    content = {
        "networks": networks.values,
        "environments": environments.values,
        "runs": runs,
        "derived": derived,
    }
    with suppress(DiskError):  # it only saves time
        write_text(folder.path / INDEX, sealed(VERSION, content))


class _Numbered:
    """Values that many runs share, each stored once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        text = json.dumps(value, sort_keys=True)
        if text not in self._numbers:
            self._numbers[text] = len(self.values)
            self.values.append(value)
        return self._numbers[text]


def _stamps(folder: StudyFolder, keys: list[str]) -> Iterator[tuple[str, FileStamp]]:
    runs = os.fspath(folder.runs)  # paths of pathlib would take most of the time
    for key in keys:
        with suppress(OSError):  # the reading says what is wrong
            yield key, stamp_of(os.stat(f"{runs}/{key}/run.json"))  # noqa: PTH116


def _facts(record: RunRecord) -> RunFacts:
    return RunFacts(record.architecture, record.protocol, record.seconds.total, tuple(record.environments))


def _stored(folder: StudyFolder) -> RunIndex:
    """Return the index as it is stored; an empty one if it is not as this version wrote it."""
    with suppress(OSError, UserError, ValueError, IndexError, RecursionError):
        text = unsealed(VERSION, read_bytes(folder.path / INDEX, MAX_RECORD_BYTES))
        if text is not None:
            content = _Content.model_validate_json(text)
            for _, protocol in content.networks:
                TimedProtocol.model_validate(protocol)
            stamps = {key: FileStamp(*row[:4]) for key, row in content.runs.items()}
            runs = {
                key: RunFacts(*content.networks[n], seconds, tuple(content.environments[e] for e in others))
                for key, (*_, n, seconds, others) in content.runs.items()
            }
            return RunIndex(runs, content.derived, stamps)
    return RunIndex({}, {}, is_stored=False)


def derived_from(index: RunIndex, name: str, kind: type[BaseModel]) -> dict[str, Any]:
    """Return what an index holds under a name; empty if it has not the fields of its kind."""
    value = index.derived.get(name)
    try:
        kind.model_validate(value)
    except (ValidationError, RecursionError):
        return {}
    return dict(value or {})
