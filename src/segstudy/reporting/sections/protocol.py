"""The methods of a study: its protocol, its environments, and the definition of each number."""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from segstudy.analysis.changes_after_registration import registered
from segstudy.analysis.configurations import Row
from segstudy.analysis.hardware import hardware
from segstudy.config.protocol import Protocol, unique
from segstudy.config.runs import spelled
from segstudy.config.study import Study
from segstudy.core.environment import differing
from segstudy.core.score_words import absent_convention, filled, over_classes
from segstudy.metrics import shown_in
from segstudy.reporting.procedure import to_native
from segstudy.reporting.sections.base import ReportData


def values(report: ReportData) -> dict[str, Any]:
    """Return the values of ``protocol.html.j2``."""
    found = environments(report.results.rows)
    protocols = [configuration.protocol for configuration in report.study.configurations()]
    return {
        "registered": registered(report.folder),
        "definitions": definitions(report.study),
        "of_classes": over_classes(report.results.outputs),
        "to_native": to_native(protocols),
        "network_size": _network_size(protocols),
        "ignores": ", ".join(map(str, report.study.protocol.ignore or ())),
        "absent": absent_convention(report.results.outputs),
        "protocol": shared_protocol(report.study),
        "environments": found,
        "hardware": hardware(report.results.trained),
        "differing_environments": differing(found),
    }


def _network_size(protocols: Sequence[Protocol]) -> str:
    """Return what network size is, in sentences."""
    resized = "The same at the network's input size; the epoch is selected and the curves show it."
    tiled = (
        "The same as at native size, as images are not resized; the epoch is selected and the curves show it."
    )
    ways = unique(tiled if protocol.resize == "tiles" else resized for protocol in protocols)
    return ways[0] if len(ways) == 1 else f"{resized} Of tiles it is the native size."


def definitions(study: Study) -> list[tuple[str, str]]:
    """Return the definitions of the score columns: headings and a sentence, which neighbours may share."""
    protocol, outputs = study.protocol.model_dump(), study.protocol.outputs()
    defined = [
        (filled(each.stated(each.definition, protocol), outputs), each)
        for each in shown_in("report").values()
        if each.definition and (outputs.task == "binary" or each.takes != "tuned_counts")
    ]
    found = []
    for sentence, those in groupby(defined, key=lambda item: item[0]):
        headings = dict.fromkeys(each.heading or each.short for _, each in those)
        found.append((", ".join(headings), sentence))
    return found


def shared_protocol(study: Study) -> dict[str, str]:
    """Return the settings that all configurations share, as text."""
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
        repeated = f", repeated {study.repeats} times" if study.repeats > 1 else ""
        shared["split"] = f"{study.folds} folds{repeated}" if study.folds else "from a file"
    return {name.replace("_", " "): _written(name, value) for name, value in shared.items()}


def _written(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "image_size" and isinstance(value, list | tuple):
        return " × ".join(map(str, value))
    return spelled(name, list(value) if isinstance(value, tuple) else value)


def environments(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the environments of all sessions of the runs, equal ones as one entry."""
    found = {
        json.dumps(each, sort_keys=True)
        for row in rows
        for record in row.records
        for each in record.environments
    }
    return [json.loads(text) for text in sorted(found)]
