"""The removal of a configuration, or of all runs that a study no longer names, after confirmation."""

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.analysis.configurations import Row, all_rows
from segstudy.analysis.seed_plan import seed_plan_of
from segstudy.config.protocol import Grid, Protocol
from segstudy.config.runs import Configuration
from segstudy.config.study import Study
from segstudy.config.study_file import dump
from segstudy.core.atomic_files import PARTIAL, DiskError, write_text
from segstudy.core.errors import UserError
from segstudy.core.locks import hold, is_held
from segstudy.core.quantities import counted, size
from segstudy.core.suggestions import use_one_of
from segstudy.store.folder import StudyFolder

DERIVED = ("report.html", "leaderboard.csv")  # they would show deleted runs


@dataclass(frozen=True)
class Removal:
    """The data of a study that will be deleted, or were.

    Attributes:
        folder: the study's.
        names: configurations, or masks of other tools, as in the leaderboard.
        num_runs: finished runs, or sets of masks.
        num_bytes: on the disk, with saved states and records of failures.
        paths: folders and files.
        study: the study without them, where study.toml names them; None where it stays as it is.
    """

    folder: Path
    names: tuple[str, ...]
    num_runs: int
    num_bytes: int
    paths: tuple[Path, ...]
    study: Study | None = None

    @property
    def sentence(self) -> str:
        """Return what is deleted, in words."""
        runs = counted(self.num_runs, "run")
        also = "; study.toml will no longer name it" if self.study else ""
        return f"{runs} of {', '.join(self.names)} in {self.folder}: {size(self.num_bytes)}{also}"


def remove_from(
    folder: StudyFolder, configuration: str | None, unnamed: bool, agrees: Callable[[Removal], bool]
) -> Removal:
    """Delete the runs of a configuration, or of all that the study no longer names, after agreement.

    Args:
        folder: the study's, which is locked meanwhile.
        configuration: as the leaderboard calls it; of masks of another tool, their name.
        unnamed: instead, what ``table --all`` shows beyond the study's own.
        agrees: called with the ``Removal``; returns whether to delete.

    Raises:
        UserError: neither or both of the two, an unknown name, the study's only configuration, somebody at
            work there, or no agreement: nothing is deleted then.
    """
    if (configuration is None) == (not unnamed):
        raise UserError("remove takes the name of a configuration, or --unnamed: one of the two")
    folder.study()  # raises if there is none
    with hold(folder.lock, "this study"):
        rows = all_rows(folder, show_all=True)
        removal = _unnamed(folder, rows) if configuration is None else _named(folder, rows, configuration)
        if held := [path for path in removal.paths if is_held(folder.run_lock(path.name))]:
            raise UserError(f"{held[0]}: is being trained; wait until it is done, or stop it")
        if removal.paths and not agrees(removal):
            raise UserError(f"would delete {removal.sentence}; --yes, in Python yes=True, deletes it")
        _delete(folder, removal)
    return removal


def _unnamed(folder: StudyFolder, rows: Sequence[Row]) -> Removal:
    gone = [row for row in rows if row.masks is None and row.num_planned == 0]
    paths = [path for row in gone for path in _paths(folder, row)]
    num_runs = sum(len(row.records) for row in gone)
    return Removal(folder.path, tuple(row.name for row in gone), num_runs, _bytes(paths), tuple(paths))


def _named(folder: StudyFolder, rows: Sequence[Row], name: str) -> Removal:
    row = next((row for row in rows if row.name == name), None)
    if row is None:
        raise UserError(
            f"{folder.path} has no configuration {name!r}: {use_one_of(name, [row.name for row in rows])}"
        )
    if row.planned and seed_plan_of(folder).is_sequential:
        raise UserError(
            f"{folder.path}: is a sequential study, whose looks compare all its configurations: none of them "
            "can be removed"
        )
    paths = _paths(folder, row)
    study = _without(folder, row) if row.planned else None
    num_runs = row.num_planned if row.masks is not None else len(row.records)
    return Removal(folder.path, (name,), num_runs, _bytes(paths), tuple(paths), study)


def _paths(folder: StudyFolder, row: Row) -> list[Path]:
    """Return the paths of a row: runs, saved states, records of failures; or scores of masks."""
    if row.masks is not None:
        return [folder.external / row.folder]
    keys = [*(run.key for run in row.records), *(failure.key for failure in row.failures)]
    places = [
        (folder.runs / key, folder.path / "checkpoints" / key, folder.failures / f"{key}.json")
        for key in keys
    ]
    return [path for three in places for path in three if path.exists()]


def _bytes(paths: Sequence[Path]) -> int:
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else (path,)))
    return sum(file.stat().st_size for file in files if file.is_file())


def _without(folder: StudyFolder, row: Row) -> Study:
    """Return the study without a configuration.

    Raises:
        UserError: it has no other.
    """
    study = folder.study()
    assert row.planned is not None
    gone = row.planned.identity
    grids = [piece for grid in study.grid for piece in _subtract(grid, _points(study, grid, gone))]
    if not grids:
        raise UserError(f"{row.name} is the only configuration of {folder.path}: delete that folder instead")
    return study.model_copy(update={"grid": tuple(grids)})


def _points(study: Study, grid: Grid, identity: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Return the points of a grid that are this configuration."""
    found = []
    for levels in itertools.product(*grid.values()):
        point = dict(zip(grid, levels, strict=True))
        fields = {name: level for name, level in point.items() if name in Protocol.model_fields}
        protocol = Protocol.model_validate({**study.protocol.model_dump(), **fields})
        configuration = Configuration(
            architecture=str(point["architecture"]), loss=str(point["loss"]), protocol=protocol
        )
        if configuration.identity == identity:
            found.append(point)
    return found


def _subtract(grid: Grid, points: Sequence[Mapping[str, Any]]) -> list[Grid]:
    """Return the other points of a grid, as few grids as possible."""
    if not points:
        return [grid]
    factor = next((name for name, levels in grid.items() if len(levels) > 1), None)
    if factor is None:
        return []
    touched = [level for level in grid[factor] if any(point[factor] == level for point in points)]
    others = tuple(level for level in grid[factor] if level not in touched)
    pieces = [{**grid, factor: others}] if others else []
    for level in touched:
        there = [point for point in points if point[factor] == level]
        pieces += _subtract({**grid, factor: (level,)}, there)
    return pieces


def _delete(folder: StudyFolder, removal: Removal) -> None:
    """Delete, first from study.toml, then the runs one by one: an interruption leaves whole runs.

    Raises:
        DiskError: a file cannot be written or deleted.
    """
    if removal.study:
        write_text(folder.path / "study.toml", dump(removal.study, folder.path))
    for path in removal.paths:
        try:
            if path.is_dir():
                aside = path.with_name(f"{path.name}{PARTIAL}")
                path.rename(aside)  # an incomplete run does not count
                shutil.rmtree(aside)
            else:
                path.unlink()
        except OSError as error:
            raise DiskError(path, error) from error
    if removal.paths:
        for name in DERIVED:
            (folder.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            shutil.rmtree(folder.path / "figures")
