"""JSON files with a seal: the checksum of their content, by which an edit by hand is noticed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segstudy.core.atomic_files import write_text
from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json
from segstudy.store.records import Record, checked
from segstudy.store.run_records import RECORD_SEAL, seal


class NewerError(UserError):
    """Something that only a newer version can read."""


def sealed_text(record: Mapping[str, Any]) -> str:
    """Return the text of a file with this content and its seal."""
    return json.dumps({**record, RECORD_SEAL: seal(record)}, indent=1, ensure_ascii=False) + "\n"


def write_sealed(file: Path, record: Mapping[str, Any]) -> None:
    """Write a file with this content and its seal, whole or not at all.

    Raises:
        DiskError: when it cannot be written.
    """
    write_text(file, sealed_text(record))


def read_sealed(file: Path, kind: type[Record], known_format: int, remedy: str) -> Record | None:
    """Read a file that ``write_sealed`` wrote; None if there is none.

    Args:
        file: to read.
        kind: the model of its required fields, with ``format`` and ``seal``.
        known_format: the format that this version writes.
        remedy: what to do when it is damaged.

    Raises:
        NewerError: its format is a later one.
        UserError: it is damaged or altered.
    """
    if not file.is_file():
        return None
    raw = read_json(file, remedy)
    stored = raw.get("format") if isinstance(raw, dict) else None
    if isinstance(stored, int) and stored > known_format:
        raise NewerError(f"{file}: format {stored} belongs to a newer version; update segstudy")
    found = checked(raw, kind, file, remedy)
    if stored != known_format:
        raise UserError(f"{file}: damaged (there is no format {stored!r}); {remedy}")
    if raw.get(RECORD_SEAL) != seal(raw):
        raise UserError(f"{file}: altered (it is not as it was written); {remedy}")
    return found
