"""preregistration.json: the study as it was fixed before its first run. It is never replaced."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from segstudy.config.study import Study
from segstudy.config.study_file import dump
from segstudy.core.errors import UserError
from segstudy.core.version import __version__
from segstudy.store.folder import StudyFolder
from segstudy.store.records import Described, Parts
from segstudy.store.sealed_records import read_sealed, write_sealed

FILE = "preregistration.json"
FORMAT = 1
PLACES = ("name", "data", "split_file")  # of files: another place is the same study
REMEDY = "restore it from a copy, or delete it: the report then says that nothing was preregistered"


class RegisteredSplit(Described):
    """A split by the fingerprint of its ids."""

    split: str
    split_seed: int
    fold: int | None
    train_frac: float = 1.0
    fingerprint: str


class Preregistration(Described):
    """The content of the file.

    Attributes:
        format: of the file.
        written: when, in UTC.
        segstudy: the version that wrote it.
        study: content of study.toml, without the places of files.
        study_sha256: of the canonical JSON of that content.
        data: fingerprint of the samples.
        splits: every split and fold.
        seal: checksum of all of this.
    """

    format: int
    written: str
    segstudy: str
    study: dict[str, Any]
    study_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    data: str
    splits: list[RegisteredSplit]
    seal: str

    def as_study(self) -> Study:
        """Return the registered study; the places of files are not known."""
        return Study.model_validate({"name": "registered", "data": "synthetic", **self.study})

    @property
    def margin(self) -> float:
        return self.as_study().margin

    @property
    def looks(self) -> dict[str, Any] | None:
        """The planned looks of a sequential study, as in looks.json; None for a fixed study."""
        return (self.model_extra or {}).get("looks")


def register(
    folder: StudyFolder,
    study: Study,
    data: str,
    splits: Iterable[Parts],
    looks: Mapping[str, Any] | None = None,
) -> None:
    """Write the file before the first run; nothing if there is one, or if runs were begun without it.

    Args:
        folder: of the study.
        study: resolved, as it is written to study.toml.
        data: fingerprint of the samples.
        splits: all of them.
        looks: the planned looks of a sequential study.

    Raises:
        DiskError: when it cannot be written.
    """
    if (folder.path / FILE).exists() or folder.finished() or folder.failed() or folder.begun():
        return
    described = content_of(study, folder.path)
    record: dict[str, Any] = {
        "format": FORMAT,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "segstudy": __version__,
        "study": described,
        "study_sha256": content_hash(described),
        "data": data,
        "splits": [_registered(each) for each in splits],
        **({"looks": looks} if looks is not None else {}),
    }
    write_sealed(folder.path / FILE, record)


def _registered(split: Parts) -> dict[str, Any]:
    fields = {"split", "split_seed", "fold"} | ({"train_frac"} if split.train_frac != 1 else set())
    return {**split.model_dump(include=fields), "fingerprint": split.ids.fingerprint}


def preregistration(folder: StudyFolder) -> Preregistration | None:
    """Read the file; None if nothing was preregistered.

    Raises:
        UserError: it is damaged, altered, or of a later version.
    """
    file = folder.path / FILE
    found = read_sealed(file, Preregistration, FORMAT, REMEDY)
    if found is None:
        return None
    if found.study_sha256 != content_hash(found.study):
        raise UserError(f"{file}: altered (its study has another hash); {REMEDY}")
    try:
        found.as_study()
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{file}: no study ({where}: {error.errors()[0]['msg']}); {REMEDY}") from None
    return found


def content_of(study: Study, folder: Path) -> dict[str, Any]:
    """Return the content of study.toml in this folder, without the places of files."""
    content = tomllib.loads(dump(study, folder))
    return {name: value for name, value in content.items() if name not in PLACES}


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of this content."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
