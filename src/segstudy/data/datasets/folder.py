"""Plain folders: ``images/`` and ``masks/``, at the top or inside official parts.

Layout, one of::

    DATA/images/a.jpg              DATA/train/images/a.jpg
    DATA/masks/a.png               DATA/train/masks/a.png
    DATA/metadata.csv  (optional)  DATA/val/...   DATA/test/...   DATA/metadata.csv  (optional)

An image and its mask have the same stem, exactly; the mask's may end in ``_mask`` or ``_segmentation``.
Files are images by their suffix, in any case, see ``data.image_formats``; other and hidden ones are not read.

``metadata.csv`` has a column ``id`` and any of ``group`` (or ``patient``, ``patient_id``, ``subject``,
``subject_id``, ``lesion_id``), ``category`` and ``part`` (train, validation or test). In a heading capitals
do not matter, and blanks and hyphens are as underscores. Further columns are not used, which ``check`` says.

Ids are stems; in official parts they begin with the part's folder, as ``train/0001``, because data sets
often number each part from 1. ``metadata.csv`` may leave that beginning out.

Quirks: ``val``, ``valid`` and ``validation`` mean the same part. Folders bring no terms and no citation.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.data.datasets.pairing import image_files, pair, part_problems
from segstudy.data.datasets.table_ids import unfit_ids
from segstudy.data.datasets.tables import read_csv
from segstudy.data.samples import PARTS, Dataset, Part, Problem, Sample, Severity

DESCRIPTION = "images/ and masks/ with equal file names, at the top or inside train/, val/, test/"
PART_FOLDERS: dict[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


METADATA = "metadata.csv"
COLUMNS = ("id", "group", "category", "part")
# Columns that say which images belong together, where there is no column group, and what a group is then.
GROUP_COLUMNS = {
    "patient": "patient",
    "patient_id": "patient",
    "subject": "subject",
    "subject_id": "subject",
    "lesion_id": "lesion",
}
ID_NAMES = (
    *("filename", "file_name", "file", "image", "image_id", "image_name", "imageid", "img", "img_id"),
    *("name", "sample", "sample_id", "picture", "stem"),
)
# What people call the columns that are known here by another name.
MEANT_FOR = {
    "category": ("diagnosis", "dx", "label", "class", "pathology", "type"),
    "part": ("split", "subset", "set", "fold", "partition"),
    "group": (
        "lesion",
        "patients",
        "patientid",
        "case",
        "case_id",
        "person",
        "participant",
        "individual",
        "pid",
        "groups",
    ),
}


@dataclass(frozen=True)
class _Table:
    """Content of metadata.csv.

    Attributes:
        rows: by id.
        problems: what is odd about it.
        group_column: what the groups are read from, as written there; nothing if there is none.
        category_column: what the categories are read from; nothing if there is none.
    """

    rows: Mapping[str, "_Row"]
    problems: Sequence[Problem]
    group_column: str = ""
    category_column: str = ""

    def key_of(self, sample_id: str) -> str:
        """The id under which a sample would be listed: the folder of the part may be left out."""
        return sample_id if sample_id in self.rows else sample_id.rpartition("/")[2]

    def row_of(self, sample_id: str) -> "_Row | None":
        return self.rows.get(self.key_of(sample_id))


@dataclass(frozen=True)
class _Row:
    """One line of metadata.csv."""

    group: str | None
    category: str | None
    part: Part | None


def detect(root: Path) -> bool:
    """Whether there is ``images/`` beside ``masks/``, here or in a part's folder."""
    return _has_pairs(root) or bool(_part_folders(root))


def read(root: Path) -> Dataset:
    """Pair images with masks by stem and apply ``metadata.csv``.

    Raises:
        UserError: both layouts at once, two folders for one part, or a metadata.csv without ids.
    """
    parts = _part_folders(root)
    if parts and _has_pairs(root):
        raise UserError(
            f"{root}: holds images/ as well as {parts[0].name}/images/; leave one of the two layouts there"
        )
    problems: list[Problem] = []
    samples: list[Sample] = []
    for folder in parts or [root]:
        found, issues = pair(root, image_files(folder / "images"), image_files(folder / "masks"))
        problems += issues
        samples += [_in_part(sample, folder.name) for sample in found] if parts else found
    table = _read_metadata(root / METADATA) if (root / METADATA).exists() else None
    if table:
        samples, issues = _with_metadata(samples, table)
        problems += issues
    samples.sort(key=lambda sample: sample.id)
    problems += part_problems(root, samples)
    if table:
        problems += _group_problems(samples, table)
    return Dataset(
        root.resolve().name,
        "folder",
        root,
        tuple(samples),
        tuple(problems),
        groups_from=f"column `{table.group_column}`" if table and table.group_column else "",
        group_noun=GROUP_COLUMNS.get(_as_known(table.group_column), "group") if table else "group",
        categories_from=f"column `{table.category_column}`" if table and table.category_column else "",
        ungrouped=_ungrouped(samples, table) if table else frozenset(),
    )


def _has_pairs(folder: Path) -> bool:
    return (folder / "images").is_dir() and (folder / "masks").is_dir()


def _part_folders(root: Path) -> list[Path]:
    """The folders of official parts, in the order train, validation, test."""
    folders = [root / name for name in PART_FOLDERS if _has_pairs(root / name)]
    for part in PARTS:
        same = [folder.name for folder in folders if PART_FOLDERS[folder.name] == part]
        if len(same) > 1:
            raise UserError(f"{root}: {' and '.join(same)} are the same part; merge them or remove one")
    return folders


