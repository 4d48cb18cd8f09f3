"""Tables of a data set besides ``metadata.csv``: used if they say groups, categories or subsets, else named.

People keep ``patients.csv``, ``train.csv`` and ``test.csv``, ``labels.tsv``, ``clinical.xlsx`` or lists such
as ``train.txt``. The column with the ids is the one whose cells are the images' names; the other columns are
known by the same headings as in ``metadata.csv``. Tables that contradict one another are an error.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from segstudy.core.quantities import and_more
from segstudy.data.datasets.folder_groups import NO_GROUPS
from segstudy.data.datasets.metadata import GROUP_NOUNS, NO_GROUP_COLUMN, Row, as_known
from segstudy.data.datasets.pairing import IN_NO_PART, MISSING_PART, part_problems
from segstudy.data.datasets.table_rows import TableRows, read_rows, sample_names, table_files
from segstudy.data.samples import Dataset, Problem
from segstudy.data.sources import files_of, name_within

DISAGREE = "tables disagree"  # kind of a problem


def with_tables(dataset: Dataset) -> Dataset:
    """Return the data set with the groups, categories and subsets that further tables say.

    Tables that say nothing of the kind are named in the account; where one seems to say groups or subsets but
    fits no image, or cannot be read, a warning names it.
    """
    own = {*dataset.tables, *(file for sample in dataset.samples for file in files_of(sample.mask))}
    files = [file for file in table_files(dataset.root) if file not in own]
    if not files or not dataset.samples:
        return dataset
    names = sample_names(dataset)
    tables = _without_lone_lists(
        [read_rows(dataset.root, file, names) for file in files], len(dataset.samples)
    )
    used = [table for table in tables if not table.unused]
    found = _combined(dataset, used) if used else dataset
    unused = tuple((table.name, table.unused) for table in tables if table.unused)
    problems = [problem for table in tables for problem in table.problems]
    account = replace(found.account, unused_tables=unused) if found.account else None
    return replace(found, problems=(*found.problems, *problems), account=account)


def _without_lone_lists(tables: Sequence[TableRows], num_samples: int) -> list[TableRows]:
    """A file of one subset, without any of another, says nothing of subsets."""
    if len({part for table in tables for part in table.values("part").values()}) > 1:
        return list(tables)
    return [_without_part(table, num_samples) if table.part else table for table in tables]


def _without_part(table: TableRows, num_samples: int) -> TableRows:
    if len(table.rows) == num_samples:
        return table.without_part("lists all images")
    why = (
        f"lists {len(table.rows)} of {num_samples} images as {table.part}, and no list says what the others "
        "are; add a list of each subset, or move it out of the data set's folder"
    )
    return table.without_part(why, is_warning=True)


# What several tables say together


def _combined(dataset: Dataset, used: Sequence[TableRows]) -> Dataset:
    base = _of_reader(dataset)
    tables = [base, *used]
    problems = [each for of in ("group", "category", "part") for each in _disagreements(tables, of)]
    values = {of: _first_values(tables, of) for of in ("group", "category", "part")}
    grouping = [each for each in used if each.values("group")]
    samples = tuple(
        replace(
            sample,
            group=values["group"].get(sample.id, sample.group),
            category=values["category"].get(sample.id, sample.category),
            part=values["part"].get(sample.id, sample.part),  # type: ignore[arg-type]
        )
        for sample in dataset.samples
    )
    kinds = {IN_NO_PART, MISSING_PART} | ({NO_GROUPS, NO_GROUP_COLUMN} if grouping else set())
    kept = [problem for problem in dataset.problems if problem.kind not in kinds]
    found = replace(
        dataset,
        samples=samples,
        problems=(*kept, *problems, *part_problems(dataset.root, samples)),
        categories_from=dataset.categories_from or _columns(used, lambda table: table.category_column),
    )
    return _with_groups(found, base, grouping, values["group"]) if grouping else found


def _of_reader(dataset: Dataset) -> TableRows:
    """What the reader knows already, from its own tables and folders."""
    has_groups = bool(dataset.groups_from)
    rows = {
        sample.id: Row(
            sample.group if has_groups and sample.id not in dataset.ungrouped else None,
            sample.category,
            sample.part,
        )
        for sample in dataset.samples
    }
    tables = [name_within(dataset.root, file) for file in dataset.tables]
    return TableRows(tables[0] if tables else "the folders", rows)


def _first_values(tables: Iterable[TableRows], of: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for table in tables:
        found = table.values(of) | found
    return found


def _disagreements(tables: Sequence[TableRows], of: str) -> list[Problem]:
    """An error for each two tables that say different things of one sample.

    Groups may have other names in another table, if both list all the same samples and put the same
    together.
    """
    problems = []
    for i, one in enumerate(tables):
        for other in tables[i + 1 :]:
            mine, theirs = one.values(of), other.values(of)
            common = [sample_id for sample_id in mine if sample_id in theirs]
            differing = [sample_id for sample_id in common if mine[sample_id] != theirs[sample_id]]
            if not differing or (of == "group" and mine.keys() == theirs.keys() and _same_sets(mine, theirs)):
                continue
            first = differing[0]
            detail = (
                f"{of} of {first}: {mine[first]} in {one.name}, {theirs[first]} in {other.name}"
                f"{and_more(len(differing) - 1)}; correct one of them, rename its column, or move it out of "
                "the data set's folder"
            )
            problems.append(Problem("error", DISAGREE, f"{one.name}, {other.name}", detail))
    return problems


def _same_sets(mine: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    pairs = {(mine[sample_id], theirs[sample_id]) for sample_id in mine}
    return len(pairs) == len(set(mine.values())) == len(set(theirs.values()))


def _with_groups(
    dataset: Dataset, base: TableRows, grouping: Sequence[TableRows], groups: Mapping[str, str]
) -> Dataset:
    missed = [sample.id for sample in dataset.samples if sample.id not in groups]
    problems = []
    if missed:
        detail = (
            f"{len(missed)} of {len(dataset.samples)} pairs have no group in it (first: {missed[0]}), so "
            "that each counts as a patient of its own; add them"
        )
        problems.append(Problem("warning", "no group", grouping[0].name, detail))
    own = dataset.groups_from if base.values("group") else ""
    columns = _columns(grouping, lambda table: table.group_column)
    nouns = Counter(GROUP_NOUNS.get(as_known(table.group_column), "group") for table in grouping)
    return replace(
        dataset,
        problems=(*dataset.problems, *problems),
        groups_from=" and ".join(filter(None, (own, columns))),
        group_noun=dataset.group_noun if own else nouns.most_common(1)[0][0],
        ungrouped=frozenset(missed),
    )


def _columns(tables: Iterable[TableRows], column: Callable[[TableRows], str]) -> str:
    named = [f"column `{column(table)}` of {table.name}" for table in tables if column(table)]
    return " and ".join(named)
