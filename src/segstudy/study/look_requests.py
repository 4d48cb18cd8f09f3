"""The call of a sequential study: the seeds of its looks, and the combinations of options that make sense."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.config.study import Study, validated
from segstudy.core.errors import UserError
from segstudy.stats.planned_looks import FEWEST_SEEDS, planned_seeds
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import Looks, looks_of
from segstudy.store.preregistration import FILE

MOST_SEEDS = 10  # where the call names none
MOST_PLANNED = 1000
ANOTHER = "choose another folder with --out"


@dataclass(frozen=True, slots=True)
class Request:
    """What a call asks of a sequential study.

    Attributes:
        seeds: of each configuration at each look.
        max_hours: when to stop for this time; None for never.
    """

    seeds: tuple[int, ...]
    max_hours: float | None = None


def requested(
    asked: Study, folder: StudyFolder, source: str | Path | None, options: Mapping[str, Any]
) -> tuple[Study, Request | None]:
    """Return the study with the seeds of its last look, and what is asked; None for a fixed study.

    A study that was begun as a sequential one stays one, also where the call does not say it.

    Args:
        asked: the study of the call.
        folder: where it is stored.
        source: of the call.
        options: of the call.

    Raises:
        UserError: options that make no sense together, or with what is stored.
    """
    stored = looks_of(folder, rebuild=True) if folder.exists() else None
    is_asked, max_hours, most = (options.get(name) for name in ("until_settled", "max_hours", "max_seeds"))
    if max_hours is not None and not max_hours > 0:
        raise UserError(f"--max-hours must be above 0, got {max_hours:g}")
    if stored is not None:
        is_called = source is not None and Path(source).resolve() == folder.path.resolve()
        seeds = _continued(stored, asked, folder.path, is_called, options)
    elif is_asked:
        seeds = _begun(asked, folder, options)
    else:
        for name, value in (("--max-hours", max_hours), ("--max-seeds", most)):
            if value is not None:
                raise UserError(
                    f"{name} needs --until-settled: a study with fixed seeds has no looks to stop at"
                )
        return asked, None
    study = validated({**asked.model_dump(), "seeds": seeds[-1]}, "")
    if len(study.configurations()) < 2:
        raise UserError("--until-settled needs two configurations or more: one alone has nothing to settle")
    return study, Request(seeds, max_hours)


def _named_seeds(asked: Study, options: Mapping[str, Any]) -> int | None:
    """Return the seeds that the call names; they are those of the first look."""
    is_named = options.get("seeds") is not None or "seeds" in (options.get("fields") or {})
    return asked.seeds if is_named else None


def _begun(asked: Study, folder: StudyFolder, options: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the planned seeds of a new sequential study."""
    if folder.finished() or folder.failed() or folder.begun() or (folder.path / FILE).exists():
        raise UserError(
            f"{folder.path}: was begun as a study with fixed seeds; looks must be planned before the first "
            f"run, so {ANOTHER}"
        )
    named = _named_seeds(asked, options)
    first = named if named is not None else max(asked.seeds, FEWEST_SEEDS)
    if first < FEWEST_SEEDS:
        raise UserError(
            f"--seeds must be {FEWEST_SEEDS} or more with --until-settled, got {first}: fewer runs cannot "
            "tell how much training varies"
        )
    given = options.get("max_seeds")
    most = max(MOST_SEEDS, 2 * first) if given is None else int(given)
    if not first < most <= MOST_PLANNED:
        raise UserError(
            f"--max-seeds must be above the {first} seeds of the first look and at most {MOST_PLANNED}, "
            f"got {most}"
        )
    return planned_seeds(first, most)


def _continued(
    stored: Looks, asked: Study, path: Path, is_called: bool, options: Mapping[str, Any]
) -> tuple[int, ...]:
    """Return the planned seeds of a stored study, and refuse a call that would change them."""
    seeds = stored.plan.seeds
    if not is_called and not options.get("until_settled"):
        raise UserError(
            f"{path}: is a sequential study; `segstudy run {path}` continues it; for one with fixed seeds "
            f"{ANOTHER}"
        )
    planned = (
        f"planned before the first run, with {', '.join(map(str, seeds))} seeds; leave it out, or {ANOTHER}"
    )
    named, most = _named_seeds(asked, options), options.get("max_seeds")
    if named is not None and named != seeds[0]:
        raise UserError(f"--seeds must be {seeds[0]}, got {named}: the looks of {path} were {planned}")
    if most is not None and int(most) != seeds[-1]:
        raise UserError(f"--max-seeds must be {seeds[-1]}, got {most}: the looks of {path} were {planned}")
    return tuple(seeds)
