"""What a finished study was made from, so that asking for it again costs a look and no planning.

A receipt is kept beside the caches and may be deleted at any time. It holds for the same call as long as
nothing has changed of what the plan came from: this program, the study's files, the data (by path, size and
times), the sources of components of one's own; and as long as every run of the plan is there.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segstudy import __version__
from segstudy.components import parse, source_hash
from segstudy.config import Frozen, Study
from segstudy.data import read
from segstudy.data.prepared import cache_folder
from segstudy.data.samples import Sample
from segstudy.errors import UserError
from segstudy.files import DiskError, make_folder, write_text
from segstudy.store import StudyFolder

PLAN_FILES = ("study.toml", "split.json", "data.json")


class Overview(Frozen):
    """What a plan consists of, as the user is told.

    Attributes:
        name: of the study.
        num_runs: planned.
        num_configurations: that they belong to.
        data: the data set's name.
        num_samples: without excluded ones.
        parts: numbers of images in training, validation and test, for every split.
        num_warnings: of the check of the data.
        num_notes: likewise.
    """

    name: str
    num_runs: int
    num_configurations: int
    data: str
    num_samples: int
    parts: tuple[tuple[int, int, int], ...]
    num_warnings: int
    num_notes: int


class Receipt(Frozen):
    """Content of a receipt's file.

    Attributes:
        made_from: hashes of all that the plan came from.
        keys: the planned runs'.
        overview: what the user is told of the plan.
    """

    made_from: dict[str, str]
    keys: tuple[str, ...]
    overview: Overview


def settled(asked: Study, folder: StudyFolder) -> Overview | None:
    """What a call would find finished; None where it may find anything to do, or wrong."""
    try:
        text = _file(asked, folder).read_text(encoding="utf-8")
        receipt = Receipt.model_validate_json(text)
        if receipt.made_from != _made_from(asked, folder):
            return None
    except (OSError, ValidationError, ValueError, UserError):  # the whole way says what is wrong
        return None
    whole = (folder.path / "report.html").is_file() and folder.finished().issuperset(receipt.keys)
    return receipt.overview if whole else None


def write_receipts(
    asked: Study, folder: StudyFolder, samples: Sequence[Sample], keys: Iterable[str], overview: Overview
) -> None:
    """Take down that a study is finished, as it was asked for and as its folder has it now."""
    try:
        for study in (asked, folder.study()):
            receipt = Receipt(
                made_from=_made_from(study, folder, samples), keys=tuple(keys), overview=overview
            )
            file = _file(study, folder)
            make_folder(file.parent)
            write_text(file, receipt.model_dump_json())
    except (DiskError, OSError, UserError):  # it only saves time
        return


def _file(asked: Study, folder: StudyFolder) -> Path:
    name = _hash([str(folder.path.resolve()), asked.model_dump(mode="json")])
    return cache_folder() / "receipts" / f"{name}.json"


def _made_from(asked: Study, folder: StudyFolder, samples: Sequence[Sample] | None = None) -> dict[str, str]:
    if samples is None:
        found = read(asked.data, asked.reader).samples
        samples = [sample for sample in found if sample.id not in asked.exclude]
    files = [folder.path / name for name in PLAN_FILES]
    files += [Path(asked.split_file)] if asked.split_file else []
    spellings = {text for c in asked.configurations() for text in (c.architecture, c.loss)}
    program = sorted(Path(__file__).parent.rglob("*.py"))
    return {
        "program": _hash([__version__, *(_stamp(file) for file in program)]),
        "files": _hash([file.read_text(encoding="utf-8") for file in files]),
        "data": _hash(
            [
                [s.id, s.group, s.category, s.part, _stamp(s.image), _stamp(s.mask)]
                for s in sorted(samples, key=lambda sample: sample.id)
            ]
        ),
        "sources": _hash([[text, source_hash(parse(text))] for text in sorted(spellings)]),
    }


def _stamp(file: Path) -> list[Any]:
    """A file by its path, size and times."""
    status = file.stat()
    return [str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
