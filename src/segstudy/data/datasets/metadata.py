"""``metadata.csv``: group, category and subset of each sample, under the headings that people use."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.quantities import and_more
from segstudy.data.datasets.subsets import is_subset_word, subset_named
from segstudy.data.datasets.table_ids import id_meant, names_of, unfit_ids
from segstudy.data.datasets.tables import read_csv
from segstudy.data.sample_ids import KnownIds
from segstudy.data.samples import Part, Problem, Sample, Severity

METADATA = "metadata.csv"
NO_GROUP_COLUMN = "no groups"  # kind of a problem
COLUMNS = ("id", "group", "category", "part")
# Columns that say which images belong together, where there is no column group, and what a group is then.
GROUP_COLUMNS = {
    "patient": "patient",
    "patient_id": "patient",
    "subject": "subject",
    "subject_id": "subject",
    "lesion_id": "lesion",
}
# The same, where there is none of these.
RARER_GROUP_COLUMNS = {
    **dict.fromkeys(("patients", "patientid", "patient_no", "patient_number", "patient_code"), "patient"),
    **dict.fromkeys(("pid", "patient_name", "pat_id"), "patient"),
    **dict.fromkeys(("subjectid", "subject_no", "participant", "participant_id"), "subject"),
    **dict.fromkeys(("lesionid", "lesion_no"), "lesion"),
    **dict.fromkeys(("case_id", "caseid"), "case"),
    **dict.fromkeys(("person", "person_id", "individual", "individual_id"), "person"),
    **dict.fromkeys(("animal_id", "donor", "donor_id"), "donor"),
    **dict.fromkeys(("slide_id", "slideid"), "slide"),
    **dict.fromkeys(("groups", "group_id", "groupid"), "group"),
}
GROUP_NOUNS = {**GROUP_COLUMNS, **RARER_GROUP_COLUMNS}
# Columns that say which subset an image is in, where there is no column part.
SUBSET_COLUMNS = ("split", "splits", "subset", "subsets", "set", "partition", "phase")
ID_NAMES = (
    *("filename", "file_name", "file", "image", "image_id", "image_name", "imageid", "img", "img_id"),
    *("name", "sample", "sample_id", "picture", "stem"),
)
# What people call columns that are known here by another name, and that may mean something else too.
MEANT_FOR = {
    "category": ("diagnosis", "dx", "label", "class", "pathology", "type"),
    "part": (*SUBSET_COLUMNS, "fold"),
    "group": (*GROUP_NOUNS, "lesion", "case", "slide", "animal"),
}


@dataclass(frozen=True)
class Row:
    """What a table says of one sample."""

    group: str | None
    category: str | None
    part: Part | None


@dataclass(frozen=True)
class Table:
    """Content of a metadata.csv.

    Attributes:
        name: the file, relative to the data set's folder.
        rows: by id.
        problems: what is odd about it.
        group_column: what the groups are read from, as written there; nothing if there is none.
        category_column: what the categories are read from; nothing if there is none.
    """

    name: str
    rows: Mapping[str, Row]
    problems: Sequence[Problem]
    group_column: str = ""
    category_column: str = ""

    @property
    def group_noun(self) -> str:
        """What a group is, from the column's name."""
        return GROUP_NOUNS.get(as_known(self.group_column), "group")

    def key_of(self, sample_id: str) -> str:
        """The id under which a sample would be listed: folders may be left out."""
        return next((name for name in names_of(sample_id) if name in self.rows), sample_id)

    def row_of(self, sample_id: str) -> Row | None:
        return self.rows.get(self.key_of(sample_id))


def metadata_file(folder: Path) -> Path | None:
    """``metadata.csv`` in a folder, in any case.

    Raises:
        UserError: two files whose names differ in case only.
    """
    found = sorted(each for each in folder.iterdir() if each.name.casefold() == METADATA)
    if len(found) > 1:
        raise UserError(f"{folder}: holds {found[0].name} and {found[1].name}; merge them or remove one")
    return found[0] if found else None


