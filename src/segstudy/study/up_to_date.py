"""Records of finished studies, so that the same call again needs no planning.

This record is kept beside the caches and may be deleted at any time. It is valid for the same call as
long as the inputs of the plan are unchanged (this program, the study's files, the data by path, size and
times, the sources of users' own components) and every run of the plan is there.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segstudy.config.study import Study
from segstudy.core.atomic_files import DiskError, make_folder, write_text
from segstudy.core.cache import cache_folder
from segstudy.core.checksums import sha256_of
from segstudy.core.errors import UserError
from segstudy.core.file_stamps import stamp_of
from segstudy.core.installed import package_files
from segstudy.core.plugins import installed_plugins
from segstudy.core.schema import Frozen
from segstudy.core.source_files import source_files
from segstudy.core.sums import parse_sum
from segstudy.core.synthetic import is_synthetic
from segstudy.core.version import __version__
from segstudy.data.datasets import read
from segstudy.data.samples import Sample
from segstudy.data.sources import files_of
from segstudy.store.folder import StudyFolder
from segstudy.store.report_coverage import PLAN_FILES, is_current
from segstudy.study.overview import Overview


class FinishedPlan(Frozen):
    """Content of the file.

    Attributes:
        made_from: hashes of all inputs of the plan.
        keys: the planned runs'.
        overview: the summary of the plan.
    """

    made_from: dict[str, str]
    keys: tuple[str, ...]
    overview: Overview


def settled(asked: Study, folder: StudyFolder, images: bool = True) -> Overview | None:
    """Return the summary of a study that needs nothing more; None if there may be work, or an error.

    Args:
        asked: the study of the call.
        folder: where it is stored.
        images: whether its report must show pictures of the data.
    """
    try:
        text = _file(asked, folder).read_text(encoding="utf-8")
        record = FinishedPlan.model_validate_json(text)
        if record.made_from != _made_from(asked, folder):
            return None
        whole = folder.finished().issuperset(record.keys) and is_current(folder, images)
    except (OSError, ValidationError, ValueError, UserError):  # the complete planning reports the error
        return None
    return record.overview if whole else None


def records(
    asked: Study,
    folder: StudyFolder,
    samples: Sequence[Sample],
    keys: Iterable[str],
    overview: Overview,
    began_ns: int,
) -> dict[Path, FinishedPlan]:
    """Return the records to write once all these runs are there: for the requested and the stored study.

    Must be called under the folder's lock. There is none if an input of the plan has changed since planning
    began, as the plan may then be from before or after the change.
    """
    made: dict[Path, FinishedPlan] = {}
    with suppress(OSError, UserError):  # it only saves time
        for study in (asked, folder.study()):
            sources = [*_program(), *_own_files(study)]
            if not is_synthetic(study.data):  # which is written when it is first planned with
                sources += [
                    file for sample in samples for file in (*files_of(sample.image), *files_of(sample.mask))
                ]
            if any(stamp_of(file.stat()).latest_ns > began_ns for file in sources):
                return {}
            made_from = _made_from(study, folder, samples)
            made[_file(study, folder)] = FinishedPlan(
                made_from=made_from, keys=tuple(keys), overview=overview
            )
    return made


def write_records(made: Mapping[Path, FinishedPlan]) -> None:
    """Write the records; every run in them must be there."""
    with suppress(DiskError):  # it only saves time
        for file, record in made.items():
            make_folder(file.parent)
            write_text(file, record.model_dump_json())


def _file(asked: Study, folder: StudyFolder) -> Path:
    name = _hash([str(folder.path.resolve()), asked.model_dump(mode="json")])
    return cache_folder() / "finished-plans" / f"{name}.json"


def _made_from(asked: Study, folder: StudyFolder, samples: Sequence[Sample] | None = None) -> dict[str, str]:
    if samples is None:
        samples = read(asked.data, asked.reader, asked.exclude).samples
    files = [folder.path / name for name in PLAN_FILES]
    return {
        "machine": _hash([platform.node(), os.environ.get("CUDA_VISIBLE_DEVICES")]),  # `auto` looks at it
        "program": _hash([__version__, *map(_stamp, _program())]),
        "files": _hash([file.read_text(encoding="utf-8", errors="replace") for file in files]),
        "own files": _hash(
            [
                *([str(f), sha256_of(f)] for f in _own_files(asked)),
                *map(_stamp, _installed_files(asked, folder)),
            ]
        ),
        "data": _hash(
            [
                [
                    s.id,
                    s.group,
                    s.category,
                    s.part,
                    *map(_stamp, files_of(s.image)),
                    *map(_stamp, files_of(s.mask)),
                ]
                for s in sorted(samples, key=lambda sample: sample.id)
            ]
        ),
    }


def _program() -> list[Path]:
    return sorted(Path(__file__).parents[1].rglob("*.py"))


def _own_files(study: Study) -> list[Path]:
    """Return the user's own files: a split file, and the sources of components with their imports."""
    spellings = {text for c in study.configurations() for text in (c.architecture, c.loss)}
    own = {file for text in spellings if (file := parse_sum(text).file)}
    found = {source for file in own for source in source_files(file)}
    return sorted(found | ({Path(study.split_file)} if study.split_file else set()))


def _installed_files(study: Study, folder: StudyFolder) -> list[Path]:
    """Return the source files of the packages and plug-ins of architectures and losses."""
    planned = folder.numerics()
    modules = set()
    for factor in ("architecture", "loss"):
        for text in {str(configuration.level(factor)) for configuration in study.configurations()}:
            is_ours = not isinstance(getattr(planned, factor, {}).get(text), str)
            for component in parse_sum(text).components:
                if component.module:
                    modules.add(component.module)
                elif component.file is None and not is_ours:
                    modules |= {each.module for each in installed_plugins(factor).get(component.name, [])}
    return sorted({file for module in modules for file in package_files(module)})


def _stamp(file: Path) -> list[Any]:
    """Return the path of a file, and the numbers that change when it does."""
    return [str(file), *stamp_of(file.stat())]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
