"""Which finished and failed runs belong to which configuration of a study, from its folder alone."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from segstudy.components import title
from segstudy.config import ADDED_LATER, Configuration, Study, configuration_names
from segstudy.data.samples import PARTS
from segstudy.data.split import Split
from segstudy.store import StudyFolder

Identity = tuple[str, str, str]
Replicate = tuple[int, int | None]


@dataclass(frozen=True)
class Row:
    """A configuration with what is stored of it, or masks of another tool.

    Attributes:
        name: as printed.
        configuration: ``architecture``, ``loss`` and ``protocol``; empty for masks.
        records: ``run.json`` of each finished run.
        failures: of those that failed.
        num_planned: runs, or sets of masks.
        num_replicates: seeds.
        masks: the record of masks that `segstudy score` took in; None for what the study trained itself.
    """

    name: str
    configuration: Mapping[str, Any]
    records: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]
    num_planned: int
    num_replicates: int
    masks: Mapping[str, Any] | None = None

    @property
    def num_folds(self) -> int:
        """Runs of a replicate; 0 where nothing is planned."""
        return self.num_planned // self.num_replicates if self.num_replicates else 0

    @property
    def complete(self) -> bool:
        """Whether every planned run is finished, or every test image has its mask."""
        if self.masks is not None:
            return not any(self.masks["parts"]["test"]["missing"].values())
        return len(self.records) == self.num_planned > 0


def mask_rows(folder: StudyFolder) -> list[Row]:
    """The masks of other tools that stand beside a study's own configurations."""
    nothing = {"architecture": "", "loss": "", "protocol": {}}
    return [
        Row(each["name"], nothing, (), (), len(each["seeds"]), len(each["seeds"]), each)
        for each in folder.externals()
        if each["kind"] == "masks"
    ]


def rows_of(folder: StudyFolder, show_all: bool = False) -> list[Row]:
    """The study's configurations, in its order, with their finished and failed runs.

    A run on other data or another split than the study's, or one that was repeated since with newer code, is
    as unnamed as one of another configuration: with ``show_all`` its row follows, with nothing planned.
    """
    study = folder.study()
    described = [_description(configuration) for configuration in study.configurations()]
    known, inputs = {_identity(each) for each in described}, _inputs(folder)
    named: dict[Identity, dict[Replicate, dict[str, Any]]] = defaultdict(dict)
    unnamed: dict[Identity, list[dict[str, Any]]] = defaultdict(list)
    records = folder.run_records(sorted(folder.finished()))
    for record in sorted(records, key=lambda record: record["started"], reverse=True):
        identity, replicate = _identity(record), (record["seed"], record["fold"])
        current = (record["description"]["data"], record["description"]["split"]) in inputs
        if current and identity in known and _planned(study, record) and replicate not in named[identity]:
            named[identity][replicate] = record
        else:
            unnamed[identity].append(record)
    failures: dict[Identity, list[dict[str, Any]]] = defaultdict(list)
    for failure in folder.failed().values():
        identity = _identity(failure)
        if _planned(study, failure) and (failure["seed"], failure["fold"]) not in named[identity]:
            failures[identity].append(failure)
    num_planned = study.seeds * max(1, study.folds)
    rows = [
        Row(name, each, _in_order(named[key].values()), tuple(failures[key]), num_planned, study.seeds)
        for name, each in zip(configuration_names(study.configurations()), described, strict=True)
        for key in [_identity(each)]
    ]
    if show_all:
        taken = {row.name for row in rows}
        for found in unnamed.values():
            name = _free(found[0]["name"], taken)
            seeds = {run["seed"] for run in found}
            rows.append(Row(name, found[0], _in_order(found), (), 0, len(seeds)))
    return rows


def _free(name: str, taken: set[str]) -> str:
    """The name, or where the study or older runs have it already, with a number; added to ``taken``."""
    others = (f"{name} (older, {n})" for n in itertools.count(2))
    free = next(each for each in itertools.chain([name, f"{name} (older)"], others) if each not in taken)
    taken.add(free)
    return free


def _inputs(folder: StudyFolder) -> set[tuple[str, str]]:
    """Fingerprints of the study's data with each of its splits."""
    data = folder.read_json("data.json") or {"fingerprint": ""}
    splits = (folder.read_json("split.json") or {"splits": []})["splits"]
    return {
        (data["fingerprint"], Split(*(tuple(split[part]) for part in PARTS)).fingerprint) for split in splits
    }


def _in_order(records: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(sorted(records, key=lambda record: record["key"]))


def _description(configuration: Configuration) -> dict[str, Any]:
    return {
        "architecture": title(configuration.architecture),
        "loss": title(configuration.loss),
        "protocol": configuration.protocol.model_dump(mode="json"),
    }


def _identity(described: Mapping[str, Any]) -> Identity:
    protocol = ADDED_LATER | described["protocol"]
    return described["architecture"], described["loss"], json.dumps(protocol, sort_keys=True)


def _planned(study: Study, record: Mapping[str, Any]) -> bool:
    return record["seed"] < study.seeds and record["fold"] in study.fold_numbers()
