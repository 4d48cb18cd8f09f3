"""The coverage of a written report, stored in the page itself, so that an outdated report is noticed."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from html import unescape
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from segstudy.core.checksums import sha256_of
from segstudy.core.quantities import counted
from segstudy.core.schema import Frozen
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import FILE as LOOKS

PLAN_FILES = ("study.toml", "split.json", "data.json", "numerics.json")
TAG = re.compile(r'<meta name="covers" content="([^"]*)">')
# Files that a page names are read and may be removed: a page from elsewhere could name any file.
Beside = Annotated[str, StringConstraints(pattern=r"^(leaderboard\.csv|figures/[\w-]+\.(svg|png))\z")]


class Coverage(Frozen):
    """The sources of a report, and the files written with it.

    Attributes:
        runs: keys of all finished runs.
        failures: hashes of the records of failed runs, by key.
        external: hashes of the records of other tools' masks and external tests, by folder.
        plan: hashes of the files that describe the study.
        images: whether pictures of the data may be in it.
        files: hashes of the table and the figures beside the page, by path; none while they are not written.
    """

    runs: tuple[str, ...]
    failures: dict[str, str]
    external: dict[str, str]
    plan: dict[str, str]
    images: bool
    files: dict[Beside, str] = Field({})

    def as_json(self) -> str:
        """Return the coverage as JSON for the page."""
        return json.dumps(self.model_dump(mode="json"), separators=(",", ":"))


def coverage_now(folder: StudyFolder, images: bool) -> Coverage:
    """Return the coverage of a report that would be written now."""
    records = {
        name: folder.read_external_file(name, "record.json", _hash) for name in folder.external_records()
    }
    failures = {key: folder.failures / f"{key}.json" for key in folder.failed()}
    files = (*PLAN_FILES, LOOKS)
    plan = {name: folder.path / name for name in files if (folder.path / name).is_file()}
    return Coverage(
        runs=tuple(sorted(folder.finished())),
        failures=_hashes(failures),
        external=dict(sorted(records.items())),
        plan=_hashes(plan),
        images=images,
    )


def stored_coverage(folder: StudyFolder) -> Coverage | None:
    """Return the coverage of the stored report; None without a report, or for one of an older version."""
    try:
        found = TAG.search((folder.path / "report.html").read_text(encoding="utf-8"))
        return Coverage.model_validate_json(unescape(found[1])) if found else None
    except (OSError, ValueError, ValidationError):
        return None


def is_current(folder: StudyFolder, images: bool) -> bool:
    """Whether the report covers exactly the present state, with or without pictures as wanted."""
    stored = stored_coverage(folder)
    if stored is None or stored.images != images:
        return False
    now = coverage_now(folder, images)
    return now.model_copy(update={"files": now_written(folder, stored.files)}) == stored


def staleness(folder: StudyFolder, stored: Coverage, damaged: Collection[str] = ()) -> str:
    """Return a sentence on what a report does not cover; empty if it covers everything.

    Not counted: a deleted figure, runs that a repair moved and damaged runs, which are reported themselves;
    a study file that was edited and not run since; and new scores, which ``unseen_scores`` returns.
    """
    now = coverage_now(folder, stored.images)
    aside = {path.name for path in (folder.path / "quarantine").glob("*/runs/*")}
    new, gone = (
        len(set(now.runs) - set(stored.runs) - set(damaged)),
        len(set(stored.runs) - set(now.runs) - aside),
    )
    said = {
        f"{counted(new, 'run')} finished since it was written": new,
        f"{counted(gone, 'run')} that it covers {'is' if gone == 1 else 'are'} gone": gone,
        "other runs failed since": not now.failures.items() <= stored.failures.items(),
        "leaderboard.csv or a figure belongs to another report": not (
            now_written(folder, stored.files).items() <= stored.files.items()
        ),
    }
    return "; ".join(text for text, true in said.items() if true)


def unseen_scores(folder: StudyFolder, stored: Coverage) -> tuple[str, ...]:
    """Return the folders of ``external/`` with scores that are new or changed since the report."""
    now = coverage_now(folder, stored.images).external
    return tuple(sorted(name for name, found in now.items() if stored.external.get(name) != found))


def now_written(folder: StudyFolder, files: Iterable[str]) -> dict[str, str]:
    """Return hashes of these files in a study's folder; missing ones are left out."""
    return _hashes({name: folder.path / name for name in files if (folder.path / name).is_file()})


def _hashes(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: _hash(file) for name, file in sorted(files.items())}


def _hash(file: Path) -> str:
    return sha256_of(file)[:16]