def _in_part(sample: Sample, folder: str) -> Sample:
    sample_id = f"{folder}/{sample.id}"
    return replace(sample, id=sample_id, group=sample_id, part=PART_FOLDERS[folder])


def _with_metadata(samples: list[Sample], table: _Table) -> tuple[list[Sample], list[Problem]]:
    problems = list(table.problems)
    described = []
    for sample in samples:
        new, issues = _describe(sample, table.row_of(sample.id))
        described.append(new)
        problems += issues
    ids = [sample.id for sample in samples]
    used = {table.key_of(sample_id) for sample_id in ids} & table.rows.keys()
    return described, [*problems, *unfit_ids(METADATA, table.rows.keys(), used, ids)]


def _ungrouped(samples: Sequence[Sample], table: _Table) -> frozenset[str]:
    rows = {sample.id: table.row_of(sample.id) for sample in samples}
    return frozenset(sample_id for sample_id, row in rows.items() if row is None or row.group is None)


def _group_problems(samples: Sequence[Sample], table: _Table) -> list[Problem]:
    """What metadata.csv leaves open about groups; official parts have been cut by somebody who knew."""
    if not table.group_column:
        detail = (
            "no column group (or patient, lesion_id): images of one patient may lie in training and in test; "
            "add it if there are any"
        )
        severity: Severity = "note" if all(sample.part for sample in samples) else "warning"
        return [Problem(severity, "no groups", METADATA, detail)]
    without = [key for key, row in table.rows.items() if row.group is None]
    detail = f"no {table.group_column}, so that it counts as a patient of its own; fill the cell in"
    return [Problem("warning", "no group", f"{METADATA}: {key}", detail) for key in without]


def _describe(sample: Sample, row: _Row | None) -> tuple[Sample, list[Problem]]:
    if row is None:
        return sample, [Problem("warning", "no metadata", sample.id, "metadata.csv does not list it")]
    problems = []
    if sample.part and row.part and sample.part != row.part:
        detail = f"lies in the folder of {sample.part}, but metadata.csv says {row.part}; correct one of them"
        problems.append(Problem("error", "two parts", sample.id, detail))
    described = replace(
        sample,
        group=row.group or sample.group,
        category=row.category,
        part=sample.part or row.part,
    )
    return described, problems


def _read_metadata(file: Path) -> _Table:
    """The rows of metadata.csv by id.

    Raises:
        UserError: no table, no ids, or two columns that could both be the groups.
    """
    names, lines = read_csv(file, "save it as UTF-8 text with commas, a line for each sample")
    columns = _columns(file, names)
    problems = _unused(columns)
    rows: dict[str, _Row] = {}
    for line in lines:
        cells = {known: line[written].strip() for known, written in columns.items()}
        key = unicodedata.normalize("NFC", cells["id"])
        if key in rows:
            problems.append(
                Problem("error", "id listed twice", f"{file.name}: {key}", "remove one of the lines")
            )
        part, issue = _part(cells, file)
        problems += issue
        rows[key] = _Row(cells.get("group") or None, cells.get("category") or None, part)
    return _Table(rows, problems, columns.get("group", "").strip(), columns.get("category", "").strip())


def _columns(file: Path, written: Sequence[str]) -> dict[str, str]:
    """What each column is known by here, and how it is written there.

    Raises:
        UserError: no ids, two columns of one name, or two columns that could both be the groups.
    """
    known = [_as_known(name) for name in written]
    number = Counter(known)
    if twice := [name for name in (*COLUMNS, *GROUP_COLUMNS) if number[name] > 1]:
        raise UserError(f"{file}: has two columns {twice[0]}; rename or remove one of them")
    if "id" not in known:
        meant = next((name.strip() for name in written if _as_known(name) in ID_NAMES), "")
        hint = f"if `{meant}` holds the images' names, call it id; else " if meant else ""
        raise UserError(
            f"{file}: has no column id; {hint}its first line must be id,group,category,part "
            "(any but id may lack)"
        )
    groups = [name for name in known if name in GROUP_COLUMNS]
    if "group" not in known and len(groups) > 1:
        raise UserError(
            f"{file}: {' and '.join(groups)} could both say which images belong together; "
            "call one of them group"
        )
    if "group" not in known and groups:
        known[known.index(groups[0])] = "group"
    return dict(zip(known, written, strict=True))


def _as_known(heading: str) -> str:
    """``Patient ID`` and ``patient-id`` as ``patient_id``."""
    return re.sub(r"[\s-]+", "_", heading.strip().lower())


def _unused(columns: Mapping[str, str]) -> list[Problem]:
    problems = []
    for known, written in columns.items():
        if known and known not in COLUMNS:
            meant = next((column for column, names in MEANT_FOR.items() if known in names), None)
            may_be = f"; call it {meant} if that is what it is" if meant and meant not in columns else ""
            detail = f"is not used: {', '.join(COLUMNS)} are{may_be}"
            problems.append(Problem("warning", "unused column", f"{METADATA}: {written.strip()}", detail))
    return problems


def _part(cells: Mapping[str, str], file: Path) -> tuple[Part | None, list[Problem]]:
    text = cells.get("part", "").lower()
    if not text or text in PART_FOLDERS:
        return PART_FOLDERS.get(text), []
    detail = f"part {text!r} is none of train, validation, test; correct it or leave it blank"
    return None, [Problem("error", "unknown part", f"{file.name}: {cells['id']}", detail)]
