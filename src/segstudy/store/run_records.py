"""``run.json`` of a run's folder: its format and its checksum."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.json_files import REPAIR, read_json
from segstudy.store.records import RunRecord, checked

FORMAT = 1  # of a run folder
RECORD_SEAL = "seal"


def read_run_record(folder: Path) -> RunRecord:
    """Read ``run.json`` of a run's folder, which may be anywhere.

    Raises:
        UserError: missing, damaged, or of a newer version.
    """
    file = folder / "run.json"
    content = read_json(file)
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise UserError(f"{file}: format {content['format']!r} is not known to this version; update segstudy")
    return checked(content, RunRecord, file)


def refuse_altered(folder: Path) -> None:
    """Refuse a run's record that is not as it was written; records of early versions cannot be checked.

    Raises:
        UserError: it was altered.
    """
    record = read_json(folder / "run.json")
    if RECORD_SEAL in record and record[RECORD_SEAL] != seal(record):
        raise UserError(f"{folder / 'run.json'}: damaged (its content was changed); {REPAIR}")


def seal(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a run's record without this checksum itself, which is stored in the record."""
    text = json.dumps({name: value for name, value in record.items() if name != RECORD_SEAL}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
