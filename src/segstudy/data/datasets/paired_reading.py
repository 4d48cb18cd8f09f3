"""Reading pairs of folders, of images and of masks: what the readers of plain files share.

Every file in these folders is used, or counted with the reason; ``metadata.csv`` gives groups, categories and
subsets.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.data.datasets.folder_files import FolderFiles, account, passed_over_problems
from segstudy.data.datasets.folder_groups import FolderGroups, grouped_by_folder
from segstudy.data.datasets.metadata import (
    Table,
    group_problems,
    metadata_file,
    read_metadata,
    ungrouped,
    with_metadata,
)
from segstudy.data.datasets.pairing import pair_folders, part_problems
from segstudy.data.datasets.rival_folders import rival_folders
from segstudy.data.datasets.subsets import subsets_of
from segstudy.data.datasets.unused_folders import UnusedFolders
from segstudy.data.samples import Dataset, Part, Problem, Sample, Severity
from segstudy.data.sources import files_of


@dataclass(frozen=True)
class Place:
    """A folder of images and the folder of their masks.

    Attributes:
        images, masks: their files; both of one folder where images and masks lie side by side.
        name: what the ids begin with, such as ``train``; mostly nothing.
        part: the official subset that they are.
    """

    images: FolderFiles
    masks: FolderFiles
    name: str = ""
    part: Part | None = None


@dataclass
class _Found:
    """What reading brings up, folder by folder.

    Attributes:
        samples: as their folders say.
        problems: of pairing, and of tables.
        without_mask: images that are no sample's.
        files: all that lie in the folders.
        tables: each with the samples that it describes.
        table_files: where they are.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    without_mask: list[Path] = field(default_factory=list)
    files: list[FolderFiles] = field(default_factory=list)
    tables: list[tuple[Table, list[Sample]]] = field(default_factory=list)
    table_files: list[Path] = field(default_factory=list)


def read_places(
    root: Path, reader: str, places: Sequence[Place], unused: UnusedFolders | None = None
) -> Dataset:
    """Pair the files of all places and apply ``metadata.csv``.

    Args:
        root: of the data set.
        reader: its name.
        places: with a name each, or one without.
        unused: what lies in folders that are not read.

    Raises:
        UserError: two folders for one subset, or a metadata.csv without ids.
    """
    found = _Found()
    for place in places:
        _read_pairs(root, place, found)
    found.problems += _rivals(root, reader, places)
    groups = grouped_by_folder(found.samples)
    found.samples = groups.samples
    _read_tables(root, [place.name for place in places if place.name], found)
    return _dataset(root, reader, found, groups, unused or UnusedFolders())


def _rivals(root: Path, reader: str, places: Sequence[Place]) -> list[Problem]:
    """Folders beside the masks that may be meant; ``masks/`` is plainer than any other name."""
    used = [files.folder for place in places for files in (place.images, place.masks)]
    severity: Severity = "warning" if reader == "folder" else "error"
    return [
        problem
        for place in places
        if place.masks.folder != place.images.folder
        for problem in rival_folders(root, place.masks.folder, place.images.images, used, severity)
    ]


def _read_pairs(root: Path, place: Place, found: _Found) -> None:
    images, masks = place.images, place.masks
    paired = pair_folders(root, images.images, masks.images, (images.folder, masks.folder))
    if place.name:
        found.samples += [
            _in_subset(sample, f"{place.name}/{sample.id}", place.part) for sample in paired.samples
        ]
    else:
        found.samples += _in_inner_subsets(paired.samples, str(images.folder))
    found.problems += paired.problems + passed_over_problems(root, (images, masks))
    found.without_mask += paired.without_mask
    found.files += [images, masks]


def _in_subset(sample: Sample, sample_id: str, part: Part | None) -> Sample:
    return replace(sample, id=sample_id, group=sample_id, part=part)


