"""What a page says of its own origin: data, protocol, environment, study file; and nothing of its machine."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from segstudy.analysis.configurations import Row
from segstudy.config.study import Study, is_synthetic
from segstudy.core.environment import environments_of
from segstudy.core.registry import title
from segstudy.reporting.charts.specs import PARTS
from segstudy.store.folder import StudyFolder

FINDINGS_SHOWN = 20
FACTORS = ("architecture", "loss")


def described_data(folder: StudyFolder) -> dict[str, Any]:
    """The data set, its parts and what the check found, for the page's section on data."""
    data: dict[str, Any] = {
        "name": "",
        "reader": "",
        "terms": "",
        "citation": "",
        "group_noun": "group",
        "samples": [],
        "findings": [],
        "leaks": [],
    }
    data |= folder.read_json("data.json") or {}
    splits = (folder.read_json("split.json") or {"splits": []})["splits"]
    return {
        **data,
        "knows_groups": knows_groups(data),
        "num_groups": len({sample["group"] for sample in data["samples"]}),
        "categories": Counter(sample["category"] for sample in data["samples"] if sample["category"]),
        "counts": Counter((finding["severity"], finding["kind"]) for finding in data["findings"]),
        "findings": [publishable_texts(finding) for finding in data["findings"][:FINDINGS_SHOWN]],
        "num_findings": len(data["findings"]),
        "splits": [(split, [len(split[part]) for part in PARTS]) for split in splits],
    }


def knows_groups(data: Mapping[str, Any]) -> bool:
    """Whether somebody said of any image which patient or lesion it is of: else each is its own group."""
    return any(sample["group"] != sample["id"] for sample in data["samples"])


def publishable_texts(texts: Mapping[str, Any]) -> dict[str, Any]:
    """A finding or a failure with paths cut to their last name: a shared page says nothing of its machine."""
    folders = r"(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\"<>|]+[/\\])+"
    return {
        name: re.sub(folders, "", value) if isinstance(value, str) else value for name, value in texts.items()
    }


def shared_protocol(study: Study) -> dict[str, str]:
    """The settings that all configurations share, as a person reads them."""
    protocols = [
        protocol.numbers() | protocol.model_dump(include={"split", "split_seed"})
        for protocol in (configuration.protocol for configuration in study.configurations())
    ]
    shared = {
        name: value
        for name, value in protocols[0].items()
        if value is not None and all(name in other and other[name] == value for other in protocols)
    }
    if study.folds or study.split_file:
        shared["split"] = f"{study.folds} folds" if study.folds else "from a file"
    return {name.replace("_", " "): _spelled(value) for name, value in shared.items()}


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def environments(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Where the runs were trained, sessions that were interrupted included: one entry for all that agree."""
    found = {text for row in rows for record in row.records for text in _sessions(record)}
    return [json.loads(text) for text in sorted(found)]


def mixed(rows: Sequence[Row]) -> int:
    """How many runs were interrupted and resumed elsewhere, or with other versions or threads."""
    return sum(len(_sessions(record)) > 1 for row in rows for record in row.records)


def _sessions(record: Mapping[str, Any]) -> set[str]:
    """The environments of a run; older records know no resuming."""
    return {json.dumps(environment, sort_keys=True) for environment in environments_of(record)}


def publishable_study(folder: StudyFolder) -> str:
    """study.toml without the paths to data, split and users' own files."""
    raw = tomllib.loads((folder.path / "study.toml").read_text(encoding="utf-8"))
    if not is_synthetic(raw["data"]):
        raw["data"] = Path(raw["data"]).name
    if "split_file" in raw:
        raw["split_file"] = Path(raw["split_file"]).name
    for grid in raw["grid"]:
        for factor in FACTORS:
            grid[factor] = [title(level) for level in grid[factor]]
    return tomlkit.dumps(raw)
