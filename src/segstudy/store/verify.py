"""The check of a study's folder against its checksums and keys."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from segstudy.core.atomic_files import OLD, PARTIAL, complete_folders, make_folder
from segstudy.core.environment import differing_text
from segstudy.core.errors import UserError
from segstudy.core.locks import hold, is_held
from segstudy.core.resources import allowed_cores
from segstudy.core.suggestions import nearest_beside
from segstudy.store.checkpoints import DAMAGED, STATE, is_whole
from segstudy.store.faults import Fault, State, inside, reason
from segstudy.store.folder import CLASSES, StudyFolder, is_study, read_external
from segstudy.store.looks import FILE as LOOKS
from segstudy.store.looks import looks_of
from segstudy.store.merged import merged_record
from segstudy.store.pack_record import FILE as PACKED
from segstudy.store.pack_record import pack_record
from segstudy.store.preregistration import preregistration
from segstudy.store.records import FailureRecord, read_record
from segstudy.store.report_coverage import Coverage, staleness, stored_coverage, unseen_scores
from segstudy.store.sealed_records import NewerError
from segstudy.store.second_rater import second_rater_of
from segstudy.store.tables import refuse_damaged
from segstudy.store.tidying import half_written, put_back_externals
from segstudy.store.verify_runs import run_faults

KEY = re.compile(r"[0-9a-f]{16}")
LEFT_IN_PLACE = {"unreadable", "stale"}  # no repair moves them
# Without study.toml there is no study, and nothing makes a preregistration again: left to their owner.
KEPT_IN_PLACE = {Path(name) for name in ("study.toml", "preregistration.json", LOOKS, "merged.json", PACKED)}


@dataclass(frozen=True)
class Verification:
    """The result of the check.

    Attributes:
        num_runs: folders of finished runs that were checked.
        num_elsewhere: of them, good ones with other data or another split than the study has now.
        faults: by path.
        moved: old and new path of what a repair moved, both relative to the study's folder.
        unseen: names of the scores in ``external/`` that the report does not show yet, which is no fault.
        differing: differences between good runs that may change their last bits, in words, which is no fault.
        left_out: numbers of files that a pack left out, by name or kind, which is no fault.
        sha256: of a pack without faults; empty for a folder.
        is_pack: whether this is the check of a pack, not of a folder.
    """

    num_runs: int
    num_elsewhere: int
    faults: tuple[Fault, ...]
    moved: tuple[tuple[Path, Path], ...] = ()
    unseen: tuple[str, ...] = ()
    differing: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    sha256: str = ""
    is_pack: bool = False


def verify_folder(folder: StudyFolder, holding: bool = False) -> Verification:
    """Check every file of a study and return the faults; nothing is changed.

    Args:
        folder: the study.
        holding: whether the caller itself holds the study's lock, so that no other process does.

    Raises:
        UserError: not a study, or one of its files was written by a newer version.
    """
    if not folder.path.exists():
        near = nearest_beside(folder.path, lambda path: is_study(path) or path.suffix == ".zip")
        raise UserError(f"{folder.path}: no such file or folder{near}")
    if not folder.exists():
        raise UserError(f"{folder.path}: is not a study ({folder.missing}); give a study's folder or a pack")
    keys = sorted(key for key in folder.finished() if KEY.fullmatch(key))
    inputs = _inputs(folder)
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        found = list(pool.map(partial(run_faults, folder), keys, _absent(folder, keys)))
    faults = [fault for each in found for fault in each]
    faults += [
        *_unknown_entries(folder),
        *_beside(folder),
        *_externals(folder),
        *_left_behind(folder, set(keys), holding),
    ]
    bad = {fault.path.name for fault in faults if fault.path.parent.name == "runs"}
    stored = None if _is_in_work(folder, holding) else stored_coverage(folder)
    unseen: tuple[str, ...] = ()
    if stored is not None:
        faults += _report(folder, stored, bad)
        with suppress(UserError, OSError):  # found elsewhere
            unseen = unseen_scores(folder, stored)
    num_elsewhere, differences = _compared(folder, [key for key in keys if key not in bad], inputs)
    by_path = tuple(sorted(faults, key=lambda fault: str(fault.path)))
    return Verification(len(keys), num_elsewhere, by_path, unseen=unseen, differing=differences)


def quarantined(folder: StudyFolder, found: Verification) -> Verification:
    """Move all faults to ``quarantine/<n>/``, with their paths; nothing is deleted.

    A stale report stays: ``report`` replaces it.

    Raises:
        HeldError: while another process trains this study.
        DiskError: when the folder cannot be written.
    """
    with hold(folder.lock, "this study"):
        found = verify_folder(folder, holding=True)  # as it is now that nobody else is at work
        put_back = put_back_externals(folder)
        paths = {fault.path for fault in found.faults if fault.state not in LEFT_IN_PLACE} - {
            *KEPT_IN_PLACE,
            folder.lock.relative_to(folder.path),
        }
        topmost = [path for path in sorted(paths) if not paths & set(path.parents)]
        there = [
            path for path in topmost if (folder.path / path).exists() or (folder.path / path).is_symlink()
        ]
        place = _free_place(folder.path / "quarantine")
        moved = [(old.relative_to(folder.path), new.relative_to(folder.path)) for old, new in put_back]
        for path in there:
            target = place / path
            make_folder(target.parent)
            (folder.path / path).rename(target)
            moved.append((path, target.relative_to(folder.path)))
    return replace(found, moved=tuple(moved))


def _absent(folder: StudyFolder, keys: Sequence[str]) -> list[frozenset[str]]:
    """Return the files that each of these runs may lack, because the study was packed without them."""
    packed = None
    with suppress(UserError):  # found by _beside
        packed = pack_record(folder)
    return [packed.absent(key) if packed else frozenset() for key in keys]


def _free_place(quarantine: Path) -> Path:
    number = 1
    while (quarantine / str(number)).exists():
        number += 1
    return quarantine / str(number)


def _inputs(folder: StudyFolder) -> set[tuple[str, str]]:
    """Return the fingerprints of the study's data and splits; none if they cannot be read."""
    try:
        data, splits = folder.data(), folder.splits()
    except UserError:  # found by _beside
        return set()
    return {(data.fingerprint, split.ids.fingerprint) for split in splits} if data else set()


