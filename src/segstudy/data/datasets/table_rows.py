"""What one table of a data set says of the samples, under any usual name and headings."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.quantities import and_more
from segstudy.data.datasets.annotation_files import folders_in, lines_in, some_files
from segstudy.data.datasets.metadata import (
    GROUP_NOUNS,
    ID_NAMES,
    SUBSET_COLUMNS,
    Row,
    as_known,
    columns_of,
    subset_in,
    unused_columns,
)
from segstudy.data.datasets.subsets import is_subset_word, subset_named
from segstudy.data.datasets.table_ids import id_meant, names_of
from segstudy.data.datasets.tables import read_csv, read_sheet_as_table
from segstudy.data.sample_ids import KnownIds
from segstudy.data.samples import Dataset, Part, Problem, Sample
from segstudy.data.sources import name_within

CSV, WORKBOOK, LIST = (".csv", ".tsv"), ".xlsx", ".txt"
UNREAD = (".xls", ".ods", ".xlsm", ".xlsb", ".parquet", ".sav", ".numbers")
FOLDERS = re.compile(
    r"(meta ?data|meta|tables?|info|csv|splits?|lists?|image ?sets?|clinical|patients?)", re.IGNORECASE
)
# What stands beside a subset's word in the name of a list: train_ids.txt, list-of-test.csv.
_OF_LISTS = re.compile(
    r"[\s_.-]*(lists?|ids?|files?|filenames|images?|names|split|of|the)[\s_.-]*", re.IGNORECASE
)
REMEDY = "save it as CSV, UTF-8 text with commas, a line for each image"
LEAST_FRAC = 0.5  # of the rows, or of the samples, that fit by their ids
MAX_TABLES = 50
UNUSED_TABLE = "table not used"  # kind of a problem
_TELLING = frozenset({"group", "category", "part", *GROUP_NOUNS, *SUBSET_COLUMNS})


@dataclass(frozen=True)
class TableRows:
    """What one table says.

    Attributes:
        name: the file, relative to the data set's folder.
        rows: by the id of the sample.
        group_column, category_column: as written; nothing if there is none.
        part: the subset that the file's name says, where no column does.
        problems: what is odd about it.
        unused: why it is not used; nothing if it is.
    """

    name: str
    rows: Mapping[str, Row] = field(default_factory=dict)
    group_column: str = ""
    category_column: str = ""
    part: Part | None = None
    problems: Sequence[Problem] = ()
    unused: str = ""

    def values(self, of: str) -> dict[str, str]:
        """The group, category or part of every sample of which it says one."""
        return {sample_id: value for sample_id, row in self.rows.items() if (value := getattr(row, of))}

    def without_part(self, why: str, is_warning: bool = False) -> "TableRows":
        """The same without the subset of the file's name; not used if that is all it says."""
        if self.group_column or self.category_column:
            rows = {sample_id: replace(row, part=None) for sample_id, row in self.rows.items()}
            return replace(self, rows=rows, part=None)
        return unused(self.name, why, is_warning)


@dataclass(frozen=True)
class SampleNames:
    """How tables may name the samples: by id or by the image's path; outer folders may be left out."""

    known: KnownIds
    samples: Mapping[str, Sequence[Sample]]

    def named(self, text: str, part: Part | None = None) -> Sequence[Sample]:
        """The samples of an id; of several those in the subset that the table is of."""
        found = self.samples.get(id_meant(text.strip(), self.known) or "", ())
        return ([each for each in found if each.part == part] or found) if part else found


def sample_names(dataset: Dataset) -> SampleNames:
    """All names that a table may have for the samples."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        path = Path(name_within(dataset.root, sample.image)).with_suffix("").as_posix()
        for name in dict.fromkeys([*names_of(sample.id), *names_of(path)]):
            found[name].append(sample)
    return SampleNames(KnownIds(found), found)


def unused(name: str, why: str, is_warning: bool = False) -> TableRows:
    """A table that is not used, for a reason; a warning says so where groups or subsets may be lost."""
    problems = (Problem("warning", UNUSED_TABLE, name, why),) if is_warning else ()
    return TableRows(name, problems=problems, unused=why)


def table_files(root: Path) -> list[Path]:
    """The tables at the top of a data set, in folders of tables and in those of subsets; lists of subsets."""
    inside = [each for each in folders_in(root) if FOLDERS.fullmatch(each.name) or is_subset_word(each.name)]
    found: list[Path] = []
    for folder in (root, *inside):
        for suffix in (*CSV, WORKBOOK, *UNREAD):
            found += some_files(folder, suffix)
        found += [file for file in some_files(folder, LIST) if _subset_of_list(file)]
    return sorted(found)[:MAX_TABLES]


def _subset_of_list(file: Path) -> Part | None:
    """The subset in a file's name: train for ``train.txt`` and ``train_ids.csv``."""
    return subset_named(_OF_LISTS.sub("", file.stem))


def read_rows(root: Path, file: Path, names: SampleNames) -> TableRows:
    """What a table says of the samples, or why it is not used."""
    name, suffix = name_within(root, file), file.suffix.lower()
    if suffix in UNREAD:
        return unused(name, f"{suffix} is not read; {REMEDY}", is_warning=True)
    try:
        if suffix == LIST:
            return _read_list(name, file, names)
        headings, lines = read_sheet_as_table(file) if suffix == WORKBOOK else read_csv(file, REMEDY)
        id_column = _id_column(headings, lines, names)
        if not id_column:
            return _without_ids(name, headings)
    except UserError as error:
        return unused(name, str(error).removeprefix(f"{file}: "), is_warning=True)
    try:
        columns = columns_of(file, headings, lines, id_column)
    except UserError as error:  # of two columns either may be the groups
        why = f"{str(error).removeprefix(f'{file}: ')}, or move the table out of the data set's folder"
        return replace(unused(name, why), problems=[Problem("error", "unclear columns", name, why)])
    return _read_table(name, file, columns, lines, names)


