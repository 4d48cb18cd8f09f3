"""Tables of a study as they were printed, kept in the cache, as it takes seconds to compute them.

They are derived and may be deleted at any time. They are never trusted over the study: a table is printed
again only if every file of the study that it may depend on, the files of this program and the versions of its
libraries are as they were. Files are compared by size, times and inode; a library by those of its
``__init__.py``, which every installation writes. A file that is damaged or of another version is not used.
While a plug-in is installed that a table may depend on, no table is kept or printed again.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any

from segstudy.core.atomic_files import DiskError, make_folder, write_text
from segstudy.core.cache import cache_folder
from segstudy.core.errors import UserError
from segstudy.core.file_stamps import UNSETTLED_NS, FileStamp, stamp_of
from segstudy.core.input_files import read_bytes
from segstudy.core.installed import package_files
from segstudy.core.json_files import MAX_RECORD_BYTES
from segstudy.core.plugins import installed_plugins
from segstudy.core.sealed_json import sealed, unsealed
from segstudy.core.version import __version__

VERSION = 1  # of these files
PLUGINS = ("architecture", "loss", "metric")  # the kinds whose records a table may depend on
LIBRARIES = ("numpy", "polars", "scipy")  # whose versions may change the last digits
# In a study's folder: no table is computed from them, and they change without its results.
NOT_READ = {
    *("checkpoints", "exports", "figures", "locks", "quarantine"),
    *("leaderboard.csv", "report.html", "report.lock", "run_index.json", "study.lock"),
}
DEEPEST = 3  # names in the path of a file that is read: runs/<key>/run.json


@dataclass(frozen=True, slots=True)
class State:
    """All that a study's tables follow from, when it was looked at.

    Attributes:
        digest: of the names and stamps of all files.
        is_settled: whether none of them may change without another stamp.
    """

    digest: str
    is_settled: bool


def state_of(study: Path) -> State | None:
    """Return the state of a study's folder and of this program.

    None if a file cannot be looked at, or if a table may depend on plug-ins, whose code may be anywhere.
    """
    if any(installed_plugins(kind) for kind in PLUGINS):
        return None
    found = hashlib.sha256(f"{VERSION} {__version__}".encode())
    latest = 0
    try:
        for name, stamp in (*_program(), *sorted(_files(os.fspath(study)))):
            found.update(f"{name}\0{stamp}\n".encode("utf-8", "surrogateescape"))
            latest = max(latest, stamp.latest_ns)
    except OSError:
        return None
    return State(found.hexdigest(), latest < time_ns() - UNSETTLED_NS)


def read_printed(study: Path, call: list[Any], state: State | None) -> str | None:
    """Return the table that this call printed; None if it is not there, or the study is another one now."""
    if state is None:
        return None
    with suppress(OSError, UserError, ValueError, RecursionError):
        content = json.loads(unsealed(VERSION, read_bytes(_place(study, call), MAX_RECORD_BYTES)) or "null")
        match content:
            case {"state": state.digest, "text": str(text)}:
                return text
    return None


def write_printed(study: Path, call: list[Any], state: State | None, text: str) -> None:
    """Keep a table that was computed after this state was looked at."""
    if state is not None and state.is_settled:
        with suppress(OSError, DiskError):  # it only saves time
            file = _place(study, call)
            make_folder(file.parent)
            write_text(file, sealed(VERSION, {"state": state.digest, "text": text}))


def _place(study: Path, call: list[Any]) -> Path:
    user = getattr(os, "geteuid", lambda: 0)()  # another one may not be allowed to read the study
    about = repr([user, os.fspath(study.resolve()), *call])
    name = hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_folder() / "printed-tables" / f"{name}.json"


def _program() -> Iterator[tuple[str, FileStamp]]:
    for file in package_files("segstudy"):
        yield str(file), stamp_of(file.stat())
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            yield spec.origin, stamp_of(Path(spec.origin).stat())


def _files(folder: str, depth: int = 1) -> Iterator[tuple[str, FileStamp]]:
    """Yield the files of a folder that a table may depend on."""
    with os.scandir(folder) as entries:  # paths of pathlib would take most of the time
        for entry in entries:
            if depth == 1 and entry.name in NOT_READ:
                continue
            if not entry.is_dir():
                yield entry.path, stamp_of(entry.stat())
            elif depth < DEEPEST:
                yield from _files(entry.path, depth + 1)