def _in_inner_subsets(samples: Sequence[Sample], where: str) -> list[Sample]:
    """Samples whose outermost subfolder, if that is a word for a subset, says which they are in."""
    outermost = [sample.id.split("/")[0] if "/" in sample.id else "" for sample in samples]
    subsets = subsets_of(set(outermost), where)
    return [replace(sample, part=subsets.get(name)) for sample, name in zip(samples, outermost, strict=True)]


def _read_tables(root: Path, subsets: Collection[str], found: _Found) -> None:
    """Apply ``metadata.csv`` of the data set, or of each subset.

    Raises:
        UserError: both.
    """
    top = metadata_file(root)
    inner = {name: file for name in subsets if (file := metadata_file(root / name))}
    if top and inner:
        first = next(iter(inner.values())).relative_to(root).as_posix()
        raise UserError(f"{root}: holds {top.name} as well as {first}; merge them into one of the two")
    for name, file in ({"": top} if top else inner).items():
        _read_table(root, file, f"{name}/" if name else "", found)


def _read_table(root: Path, file: Path, prefix: str, found: _Found) -> None:
    samples = [sample for sample in found.samples if sample.id.startswith(prefix)]
    table = read_metadata(root, file, [sample.id for sample in samples])
    described, problems = with_metadata(samples, table)
    new = {sample.id: sample for sample in described}
    found.samples = [new.get(sample.id, sample) for sample in found.samples]
    found.problems += problems
    found.tables.append((table, described))
    found.table_files.append(file)


def _dataset(root: Path, reader: str, found: _Found, groups: FolderGroups, unused: UnusedFolders) -> Dataset:
    samples = sorted(found.samples, key=lambda sample: sample.id)
    columns = list(dict.fromkeys(table.group_column for table, _ in found.tables if table.group_column))
    problems = [*found.problems, *unused.problems, *part_problems(root, samples)]
    if not groups.noun or columns:
        problems += [each for table, described in found.tables for each in group_problems(described, table)]
    if not columns:
        problems += groups.problems
    used = [file for sample in samples for file in (*files_of(sample.image), *files_of(sample.mask))]
    return Dataset(
        root.resolve().name,
        reader,
        root,
        tuple(samples),
        tuple(problems),
        groups_from=_from_columns(columns) or ("the names of subfolders" if groups.noun else ""),
        group_noun=_group_noun(found.tables) or groups.noun or "group",
        categories_from=_from_columns([table.category_column for table, _ in found.tables]),
        ungrouped=_ungrouped(found, groups, columns),
        without_mask=tuple(sorted([*found.without_mask, *unused.without_mask])),
        account=account(_folders(root, found), [*found.files, *unused.files], used, unused.reasons),
        tables=tuple(found.table_files),
    )


def _folders(root: Path, found: _Found) -> str:
    """What the folders are called that were read."""
    names = dict.fromkeys(files.folder.name if files.folder != root else "." for files in found.files)
    return " and ".join(f"{name}/" for name in list(names)[:2])


def _from_columns(columns: Sequence[str]) -> str:
    named = dict.fromkeys(f"`{column}`" for column in columns if column)
    return f"column{'s' if len(named) > 1 else ''} {' and '.join(named)}" if named else ""


def _group_noun(tables: Sequence[tuple[Table, Sequence[Sample]]]) -> str:
    return next((table.group_noun for table, _ in tables if table.group_column), "")


def _ungrouped(found: _Found, groups: FolderGroups, columns: Sequence[str]) -> frozenset[str]:
    """Ids of the samples of which neither a table nor a folder's name says the group."""
    if groups.noun and not columns:
        return groups.ungrouped
    listed = {sample.id for _, described in found.tables for sample in described}
    missed = frozenset().union(*(ungrouped(described, table) for table, described in found.tables))
    if columns:  # of one subset, perhaps, and not of another
        missed |= {sample.id for sample in found.samples} - listed
    return missed & groups.ungrouped if groups.noun else missed