def _compared(folder: StudyFolder, keys: Iterable[str], inputs: set[tuple[str, str]]) -> tuple[int, str]:
    """Return how many of these runs have other data or another split, and how environments differ."""
    num_elsewhere, environments = 0, []
    for key in keys:
        try:
            (record,) = folder.run_records([key])
        except UserError:
            num_elsewhere += 1
            continue
        num_elsewhere += (record.description.data, record.description.split) not in inputs
        environments += [each for each in record.environments if each not in environments]
    return num_elsewhere, differing_text(environments)


def _unknown_entries(folder: StudyFolder) -> Iterator[Fault]:
    """Yield the entries of runs/ that are not finished runs."""
    for path in sorted(folder.runs.glob("*")):
        if path.name.endswith(PARTIAL) and path.is_dir():
            if not is_held(folder.run_lock(path.name.split(".")[0])):
                yield Fault("incomplete", inside(folder, path), "incomplete, because its process ended")
        elif not KEY.fullmatch(path.name) or not path.is_dir():
            yield Fault("orphaned", inside(folder, path), "not the folder of a run")


def _beside(folder: StudyFolder) -> Iterator[Fault]:
    looks: dict[str, Callable[[], object]] = {
        "study.toml": folder.study,
        "data.json": folder.data,
        "split.json": lambda: _check_split(folder),
        "numerics.json": folder.numerics,
        "reports.json": folder.reports,
        "preregistration.json": lambda: preregistration(folder),
        LOOKS: lambda: looks_of(folder),
        "merged.json": lambda: merged_record(folder),
        PACKED: lambda: pack_record(folder),
        "second_rater.json": lambda: second_rater_of(folder),
        "thumbnails.parquet": lambda: refuse_damaged(folder.path / "thumbnails.parquet"),
        "baselines.parquet": lambda: _check_table(folder.path / "baselines.parquet"),
    }
    for name, look in looks.items():
        if (folder.path / name).exists() or name in ("data.json", "split.json", LOOKS):
            yield from _tried(folder, folder.path / name, look)
    for name in ("data.json", "split.json"):
        if not (folder.path / name).exists() and folder.finished():
            yield Fault("incomplete", Path(name), "missing; the next `run` writes it")
    for file in sorted(folder.failures.glob("*.json")):
        yield from _tried(folder, file, partial(read_record, file, FailureRecord))


