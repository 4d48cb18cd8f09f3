"""Study folders: runs appear whole or not at all, and are read back as tables."""

import hashlib
import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from segstudy.checkpoint import save_model
from segstudy.config import Study
from segstudy.errors import UserError
from segstudy.studyfile import load

FORMAT = 1  # of a run folder


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The paths of a study's folder, and how what lies there is read and written.

    Layout: ``study.toml``, ``data.json``, ``split.json``, ``thumbnails.parquet``, ``baselines.parquet``,
    ``runs/<key>/``, ``failures/<key>.json``, ``external/<name>/``; whatever else is there is derived.
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

    def exists(self) -> bool:
        return (self.path / "study.toml").is_file()

    def refuse_unwritable(self) -> None:
        """Find out whether the folder can be made, without making it.

        Raises:
            UserError: when something stands in its way.
        """
        there = next(path for path in (self.path.absolute(), *self.path.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise UserError(f"{self.path}: cannot be written; choose another folder with --out")

    def create(self) -> None:
        """Make the folders.

        Raises:
            UserError: when they cannot be made or written.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            self.failures.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); choose another folder with --out"
            ) from None

    def study(self) -> Study:
        """The study as it was last run.

        Raises:
            UserError: when this is no study folder.
        """
        if not self.exists():
            raise UserError(f"{self.path}: no study here (study.toml is missing); `segstudy run` makes one")
        return load(self.path / "study.toml")

    def read_json(self, name: str) -> Any:
        """The content of ``data.json``, ``split.json`` and the like; None if it is not there."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            raise UserError(f"{self.path / name}: damaged; delete it and run the study again") from None

    def write_json(self, name: str, content: Any) -> None:
        replace_text(self.path / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def finished(self) -> set[str]:
        """The keys of all finished runs."""
        if not self.runs.is_dir():
            return set()
        return {entry.name for entry in os.scandir(self.runs) if entry.is_dir() and "." not in entry.name}

    def failed(self) -> dict[str, dict[str, Any]]:
        """What happened to runs that failed, by key; runs that finished since are left out."""
        finished = self.finished()
        files = sorted(self.failures.glob("*.json")) if self.failures.is_dir() else []
        return {
            file.stem: json.loads(file.read_text(encoding="utf-8"))
            for file in files
            if file.stem not in finished
        }

    def write_failure(self, key: str, failure: dict[str, Any]) -> None:
        replace_text(self.failures / f"{key}.json", json.dumps(failure, indent=1, ensure_ascii=False) + "\n")

    def clear_failure(self, key: str) -> None:
        (self.failures / f"{key}.json").unlink(missing_ok=True)

    def run_records(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """``run.json`` of each of these runs."""
        return [json.loads((self.runs / key / "run.json").read_text(encoding="utf-8")) for key in keys]

    def epochs(self, keys: Sequence[str]) -> pl.DataFrame:
        """The rows of every epoch of these runs, with a column ``key``."""
        return self._table(keys, "epochs.parquet")

    def images(self, keys: Sequence[str]) -> pl.DataFrame:
        """One row per run, part and image, with a column ``key``."""
        return self._table(keys, "images.parquet")

    def predictions(self, key: str) -> pl.DataFrame:
        """``id``, ``part`` and ``prob`` (8-bit PNG at network size) of one run."""
        return pl.read_parquet(self.runs / key / "predictions.parquet")

    def _table(self, keys: Sequence[str], name: str) -> pl.DataFrame:
        key_of = {str(self.runs / key / name): key for key in keys}
        by_schema: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for file in key_of:  # files of one schema are read together: a thousand one by one take seconds
            by_schema[tuple(pl.read_parquet_schema(file))].append(file)
        tables = [pl.read_parquet(files, include_file_paths="key") for files in by_schema.values()]
        if not tables:
            return pl.DataFrame({"key": []})
        keyed = [table.with_columns(pl.col("key").replace_strict(key_of)) for table in tables]
        return pl.concat(keyed, how="diagonal").select("key", pl.exclude("key"))

    def externals(self) -> list[dict[str, Any]]:
        """``record.json`` of everything scored that this study did not train or test itself, by name."""
        found = sorted(self.external.glob("*/record.json")) if self.external.is_dir() else []
        return [
            json.loads(file.read_text(encoding="utf-8"))
            for file in found
            if not file.parent.name.startswith(".")
        ]

    def external_images(self, name: str) -> pl.DataFrame:
        """The rows of one of ``externals``: as those of a run, with ``seed`` and ``fold``."""
        return pl.read_parquet(self.external / folder_name(name) / "images.parquet")

    def write_external(self, name: str, record: dict[str, Any], images: pl.DataFrame) -> Path:
        """Store ``external/<name>/``: built aside, then renamed; what stood there is replaced.

        Raises:
            UserError: when it cannot be written.
        """
        final = self.external / folder_name(name)
        building, old = (final.with_name(f".{final.name}.{what}") for what in ("partial", "old"))
        try:
            for aside in (building, old):
                shutil.rmtree(aside, ignore_errors=True)
            building.mkdir(parents=True)
            images.write_parquet(building / "images.parquet")
            text = json.dumps({"format": FORMAT, "name": name, **record}, indent=1, ensure_ascii=False)
            (building / "record.json").write_text(text + "\n", encoding="utf-8")
            for file in building.iterdir():
                _sync(file)
            if final.exists():
                final.rename(old)
            building.rename(final)
        except OSError as error:
            raise UserError(f"{final}: cannot be written ({error.strerror}); check the permissions") from None
        shutil.rmtree(old, ignore_errors=True)
        return final

    def baselines(self) -> pl.DataFrame | None:
        """The table of ``baselines.baseline_table``, if it was made."""
        file = self.path / "baselines.parquet"
        return pl.read_parquet(file) if file.is_file() else None

    def write_baselines(self, table: pl.DataFrame) -> None:
        """Write ``baselines.parquet`` aside and put it in place at once."""
        file = self.path / "baselines.parquet"
        aside = file.with_name(file.name + ".new")
        table.write_parquet(aside)
        aside.replace(file)

    def write_run(
        self,
        key: str,
        record: dict[str, Any],
        tables: dict[str, pl.DataFrame],
        weights: dict[str, Any],
        card: dict[str, Any],
    ) -> None:
        """Store a finished run: built as ``<key>.partial``, checksummed, then renamed.

        Args:
            key: the run's key.
            record: what varies by machine; becomes ``run.json``, with the checksums of the other files.
            tables: by file name without ``.parquet``.
            weights: the model's state.
            card: what goes with the weights.
        """
        partial, final = self.runs / f"{key}.partial", self.runs / key
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, table in tables.items():
            table.write_parquet(partial / f"{name}.parquet")
        save_model(partial, weights, card)
        checksums = {file.name: _checksum(file) for file in sorted(partial.iterdir())}
        record = {"format": FORMAT, "key": key, **record, "sha256": checksums}
        (partial / "run.json").write_text(
            json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        for file in partial.iterdir():
            _sync(file)
        partial.rename(final)
        _sync(self.runs)
        self.clear_failure(key)


def folder_name(name: str) -> str:
    """A name as that of a folder, on any system: characters that some of them refuse become ``-``."""
    return re.sub(r"[^\w.=+ -]", "-", name).strip(". ") or "-"


def replace_text(file: Path, text: str) -> None:
    """Write a whole file aside and put it in place at once; left alone if it already says that.

    Raises:
        UserError: when it cannot be written.
    """
    try:
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            return
        aside = file.with_name(file.name + ".new")
        aside.write_text(text, encoding="utf-8")
        _sync(aside)
        aside.replace(file)
    except OSError as error:
        raise UserError(
            f"{file}: cannot be written ({error.strerror}); choose another folder with --out"
        ) from None


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
