"""What of a study goes into a pack, and what is left out."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit

from segstudy.config.study_file import read_toml
from segstudy.core.atomic_files import complete_folders, file_name
from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json
from segstudy.core.synthetic import is_synthetic
from segstudy.reporting.publishable import publishable_texts
from segstudy.store import merged, preregistration, second_rater
from segstudy.store.copies import whole_states
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import FILE as LOOKS
from segstudy.store.pack_record import PREDICTIONS, THUMBNAILS, WEIGHT_FILES, pack_record
from segstudy.store.report_coverage import staleness, stored_coverage
from segstudy.store.verify_runs import run_faults

BESIDE = (  # files of a study that have no picture and no path
    *("split.json", "data.json", "numerics.json", "reports.json", "baselines.parquet"),
    *(preregistration.FILE, LOOKS, merged.FILE, second_rater.FILE),
)
REPORT = "report.html"
OF_RUNS = {PREDICTIONS, *WEIGHT_FILES}  # what the runs of an unzipped pack may lack
# Names and addresses of machines in records of failures.
MACHINE = re.compile(r"(?<=, the last time )\S+|\b(?:\d{1,3}\.){3}\d{1,3}\b")
EXTERNAL_FILES = ("record.json", "images.parquet")
OTHER_EXTERNAL = "other files in external/"
STATES, OTHERS = "saved states of unfinished runs", "reports with pictures, or without all runs"


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
    """

    name: str
    weights: bool
    images: bool
    files: dict[str, Path | bytes] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


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
    for key in sorted(folder.begun() - folder.finished()):
        for file in whole_states(folder, key):
            _add(found, file, f"checkpoints/{key}/{file.name}", found.weights, STATES)
    is_cleaned = _add_failures(found, folder)
    _add_report(found, folder, is_cleaned)
    return found


def _add(found: Contents, file: Path, place: str, is_wanted: bool, kind: str = "") -> None:
    if not file.is_file():
        return
    if is_wanted:
        found.files[place] = file
    else:
        found.left_out[kind or file.name] += 1


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
        cleaned = _without_machines(publishable_texts(record))
        if cleaned == record:
            found.files[f"failures/{key}.json"] = file
        else:
            text = json.dumps(cleaned, indent=1, ensure_ascii=False) + "\n"
            found.files[f"failures/{key}.json"] = text.encode()
            is_cleaned = True
    return is_cleaned


def _without_machines(texts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: MACHINE.sub("(machine)", text) if isinstance(text, str) else text
        for name, text in texts.items()
    }


def _add_report(found: Contents, folder: StudyFolder, is_cleaned: bool) -> None:
    """Add the report if it is of exactly this study, and shows no picture that is left out."""
    page, stored = folder.path / REPORT, stored_coverage(folder)
    if not page.is_file():
        return
    if stored is None or (stored.images and not found.images) or is_cleaned or staleness(folder, stored):
        found.left_out[OTHERS] += 1
        return
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


# Paths that name a user or a place of this machine: where one begins, not within an id or a web address.
BEGINS = rb"(?:(?<![\w.-])|(?<=\\[nrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=[\s\"'=]-[A-Za-z]))"
PERSONAL_PLACES = rb"/(?:home|Users|root|mnt|media|srv|scratch|Volumes)/"
PERSONAL = re.compile(
    rb"(?:"
    + BEGINS
    + PERSONAL_PLACES
    + rb"|\.\."
    + PERSONAL_PLACES
    + rb"|[A-Za-z]:\\{1,2}Users\\{1,2})[^\s\"'<>|]*"
)
PICTURE = re.compile(rb"base64,[A-Za-z0-9+/=]+")  # within a page; its letters may spell anything
TEXTS = (".json", ".toml", ".html", ".csv", ".svg", ".md")


def personal_paths(files: dict[str, bytes | Path], machine: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each text file that contains a path with a user's name, or one of these paths, and that path.

    Args:
        files: of the pack.
        machine: paths of this machine.
    """
    own = [path.encode() for path in machine if len(Path(path).parts) > 1]
    for name, source in files.items():
        if not name.endswith(TEXTS):
            continue
        content = PICTURE.sub(b"", source if isinstance(source, bytes) else source.read_bytes())
        named = PERSONAL.search(content)
        if named:
            yield name, named[0].decode(errors="replace")
        else:
            yield from ((name, path.decode()) for path in own if path in content)
