"""The files of one run, from the machine that trained it to the study's folder on another one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from segstudy.core.atomic_files import write_folder
from segstudy.core.errors import UserError
from segstudy.core.paths import inside
from segstudy.store.folder import StudyFolder
from segstudy.store.run_records import RECORD_SEAL, seal


def stored_files(folder: StudyFolder, key: str) -> list[Path]:
    """Return the files of a finished run, or the record of its failure; none if there is neither."""
    if folder.is_finished(key):
        return sorted((folder.runs / key).iterdir())
    failure = folder.failures / f"{key}.json"
    return [failure] if failure.is_file() else []


def write_trained_elsewhere(folder: StudyFolder, key: str, files: Mapping[str, bytes]) -> None:
    """Store a finished run at once, from the files that were written on another machine.

    Raises:
        UserError: they are not as they were written there, or a name is not that of a file of a run.
        DiskError: when they cannot be written; then nothing of it is stored.
    """
    for name in files:
        if "/" in name:
            raise UserError(
                f"{folder.runs / key}: a file that another machine sent must be named without /, got {name!r}"
            )
        inside(folder.runs / key, name)
    if not _is_whole(key, files):
        raise UserError(f"{folder.runs / key}: was altered on its way from another machine; run again")
    write_folder(folder.runs / key, files)
    folder.clear_failure(key)


def _is_whole(key: str, files: Mapping[str, bytes]) -> bool:
    """Whether these are all files of this run, as they were written."""
    try:
        record = json.loads(files["run.json"])
        sha256 = {
            name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "run.json"
        }
        return bool(
            record["key"] == key and record[RECORD_SEAL] == seal(record) and record["sha256"] == sha256
        )
    except (ValueError, KeyError, TypeError):
        return False
