"""Faults: things in a study's folder that are not as segstudy wrote them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segstudy.core.errors import UserError
from segstudy.store.folder import StudyFolder

State = Literal["incomplete", "altered", "orphaned", "stale", "unreadable"]


@dataclass(frozen=True)
class Fault:
    """Something in a study's folder that is not as segstudy wrote it.

    Attributes:
        state: ``incomplete`` (half written, or part of it gone), ``altered`` (not what was written),
            ``orphaned`` (left behind by what is finished or dead, or an unknown file), ``stale`` (a report of
            other runs than are there now), or ``unreadable``: its content may be good, so no
            repair moves it.
        path: relative to the study's folder; a repair moves it.
        detail: what is wrong with it.
    """

    state: State
    path: Path
    detail: str


def inside(folder: StudyFolder, path: Path) -> Path:
    return path.relative_to(folder.path)


def reason(error: UserError, path: Path) -> str:
    """Return an error's reason, without the path before it and the remedy after it."""
    return str(error).removeprefix(f"{path}").lstrip("/: ").split("; ")[0]