def with_metadata(samples: Sequence[Sample], table: Table) -> tuple[list[Sample], list[Problem]]:
    """Samples with the groups, categories and subsets of a table, and what does not fit."""
    problems = list(table.problems)
    described = []
    for sample in samples:
        new, issues = _described(sample, table.row_of(sample.id), table.name)
        described.append(new)
        problems += issues
    problems += _shared_rows(samples, table)
    ids = [sample.id for sample in samples]
    used = {table.key_of(sample_id) for sample_id in ids} & table.rows.keys()
    return described, [*problems, *unfit_ids(table.name, table.rows.keys(), used, ids)]


def _shared_rows(samples: Iterable[Sample], table: Table) -> list[Problem]:
    """Rows whose id fits several samples of a subset, because it leaves out the folder."""
    found: dict[tuple[str, Part | None], list[str]] = defaultdict(list)
    for sample in samples:
        found[table.key_of(sample.id), sample.part].append(sample.id)
    return [
        Problem(
            "error",
            "id of several samples",
            f"{table.name}: {key}",
            f"fits {ids[0]} and {ids[1]}{and_more(len(ids) - 2)}; write the folder before it too",
        )
        for (key, _), ids in found.items()
        if len(ids) > 1
    ]


def ungrouped(samples: Iterable[Sample], table: Table) -> frozenset[str]:
    """Ids of the samples whose group the table does not say."""
    rows = {sample.id: table.row_of(sample.id) for sample in samples}
    return frozenset(sample_id for sample_id, row in rows.items() if row is None or row.group is None)


def group_problems(samples: Sequence[Sample], table: Table) -> list[Problem]:
    """What a table leaves open about groups; official subsets have been cut by somebody who knew."""
    if not table.group_column:
        detail = (
            "no column group (or patient, lesion_id): images of one patient may lie in training and in test; "
            "add it if there are any"
        )
        severity: Severity = "note" if all(sample.part for sample in samples) else "warning"
        return [Problem(severity, NO_GROUP_COLUMN, table.name, detail)]
    without = [key for key, row in table.rows.items() if row.group is None]
    detail = f"no {table.group_column}, so that it counts as a patient of its own; fill the cell in"
    return [Problem("warning", "no group", f"{table.name}: {key}", detail) for key in without]


def _described(sample: Sample, row: Row | None, table: str) -> tuple[Sample, list[Problem]]:
    if row is None:
        return sample, [Problem("warning", "no metadata", sample.id, f"{table} does not list it")]
    problems = []
    if sample.part and row.part and sample.part != row.part:
        detail = f"lies in the folder of {sample.part}, but {table} says {row.part}; correct one of them"
        problems.append(Problem("error", "two parts", sample.id, detail))
    described = replace(
        sample,
        group=row.group or sample.group,
        category=row.category,
        part=sample.part or row.part,
    )
    return described, problems


def read_metadata(root: Path, file: Path, sample_ids: Collection[str]) -> Table:
    """The rows of a metadata.csv by id.

    Args:
        root: the data set's folder.
        file: the table.
        sample_ids: of the samples that it describes: an id may be written as their file's name.

    Raises:
        UserError: no table, no ids, or two columns that could both be the groups or the subsets.
    """
    names, lines = read_csv(file, "save it as UTF-8 text with commas, a line for each sample")
    columns = columns_of(file, names, lines)
    where = file.relative_to(root).as_posix()
    problems = unused_columns(where, columns)
    known = KnownIds(name for each in sample_ids for name in names_of(each))
    rows: dict[str, Row] = {}
    for line in lines:
        cells = {known_as: line[written].strip() for known_as, written in columns.items()}
        key = id_meant(cells["id"], known) or unicodedata.normalize("NFC", cells["id"])
        if key in rows:
            problems.append(Problem("error", "id listed twice", f"{where}: {key}", "remove one of the lines"))
        part, issue = subset_in(cells, columns, where)
        problems += issue
        rows[key] = Row(cells.get("group") or None, cells.get("category") or None, part)
    return Table(where, rows, problems, columns.get("group", "").strip(), columns.get("category", "").strip())