def _read_list(name: str, file: Path, names: SampleNames) -> TableRows:
    """Ids, one a line; what stands behind a blank, as a mask's name, is left out."""
    part = _subset_of_list(file)
    lines = [line.strip() for line in lines_in(file)]
    found = [names.named(line, part) or names.named(line.split()[0], part) for line in lines]
    if sum(map(bool, found)) < LEAST_FRAC * len(lines) or not lines:
        return unused(name, "its lines are no images' names, so that the subset is lost", is_warning=True)
    rows = {sample.id: Row(None, None, part) for samples in found for sample in samples}
    unknown = [line for line, samples in zip(lines, found, strict=True) if not samples]
    return TableRows(name, rows, part=part, problems=_unknown(name, unknown, len(lines)))


def _without_ids(name: str, headings: Sequence[str]) -> TableRows:
    why = "no column holds the images' names"
    telling = [heading.strip() for heading in headings if as_known(heading) in _TELLING]
    if not telling:
        return unused(name, why)
    return unused(name, f"{why}, so that column {telling[0]} says nothing; add a column id with them", True)


def _read_table(
    name: str,
    file: Path,
    columns: Mapping[str, str],
    lines: Sequence[Mapping[str, str]],
    names: SampleNames,
) -> TableRows:
    part = _subset_of_list(file) if "part" not in columns else None
    if part is None and not columns.keys() & {"group", "category", "part"}:
        meant = [each for each in unused_columns(name, columns) if _may_be_meant(each)]
        return replace(unused(name, "says no group, category or part"), problems=meant)
    scope = part or subset_named(file.parent.name)
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    unknown: list[str] = []
    for line in lines:
        cells = {known: line.get(written, "").strip() for known, written in columns.items() if known}
        own, issues = subset_in(cells, columns, name)
        samples = names.named(cells["id"], own or scope)
        row = Row(cells.get("group") or None, cells.get("category") or None, own or part)
        problems += [*issues, *_add(f"{name}: {cells['id']}", samples, row, rows)]
        unknown += [] if samples else [cells["id"]]
    problems += [*_unknown(name, unknown, len(lines)), *_unused_columns(name, columns)]
    group, category = (columns.get(known, "").strip() for known in ("group", "category"))
    return TableRows(name, rows, group, category, part, problems)


def _add(where: str, samples: Sequence[Sample], row: Row, rows: dict[str, Row]) -> list[Problem]:
    """Keep what a row says of its samples; an error where another row says something else."""
    problems = []
    if len({sample.part for sample in samples}) < len(samples):
        detail = f"fits {samples[0].id} and {samples[1].id}{and_more(len(samples) - 2)}; write the folder too"
        problems.append(Problem("error", "id of several samples", where, detail))
    if any(rows.setdefault(sample.id, row) != row for sample in samples):
        detail = "several rows, which say different things of it; correct them"
        problems.append(Problem("error", "id listed twice", where, detail))
    return problems


def _may_be_meant(problem: Problem) -> bool:
    return "; call it " in problem.detail


def _unused_columns(name: str, columns: Mapping[str, str]) -> list[Problem]:
    """A warning for each column that may be meant, and a note on all others."""
    problems = unused_columns(name, columns)
    others = [each.where.removeprefix(f"{name}: ") for each in problems if not _may_be_meant(each)]
    shown = f"not used: {', '.join(others[:5])}{and_more(len(others) - 5)}"
    notes = [Problem("note", "unused columns", name, shown)] if others else []
    return [*filter(_may_be_meant, problems), *notes]


def _unknown(name: str, ids: Sequence[str], num_rows: int) -> list[Problem]:
    """A note on the rows that fit no image."""
    if not ids:
        return []
    detail = f"{len(ids)} of its {num_rows} rows fit no image (first: {ids[0][:80]}); ignored"
    return [Problem("note", "unknown ids", name, detail)]


def _id_column(headings: Sequence[str], lines: Sequence[Mapping[str, str]], names: SampleNames) -> str:
    """The heading of the column whose cells are the images' names; nothing if there is none.

    Of several that fit the one that is called so counts, else the one that fits most rows. Numbers count only
    under a heading that says that they are ids: ages are numbers too.
    """
    num_samples = len({sample.id for several in names.samples.values() for sample in several})
    best: tuple[bool, int, str] = (False, 0, "")
    for heading in headings:
        known = as_known(heading)
        if known in _TELLING:
            continue
        is_named = known == "id" or known in ID_NAMES or bool(re.search("image|file|path", known))
        cells = {line.get(heading, "").strip() for line in lines} - {""}
        if not is_named:
            cells = {cell for cell in cells if not re.fullmatch(r"[-+]?\d+([.,]\d+)?", cell)}
        fits = {sample.id for cell in cells for sample in names.named(cell)}
        if fits and len(fits) >= LEAST_FRAC * min(num_samples, len(cells)):
            best = max(best, (is_named, len(fits), heading), key=lambda each: each[:2])
    return best[2]
