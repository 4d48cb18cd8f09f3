"""What of a study goes into a pack, and what is left out."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit

from segstudy.config.study_file import read_toml
from segstudy.core.atomic_files import complete_folders, file_name
from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json
from segstudy.core.synthetic import is_synthetic
from segstudy.reporting.publishable import publishable_texts
from segstudy.store import merged, preregistration, second_rater
from segstudy.store.copies import whole_states
from segstudy.store.folder import CLASSES, StudyFolder
from segstudy.store.looks import FILE as LOOKS
from segstudy.store.pack_record import PREDICTIONS, THUMBNAILS, WEIGHT_FILES, PackRecord, pack_record
from segstudy.store.report_coverage import Coverage, staleness, stored_coverage
from segstudy.store.verify_runs import run_faults
from segstudy.study.pack_privacy import without_machines

BESIDE = (  # files of a study that have no picture and no path
    *("split.json", "data.json", "numerics.json", "reports.json", "baselines.parquet"),
    *(preregistration.FILE, LOOKS, merged.FILE, second_rater.FILE),
)
REPORT = "report.html"
OF_RUNS = {PREDICTIONS, *WEIGHT_FILES}  # what the runs of an unzipped pack may lack
EXTERNAL_FILES = ("record.json", "images.parquet", CLASSES)
OTHER_EXTERNAL = "other files in external/"
STATES = "saved states of unfinished runs"
PICTURED, OUTDATED = "reports with pictures", "outdated reports"
UNCLEAN = "reports of failures that name this machine"


@dataclass
class Contents:
    """The files of a pack.

    Attributes:
        name: of the study's folder, as that of a file on any system.
        weights: whether weights are in it.
        images: whether pictures of the data and predicted masks are in it.
        files: where each file is, or its content, by its path in the study's folder.
        runs: keys of the finished runs.
        left_out: numbers of files that were left out, by name or kind.
        states_left_out: of them, numbers of saved states, by the key of the unfinished run.
    """

    name: str
    weights: bool
    images: bool
    files: dict[str, Path | bytes] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    states_left_out: dict[str, int] = field(default_factory=dict)


def contents_of(folder: StudyFolder, weights: bool, images: bool) -> Contents:
    """Return what of a study goes into a pack.

    Raises:
        UserError: no study, a damaged file, or one that names a folder of this machine.
    """
    before = pack_record(folder)
    found = Contents(
        file_name(folder.path.resolve().name),
        weights and (before is None or before.weights),
        images and (before is None or before.images),
    )
    if before is not None:
        found.left_out.update({name: n for name, n in before.left_out.items() if name in OF_RUNS})
    folder.study()  # raises if there is none
    found.files["study.toml"] = _study_text(folder)
    for name in BESIDE:
        if (folder.path / name).is_file():
            found.files[name] = folder.path / name
    _add(found, folder.path / THUMBNAILS, THUMBNAILS, found.images)
    if before is not None and not (folder.path / THUMBNAILS).is_file():
        found.left_out[THUMBNAILS] += before.left_out.get(THUMBNAILS, 0)
    found.left_out += Counter()  # without zeros
    for key in sorted(folder.finished()):
        _add_run(found, folder, key, before.absent(key) if before else frozenset())
    _add_externals(found, folder)
    _add_states(found, folder, before)
    is_cleaned = _add_failures(found, folder)
    _add_report(found, folder, is_cleaned)
    return found


def _add(found: Contents, file: Path, place: str, is_wanted: bool) -> None:
    if not file.is_file():
        return
    if is_wanted:
        found.files[place] = file
    else:
        found.left_out[file.name] += 1


def _add_run(found: Contents, folder: StudyFolder, key: str, absent: frozenset[str]) -> None:
    """Add the files of a run that its record has.

    Raises:
        UserError: one is damaged or missing.
    """
    wrong = [fault for fault in run_faults(folder, key, absent) if fault.state != "orphaned"]
    if wrong:
        raise UserError(
            f"{folder.path / wrong[0].path}: {wrong[0].state} ({wrong[0].detail}); `segstudy verify "
            f"{folder.path} --repair` moves it aside"
        )
    run = folder.runs / key
    found.runs.append(key)
    for name in sorted({"run.json", *read_json(run / "run.json")["sha256"]}):
        is_wanted = {PREDICTIONS: found.images, **dict.fromkeys(WEIGHT_FILES, found.weights)}.get(name, True)
        _add(found, run / name, f"runs/{key}/{name}", is_wanted)


def _add_states(found: Contents, folder: StudyFolder, before: PackRecord | None) -> None:
    """Add the saved states of unfinished runs; count those left out, also by the pack that was unzipped."""
    finished = folder.finished()
    states = {key: whole_states(folder, key) for key in sorted(folder.begun() - finished)}
    if found.weights:
        for key, files in states.items():
            found.files.update({f"checkpoints/{key}/{file.name}": file for file in files})
    else:
        found.states_left_out.update({key: len(files) for key, files in states.items() if files})
    for key, number in (before.states_left_out if before else {}).items():
        if key not in finished and not states.get(key):
            found.states_left_out[key] = number
    if found.states_left_out:
        found.left_out[STATES] = sum(found.states_left_out.values())


def _add_externals(found: Contents, folder: StudyFolder) -> None:
    for name, path in complete_folders(folder.external).items():
        for file in sorted(path.iterdir()):
            if file.name in EXTERNAL_FILES:
                _add(found, file, f"external/{name}/{file.name}", True)
            else:
                found.left_out[OTHER_EXTERNAL] += 1


def _add_failures(found: Contents, folder: StudyFolder) -> bool:
    """Add the records of failed runs, without paths of this machine; True if one had such a path."""
    is_cleaned = False
    for key in folder.failed():
        file = folder.failures / f"{key}.json"
        record = read_json(file)
        cleaned = without_machines(publishable_texts(record))
        if cleaned == record:
            found.files[f"failures/{key}.json"] = file
        else:
            text = json.dumps(cleaned, indent=1, ensure_ascii=False) + "\n"
            found.files[f"failures/{key}.json"] = text.encode()
            is_cleaned = True
    return is_cleaned


def _add_report(found: Contents, folder: StudyFolder, is_cleaned: bool) -> None:
    """Add the report if it is of exactly this study, and shows no picture that is left out."""
    page, stored = folder.path / REPORT, stored_coverage(folder)
    if not page.is_file():
        return
    if stored is not None and stored.images and not found.images:
        found.left_out[PICTURED] += 1
    elif stored is None or staleness(folder, stored):
        found.left_out[OUTDATED] += 1
    elif is_cleaned:
        found.left_out[UNCLEAN] += 1
    else:
        _add_page(found, folder, stored)


def _add_page(found: Contents, folder: StudyFolder, stored: Coverage) -> None:
    for name in (REPORT, *sorted(stored.files)):
        _add(found, folder.path / name, name, True)


def _study_text(folder: StudyFolder) -> bytes:
    """Return study.toml with the names of data and split file in place of their paths."""
    raw = read_toml(folder.path / "study.toml")
    if not is_synthetic(raw["data"]):
        raw["data"] = Path(raw["data"]).name
    if "split_file" in raw:
        raw["split_file"] = "split.json" if len(folder.splits()) == 1 else Path(raw["split_file"]).name
    return tomlkit.dumps(raw).encode()