def columns_of(
    file: Path, written: Sequence[str], lines: Sequence[Mapping[str, str]], id_column: str = ""
) -> dict[str, str]:
    """What each column is known by here, and how it is written there; without empty ones that are unknown.

    Args:
        file: the table.
        written: its headings.
        lines: its rows.
        id_column: the heading of the column with the ids, where it need not be ``id``.

    Raises:
        UserError: no ids, two columns of one name, or two columns that could both be the groups or subsets.
    """
    known = ["id" if name == id_column else as_known(name) for name in written]
    number = Counter(known)
    if twice := [name for name in (*COLUMNS, *GROUP_NOUNS, *SUBSET_COLUMNS) if number[name] > 1]:
        raise UserError(f"{file}: has two columns {twice[0]}; rename or remove one of them")
    if "id" not in known:
        meant = next((name.strip() for name in written if as_known(name) in ID_NAMES), "")
        hint = f"if `{meant}` holds the images' names, call it id; else " if meant else ""
        raise UserError(
            f"{file}: has no column id; {hint}its first line must be id,group,category,part "
            "(any but id may lack)"
        )
    for names in (GROUP_COLUMNS, RARER_GROUP_COLUMNS):
        groups = [name for name in known if name in names]
        _take(file, known, "group", groups, "say which images belong together")
    cells = dict(zip(known, written, strict=True))
    subsets = [name for name in known if name in SUBSET_COLUMNS and _has_subsets(lines, cells[name])]
    _take(file, known, "part", subsets, "say which subset an image is in")
    columns = dict(zip(known, written, strict=True))
    group = columns.get("group")
    if group and all(line.get(group) == line.get(columns["id"]) for line in lines):
        del columns["group"]  # every image is a group of its own: there are none
    return {name: text for name, text in columns.items() if name in COLUMNS or _says_anything(lines, text)}


def _says_anything(lines: Sequence[Mapping[str, str]], column: str) -> bool:
    return any((line.get(column) or "").strip() for line in lines)


def _take(file: Path, known: list[str], column: str, found: Sequence[str], what: str) -> None:
    """Let a column under another name be the one that is missing.

    Raises:
        UserError: there are several.
    """
    if column in known or not found:
        return
    if len(found) > 1:
        raise UserError(f"{file}: {' and '.join(found)} could both {what}; call one of them {column}")
    known[known.index(found[0])] = column


def _has_subsets(lines: Sequence[Mapping[str, str]], column: str) -> bool:
    """Whether some cell of a column is a word for a subset; a column of anything else has another meaning."""
    return any(is_subset_word(line[column]) for line in lines)


def as_known(heading: str) -> str:
    """A heading as it is known here: ``Patient ID``, ``patient-id`` and ``"PatientID"`` as ``patient_id``."""
    parted = re.sub(r"(?<=[a-z])(?=I[Dd]$)", "_", heading.strip().strip("\"'").strip())
    return re.sub(r"[\s_-]+", "_", parted.lower())


def unused_columns(where: str, columns: Mapping[str, str]) -> list[Problem]:
    """A warning for each column that says nothing here, with the name by which it would."""
    problems = []
    for known, written in columns.items():
        if known and known not in COLUMNS:
            meant = next((column for column, names in MEANT_FOR.items() if known in names), None)
            may_be = f"; call it {meant} if that is what it is" if meant and meant not in columns else ""
            detail = f"is not used: {', '.join(COLUMNS)} are{may_be}"
            problems.append(Problem("warning", "unused column", f"{where}: {written.strip()}", detail))
    return problems


def subset_in(
    cells: Mapping[str, str], columns: Mapping[str, str], where: str
) -> tuple[Part | None, list[Problem]]:
    """The subset that a row says, or an error that it says none that is known."""
    text = cells.get("part", "")
    if not text or (part := subset_named(text)):
        return (part if text else None), []
    detail = (
        f"{columns['part'].strip()} {text!r} is none of train, validation, test; correct it or leave it blank"
    )
    return None, [Problem("error", "unknown part", f"{where}: {cells['id']}", detail)]