def _externals(folder: StudyFolder) -> Iterator[Fault]:
    complete = complete_folders(folder.external)
    held = is_held(folder.external_lock)
    for path in sorted(folder.external.glob("*")):
        place = inside(folder, path)
        if path.suffix == OLD and path in complete.values():
            if not held:
                yield Fault(
                    "incomplete", place, "a score or evaluation that would replace it was interrupted"
                )
        elif path.name.startswith(".") or path.name.endswith(PARTIAL):
            if not held:
                yield Fault("incomplete", place, "left from an interrupted score or evaluation")
        elif not path.is_dir():
            yield Fault("orphaned", place, "not a folder of scores")
    for name, path in complete.items():
        yield from _tried(folder, path, partial(_check_external, folder, name))


def _is_in_work(folder: StudyFolder, holding: bool) -> bool:
    """Whether another process may be writing the report."""
    return (not holding and is_held(folder.lock)) or is_held(folder.report_lock)


def _report(folder: StudyFolder, stored: Coverage, damaged: set[str]) -> Iterator[Fault]:
    """Yield a fault if the report does not cover the present state."""
    with suppress(UserError, OSError):  # found elsewhere
        if detail := staleness(folder, stored, damaged):
            yield Fault("stale", Path("report.html"), f"{detail}; `segstudy report` writes it again")


def _check_external(folder: StudyFolder, name: str) -> None:
    folder.read_external_file(name, "record.json", read_external)
    folder.read_external_file(name, "images.parquet", _check_table)
    if (complete_folders(folder.external).get(name, folder.external / name) / CLASSES).exists():
        folder.read_external_file(name, CLASSES, _check_table)


def _check_split(folder: StudyFolder) -> None:
    """Check that subsets do not overlap and consist of existing samples."""
    splits, data = folder.splits(), folder.data()
    known = data.groups.keys() if data else None
    for split in splits:
        ids = [*split.train, *split.validation, *split.test]
        if len(set(ids)) < len(ids):
            raise UserError("a sample is in two subsets")
        if known is not None and not known >= set(ids):
            raise UserError(f"{sorted(set(ids) - known)[0]!r} is not a sample of data.json")


def _check_table(file: Path) -> None:
    if not file.exists():
        raise UserError(f"{file.name} is missing")
    refuse_damaged(file)


def _tried(folder: StudyFolder, path: Path, look: Callable[[], object]) -> Iterator[Fault]:
    try:
        look()
    except NewerError:
        raise
    except UserError as error:
        yield Fault("altered", inside(folder, path), reason(error, path))


def _left_behind(folder: StudyFolder, finished: set[str], holding: bool) -> Iterator[Fault]:
    """Yield the files that dead processes or finished runs left."""

    def left(state: State, paths: Iterable[Path], detail: str) -> Iterator[Fault]:
        yield from (Fault(state, inside(folder, path), detail) for path in sorted(paths))

    checkpoints = folder.path / "checkpoints"
    half = [path for path in half_written(folder, holding) if path.parent != folder.runs]
    yield from left("incomplete", half, "incomplete, because its process ended")
    done = [path for path in checkpoints.glob("*") if path.name in finished]
    yield from left("orphaned", done, "saved states of a finished run")
    others = [path for path in checkpoints.glob("*/*") if path.parent.name not in finished]
    yield from left("altered", [p for p in others if p.suffix == DAMAGED], "a saved state that was set aside")
    idle = [path for path in others if not is_held(folder.run_lock(path.parent.name))]
    torn = [path for path in idle if path.suffix == STATE and path.exists() and _is_torn(path)]
    yield from left("altered", torn, "a saved state that is incomplete or altered (checksum)")
    obsolete = [path for path in folder.failures.glob("*.json") if path.stem in finished]
    yield from left("orphaned", obsolete, "the failure of a run that has finished since")
    single = (folder.lock, folder.external_lock, folder.report_lock)
    locks = [path for path in [*single, *(folder.path / "locks").glob("*")] if path.is_file()]
    yield from left("orphaned", [path for path in locks if not is_held(path)], "the lock of a dead process")


def _is_torn(path: Path) -> bool:
    with suppress(OSError):  # what cannot be read may be whole
        return not is_whole(path)
    return False
