"""The check of a finished run against its checksums and its key."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segstudy.config.protocol import Protocol
from segstudy.config.runs import ADDED_LATER, key_of
from segstudy.core.checksums import sha256_of
from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json
from segstudy.store.faults import Fault, inside, reason
from segstudy.store.folder import StudyFolder
from segstudy.store.records import CARD, WEIGHTS
from segstudy.store.run_records import FORMAT, RECORD_SEAL, seal
from segstudy.store.sealed_records import NewerError

FILES = {"epochs.parquet", "images.parquet", "predictions.parquet", WEIGHTS, CARD}  # beside run.json


def run_faults(folder: StudyFolder, key: str, absent: Collection[str] = ()) -> list[Fault]:
    """Return the faults of a finished run: unknown files, and the first thing that is wrong with the run.

    Args:
        folder: the study.
        key: of the run.
        absent: names of files that may be missing, because a pack left them out.

    Raises:
        UserError: it was written by a newer version.
    """
    path = folder.runs / key
    try:
        record = _record(folder, key)
    except FileNotFoundError:
        return [Fault("incomplete", inside(folder, path), "run.json is missing")]
    except NewerError:
        raise
    except UserError as error:
        return [Fault("altered", inside(folder, path), reason(error, path))]
    unknown = _strange_files(folder, path, record)
    try:
        if detail := _missing(path, record, absent):
            return [*unknown, Fault("incomplete", inside(folder, path), detail)]
        detail = _altered(path, record, absent) or _contradiction(path, record)
    except OSError as error:
        return [
            *unknown,
            Fault("unreadable", inside(folder, path), f"{error}; check permissions and disk"),
        ]
    except (ValueError, RecursionError) as error:
        detail = f"cannot be read ({error})"
    return [*unknown, *([Fault("altered", inside(folder, path), detail)] if detail else [])]


def _strange_files(folder: StudyFolder, path: Path, record: dict[str, Any]) -> list[Fault]:
    """Return files that do not belong into a run's folder: a repair moves them, and the run stays."""
    known = {*_checksums(record), "run.json"}
    strange = sorted(file for file in path.iterdir() if file.name not in known and file.name not in FILES)
    return [Fault("orphaned", inside(folder, file), "does not belong to the run") for file in strange]


def _record(folder: StudyFolder, key: str) -> dict[str, Any]:
    """Read a run's record.

    Raises:
        FileNotFoundError: there is none.
        UserError: damaged; or of a newer version, which ends the whole check.
    """
    file = folder.runs / key / "run.json"
    if not file.is_file():
        raise FileNotFoundError(file)
    content = read_json(file)
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise NewerError(f"{file}: format {content['format']} belongs to a newer version; update segstudy")
    folder.run_records([key])
    record: dict[str, Any] = content
    return record


def _missing(path: Path, record: dict[str, Any], absent: Collection[str]) -> str:
    wanted = FILES | set(_checksums(record))
    gone = sorted(wanted - {file.name for file in path.iterdir()} - set(absent))
    return f"{', '.join(gone)} missing" if gone else ""


def _altered(path: Path, record: dict[str, Any], absent: Collection[str]) -> str:
    """Return which files do not match their checksum, in words; empty if all do."""
    checksums = _checksums(record)
    if not checksums.keys() >= FILES:
        return "run.json lacks the checksums"
    there = {name: value for name, value in checksums.items() if name not in absent or (path / name).exists()}
    changed = [name for name, checksum in there.items() if _checksum(path / name) != checksum]
    if RECORD_SEAL in record and record[RECORD_SEAL] != seal(record):
        changed.append("run.json")
    return f"{', '.join(sorted(changed))} changed (checksum)" if changed else ""


def _checksums(record: dict[str, Any]) -> dict[str, str]:
    checksums = record.get("sha256")
    return checksums if isinstance(checksums, dict) else {}


def _checksum(file: Path) -> str:
    if file.exists() and not file.is_file():
        return ""  # a pipe or a device in its place, which would never end
    return sha256_of(file)


def _contradiction(path: Path, record: dict[str, Any]) -> str:
    """Return how run.json contradicts the other files, the key, or the files beside the runs."""
    description = record["description"]
    if record["key"] != path.name or key_of(description) != path.name:
        return "its description belongs to another key"
    card = json.loads((path / CARD).read_text(encoding="utf-8"))  # its checksum was right
    if not isinstance(card, dict) or card.get("training") != description or card.get("key") != path.name:
        return f"{CARD} belongs to another run"
    if _text({name: card.get(name) for name in record["summary"]}) != _text(record["summary"]):
        return f"run.json and {CARD} differ in the results"
    if not _is_described(record):
        return "run.json contradicts its own description"
    return ""


def _is_described(record: dict[str, Any]) -> bool:
    """Whether the fields that the leaderboard reads are those that entered the key."""
    try:
        numbers = Protocol.model_validate(ADDED_LATER | record["protocol"]).numbers()
    except ValidationError:
        return False
    said = {**numbers, **{name: record[name] for name in ("architecture", "loss", "seed")}}
    description = ADDED_LATER | record["description"]
    return all(name in description and description[name] == value for name, value in said.items())


def _text(content: object) -> str:
    return json.dumps(content, sort_keys=True)  # not a number is equal to itself as text
