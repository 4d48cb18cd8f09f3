"""merged.json: which studies a folder was merged from. Other studies have none."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from segstudy.core.version import __version__
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import hash_of_keys
from segstudy.store.preregistration import content_hash, content_of, preregistration
from segstudy.store.records import Described
from segstudy.store.sealed_records import read_sealed, write_sealed

FILE = "merged.json"
FORMAT = 1
REMEDY = "restore it from a copy, or delete it: the report then does not say that the study was merged"


class MergedSource(Described):
    """A study that was merged.

    Attributes:
        name: of its folder.
        study_sha256: of the content of its study.toml, as in preregistration.json.
        num_runs: finished ones, also those that its study.toml no longer names.
        runs_sha256: of their sorted keys, one a line.
        preregistration: the content of its file; None if it had none.
    """

    name: str
    study_sha256: str
    num_runs: int
    runs_sha256: str
    preregistration: dict[str, Any] | None = None


class MergedRecord(Described):
    """The content of the file.

    Attributes:
        format: of the file.
        written: when, in UTC.
        segstudy: the version that wrote it.
        sources: in the order of the call.
        replaced: keys of runs that several studies had with different numbers: those of the first stayed.
        seal: checksum of all of this.
    """

    format: int
    written: str
    segstudy: str
    sources: list[MergedSource]
    replaced: list[str] = Field([])
    seal: str

    @property
    def content(self) -> dict[str, Any]:
        """Return what depends on the merged studies alone."""
        return content_of_merged(self.sources, self.replaced)


def content_of_merged(sources: Sequence[MergedSource], replaced: Sequence[str]) -> dict[str, Any]:
    """Return what depends on the merged studies alone."""
    return {
        "sources": [each.model_dump(mode="json") for each in sources],
        "replaced": sorted(replaced),
    }


def source_record(folder: StudyFolder) -> MergedSource:
    """Return the record of a study that is merged; its folder's name, as paths are of one machine alone."""
    keys = folder.finished()
    registered = preregistration(folder)
    return MergedSource(
        name=folder.path.resolve().name,
        study_sha256=content_hash(content_of(folder.study(), folder.path)),
        num_runs=len(keys),
        runs_sha256=hash_of_keys(keys),
        preregistration=None
        if registered is None
        else registered.model_dump(mode="json", exclude_unset=True),
    )


def write_merged(folder: StudyFolder, sources: Sequence[MergedSource], replaced: Sequence[str]) -> None:
    """Write the file; one with the same studies stays as it is.

    Raises:
        DiskError: when it cannot be written.
    """
    before = merged_record(folder)
    if before is not None and before.content == content_of_merged(sources, replaced):
        return
    record: dict[str, Any] = {
        "format": FORMAT,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "segstudy": __version__,
        **content_of_merged(sources, replaced),
    }
    write_sealed(folder.path / FILE, record)


def merged_record(folder: StudyFolder) -> MergedRecord | None:
    """Read the file; None if the study was not merged.

    Raises:
        UserError: it is damaged, altered, or of a later version.
    """
    return read_sealed(folder.path / FILE, MergedRecord, FORMAT, REMEDY)
