"""Study folders: runs are stored whole or not at all, and read as tables."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from segstudy.config.study import Study
from segstudy.config.study_file import load
from segstudy.core.atomic_files import (
    complete_folders,
    file_name,
    make_folder,
    replace_folder,
    write_bytes,
    write_folder,
    write_text,
)
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.core.suggestions import nearest_beside
from segstudy.store.checkpoints import Checkpoints
from segstudy.store.records import (
    DataRecord,
    EvaluationRecord,
    ExternalRecord,
    FailureRecord,
    MasksRecord,
    NumericsRecord,
    Parts,
    Record,
    ReportRecord,
    Reports,
    RunRecord,
    SplitRecord,
    read_record,
)
from segstudy.store.run_records import FORMAT, RECORD_SEAL, read_run_record, seal

if TYPE_CHECKING:
    import polars as pl

Content = TypeVar("Content")

EXTERNAL_KINDS: dict[str, type[ExternalRecord]] = {"masks": MasksRecord, "evaluation": EvaluationRecord}
REMAKE = "delete it and run the study again"
CLASSES = "classes.parquet"  # of studies with several classes
LOOKS = 20  # readings of a folder that another process may be replacing
REPLACING_S = 60.0  # how long to wait for another process that replaces a folder of scores


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """A study's folder: its paths, and the reading and writing of its files.

    Layout: ``study.toml``, ``preregistration.json``, ``looks.json`` (of sequential studies), ``merged.json``
    (of merged ones), ``data.json``, ``split.json``, ``numerics.json``, ``thumbnails.parquet``,
    ``baselines.parquet``, ``runs/<key>/``, ``failures/<key>.json``, ``external/<name>/``;
    ``checkpoints/<key>/``, ``locks/<key>`` and ``study.lock`` while runs are trained. All else is derived.
    """

    path: Path

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def failures(self) -> Path:
        return self.path / "failures"

    @property
    def external(self) -> Path:
        return self.path / "external"

    @property
    def lock(self) -> Path:
        """The lock of the process that trains or repairs this study."""
        return self.path / "study.lock"

    @property
    def external_lock(self) -> Path:
        """The lock of the process that replaces a folder of ``external``."""
        return self.path / "external.lock"

    @property
    def report_lock(self) -> Path:
        """The lock of the process that writes the report and its figures."""
        return self.path / "report.lock"

    def run_lock(self, key: str) -> Path:
        """Return the lock of the process that trains this run."""
        return self.path / "locks" / key

    def checkpoints(self, key: str) -> Checkpoints:
        return Checkpoints(self.path / "checkpoints" / key)

    def exists(self) -> bool:
        return (self.path / "study.toml").is_file()

    def refuse_unwritable(self) -> None:
        """Check that the folder can be made, without making it.

        Raises:
            UserError: it cannot be made.
        """
        there = next(path for path in (self.path.absolute(), *self.path.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise UserError(f"{self.path}: cannot be written; choose another folder with --out")

    def create(self) -> None:
        """Make the folders.

        Raises:
            UserError: when they cannot be made or written.
        """
        make_folder(self.runs)
        make_folder(self.failures)

    def entries(self, folder: str, pattern: str = "*") -> list[Path]:
        """Return the entries of one of its folders."""
        return list((self.path / folder).glob(pattern))

    @property
    def missing(self) -> str:
        """Say what is missing where there is no study."""
        if self.path.exists():
            return "study.toml is missing"
        return f"there is no such folder{nearest_beside(self.path, is_study)}"

    def study(self) -> Study:
        """Read the study as it was last run.

        Raises:
            UserError: when this is no study folder.
        """
        if self.path.is_file():
            raise UserError(
                f"{self.path}: is a file, not the folder of a study; unzip a pack, then give the folder in it"
            )
        if not self.exists():
            raise UserError(f"{self.path}: is not a study ({self.missing}); `segstudy run` creates one")
        return load(self.path / "study.toml")

    def data(self) -> DataRecord | None:
        """Read ``data.json``, the data set as it was when the study was last run; None if it is missing."""
        return self._record("data.json", DataRecord)

    def splits(self) -> list[Parts]:
        """Read ``split.json``, the subsets of every split and fold; none if it is missing."""
        record = self._record("split.json", SplitRecord)
        return record.splits if record else []

    def numerics(self) -> NumericsRecord | None:
        """Read ``numerics.json``, the versions of the code that the study was last planned with."""
        return self._record("numerics.json", NumericsRecord)

    def reports(self) -> list[ReportRecord]:
        """Read ``reports.json``: every report with more in it than the one before, the oldest first."""
        record = self._record("reports.json", Reports)
        return record.root if record else []

    def _record(self, name: str, kind: type[Record]) -> Record | None:
        file = self.path / name
        return read_record(file, kind, REMAKE) if file.is_file() else None

    def write_json(self, name: str, content: Any) -> None:
        write_text(self.path / name, _json(content))

    def finished(self) -> set[str]:
        """Return the keys of all finished runs."""
        if not self.runs.is_dir():
            return set()
        return {entry.name for entry in os.scandir(self.runs) if entry.is_dir() and "." not in entry.name}

    def is_finished(self, key: str) -> bool:
        """Whether this run is finished; reads no other run."""
        return (self.runs / key).is_dir()

    def begun(self) -> set[str]:
        """Return the keys of all runs with a saved state to continue from."""
        return {state.parent.name for state in self.entries("checkpoints", "*/*.state")}

    def failed(self) -> dict[str, FailureRecord]:
        """Return the records of failed runs, by key; runs that finished since are left out."""
        finished = self.finished()
        files = sorted(self.failures.glob("*.json")) if self.failures.is_dir() else []
        remedy = "delete it: the next `run` tries that run again"
        return {
            file.stem: read_record(file, FailureRecord, remedy).model_copy(update={"key": file.stem})
            for file in files
            if file.stem not in finished
        }

    def write_failure(self, key: str, failure: dict[str, Any]) -> None:
        make_folder(self.failures)
        write_text(self.failures / f"{key}.json", _json(failure))

    def clear_failure(self, key: str) -> None:
        (self.failures / f"{key}.json").unlink(missing_ok=True)

    def run_records(self, keys: Iterable[str]) -> list[RunRecord]:
        """Read ``run.json`` of each of these runs.

        Raises:
            UserError: one is damaged, or of a newer version.
        """
        return [read_run_record(self.runs / key) for key in keys]

    def epochs(self, keys: Sequence[str]) -> "pl.DataFrame":
        """Read the rows of every epoch of these runs, with a column ``key``."""
        return self._table(keys, "epochs.parquet")

    def images(self, keys: Sequence[str]) -> "pl.DataFrame":
        """Read one row per run, subset and image, with a column ``key``."""
        return self._table(keys, "images.parquet")

    def probabilities(self, keys: Sequence[str]) -> "pl.DataFrame":
        """Read the pixels by probability of those of these runs that have them: older versions had none."""
        name = "probabilities.parquet"
        return self._table([key for key in keys if (self.runs / key / name).is_file()], name)

    def classes(self, keys: Sequence[str], columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Read one row per run, subset, image and class of those of these runs that have several classes.

        Args:
            keys: of the runs.
            columns: to read beside ``key``; None for all.
        """
        there = [key for key in keys if (self.runs / key / CLASSES).is_file()]
        return self._table(there, CLASSES, columns)

    def predictions(
        self, key: str, columns: Sequence[str] | None = None, where: "pl.Expr | bool" = True
    ) -> "pl.DataFrame":
        """Read ``id``, ``part`` and ``prob`` (8-bit PNG at network size) of one run, or some rows of it."""
        from segstudy.store.tables import read_table, refuse_altered_table  # polars: not for `status`

        found = read_table(self.runs / key / "predictions.parquet", columns, where)
        refuse_altered_table(self.runs, key, "predictions.parquet")
        return found

    def _table(self, keys: Sequence[str], name: str, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        from segstudy.store.tables import read_tables_of_runs  # as above

        return read_tables_of_runs(self.runs, keys, name, columns)

    def externals(self) -> list[ExternalRecord]:
        """Read ``record.json`` of all scores that this study did not make itself, by name."""
        return list(self.external_records().values())

    def external_records(self) -> dict[str, ExternalRecord]:
        """Return the same by the name of the folder in ``external/``: names of records may be equal."""
        return {
            name: self.read_external_file(name, "record.json", read_external)
            for name in complete_folders(self.external)
            if self._find_external(name, "record.json") is not None
        }

    def read_external_file(self, folder: str, name: str, read: Callable[[Path], Content]) -> Content:
        """Read a file of ``external/<folder>/``, also while the folder is being replaced.

        The folder may be renamed before the file is read, so a failure is tried again.
        """
        for _ in range(LOOKS):
            file = self._find_external(folder, name)
            with suppress(UserError, OSError):
                return read(file or self.external / folder / name)
        return read(file or self.external / folder / name)

    def _find_external(self, folder: str, name: str) -> Path | None:
        for _ in range(LOOKS):
            file = complete_folders(self.external).get(folder, self.external / folder) / name
            if file.is_file():
                return file
        return None

    def external_images(self, name: str) -> "pl.DataFrame":
        """Read the rows of one of ``externals``: as those of a run, with ``seed`` and ``fold``."""
        return self.external_images_in(folder_name(name))

    def external_images_in(self, folder: str) -> "pl.DataFrame":
        """Read the same by the name of the folder in ``external/``."""
        from segstudy.store.tables import read_table  # as above

        return self.read_external_file(folder, "images.parquet", read_table)

    def external_classes_in(self, folder: str) -> "pl.DataFrame | None":
        """Read the rows of each class of the same; None if there is one foreground."""
        from segstudy.store.tables import read_table  # as above

        if self._find_external(folder, CLASSES) is None:
            return None
        return self.read_external_file(folder, CLASSES, read_table)

    def write_external(
        self,
        name: str,
        record: dict[str, Any],
        images: "pl.DataFrame",
        classes: "pl.DataFrame | None" = None,
    ) -> Path:
        """Store ``external/<name>/`` at once; an older folder of this name is replaced.

        Args:
            name: of the scores.
            record: the content of ``record.json`` without format and name.
            images: as those of a run, with ``seed`` and ``fold``.
            classes: as those of a run; None if there is one foreground.

        Raises:
            UserError: when it cannot be written.
        """
        from segstudy.store.tables import as_parquet  # as above

        final = self.external / folder_name(name)
        contents = {
            "images.parquet": as_parquet(images),
            "record.json": _json({"format": FORMAT, "name": name, **record}).encode(),
        }
        if classes is not None:
            contents[CLASSES] = as_parquet(classes)
        with hold(self.external_lock, "its scores", REPLACING_S):
            replace_folder(final, contents)
        return final

    def baselines(self) -> "pl.DataFrame | None":
        """Read the table of ``baselines.baseline_table``, if it was made."""
        from segstudy.store.tables import read_table  # as above

        file = self.path / "baselines.parquet"
        return read_table(file) if file.is_file() else None

    def write_table(self, name: str, table: "pl.DataFrame") -> None:
        """Write a table of the study, such as ``baselines.parquet``."""
        from segstudy.store.tables import as_parquet  # as above

        write_bytes(self.path / name, as_parquet(table))

    def write_run(
        self,
        key: str,
        record: dict[str, Any],
        tables: dict[str, "pl.DataFrame"],
        model: Mapping[str, bytes],
    ) -> None:
        """Store a finished run at once, with checksums; if it is stored already, that one stays.

        Args:
            key: the run's key.
            record: the content of ``run.json`` without the checksums of the other files, which are added.
            tables: by file name without ``.parquet``.
            model: the files of weights and card, see ``weights.model_files``.

        Raises:
            DiskError: when it cannot be written; then nothing of it is stored.
        """
        from segstudy.store.tables import as_parquet  # as above

        contents = {f"{name}.parquet": as_parquet(table) for name, table in tables.items()}
        contents |= model
        checksums = {name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)}
        record = {"format": FORMAT, "key": key, **record, "sha256": checksums}
        record[RECORD_SEAL] = seal(record)
        write_folder(self.runs / key, {**contents, "run.json": _json(record).encode()})
        self.clear_failure(key)


def is_study(path: Path) -> bool:
    """Return whether a folder has a study file, so that commands take it as a study."""
    return StudyFolder(path).exists()


def read_external(file: Path) -> ExternalRecord:
    """Read a ``record.json`` of ``external/<name>/``, with the fields of its kind.

    Raises:
        UserError: missing or damaged.
    """
    remedy = "delete its folder and score it again"
    record = read_record(file, ExternalRecord, remedy)
    return read_record(file, EXTERNAL_KINDS[record.kind], remedy) if record.kind in EXTERNAL_KINDS else record


def folder_name(name: str) -> str:
    """Return a name as that of a folder on any system."""
    return file_name(name)


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
