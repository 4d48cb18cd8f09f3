"""Plain folders: ``images/`` and ``masks/``, at the top or inside official subsets.

Layout, one of::

    DATA/images/a.jpg              DATA/train/images/a.jpg        DATA/images/train/a.jpg
    DATA/masks/a.png               DATA/train/masks/a.png         DATA/masks/train/a.png
    DATA/metadata.csv  (optional)  DATA/val/...   DATA/test/...   DATA/images/val/...

Names of these folders are understood in any case; subsets may have any of the usual words (``subsets``), such
as ``training``, ``valid``, ``dev``, ``holdout``. Subfolders of images and masks are read too.

An image and its mask have the same path in their folders, without suffix; the mask's name may end in
``_mask`` or ``_segmentation``. An image may have several masks, one per object (``mask_names``): they are
merged.

``metadata.csv`` has a column ``id`` and any of ``group`` (or ``patient``, ``patient_id``, ``subject``,
``subject_id``, ``lesion_id`` and others), ``category`` and ``part`` (or ``split``, ``subset``, ``set``,
``partition``), see ``metadata``. Each subset's folder may have its own. Further columns are not used, which
``check`` says. Without a column for groups, subfolders whose names say that they are patients are the groups.

Ids are those paths; in official subsets they begin with the subset's folder, as ``train/0001``, because data
sets often number each subset from 1. ``metadata.csv`` may leave that beginning out, and may name files.

Quirks: every file in these folders is used, or counted with the reason. There are no terms and no citation.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.data.datasets.folder_files import FolderFiles, account, files_in, passed_over_problems
from segstudy.data.datasets.folder_groups import FolderGroups, grouped_by_folder
from segstudy.data.datasets.metadata import (
    Table,
    group_problems,
    metadata_file,
    read_metadata,
    ungrouped,
    with_metadata,
)
from segstudy.data.datasets.paired_folders import has_pairs, paired_folders, subfolders
from segstudy.data.datasets.pairing import pair_folders, part_problems
from segstudy.data.datasets.subsets import is_subset_word, subsets_of
from segstudy.data.datasets.unused_folders import UnusedFolders, unused_folders
from segstudy.data.samples import PARTS, Dataset, Part, Problem, Sample
from segstudy.data.sources import files_of

DESCRIPTION = "images/ and masks/ with equal file names, at the top or inside train/, val/, test/"


@dataclass
class _Found:
    """What reading brings up, folder by folder.

    Attributes:
        samples: as their folders say.
        problems: of pairing, and of tables.
        without_mask: images that are no sample's.
        files: all that lie in the folders.
        tables: each with the samples that it describes.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    without_mask: list[Path] = field(default_factory=list)
    files: list[FolderFiles] = field(default_factory=list)
    tables: list[tuple[Table, list[Sample]]] = field(default_factory=list)


def detect(root: Path) -> bool:
    """Whether there is ``images/`` beside ``masks/``, here or in a subset's folder."""
    return has_pairs(root) or any(has_pairs(each) for each in subfolders(root) if is_subset_word(each.name))


def read(root: Path) -> Dataset:
    """Pair images with masks by their paths and apply ``metadata.csv``.

    Raises:
        UserError: both layouts at once, two folders for one subset, or a metadata.csv without ids.
    """
    subsets = _subset_folders(root)
    if subsets and has_pairs(root):
        first = next(iter(subsets))
        raise UserError(
            f"{root}: holds images/ as well as {first}/images/; leave one of the two layouts there"
        )
    found = _Found()
    for name, part in subsets.items():
        _read_pairs(root, root / name, found, name, part)
    if not subsets:
        _read_pairs(root, root, found)
    unused = unused_folders(root, [root / name for name in subsets] or [root])
    groups = grouped_by_folder(found.samples)
    found.samples = groups.samples
    _read_tables(root, subsets, found)
    return _dataset(root, found, groups, unused)


def _subset_folders(root: Path) -> dict[str, Part]:
    """The folders of official subsets, in the order train, validation, test."""
    names = [each.name for each in subfolders(root) if is_subset_word(each.name) and has_pairs(each)]
    found = subsets_of(names, str(root))
    return dict(sorted(found.items(), key=lambda item: PARTS.index(item[1])))


def _read_pairs(root: Path, folder: Path, found: _Found, name: str = "", part: Part | None = None) -> None:
    """Read the images and masks of one folder, which is that of a subset if it has a name."""
    pairs = paired_folders(folder)
    assert pairs.images is not None
    assert pairs.masks is not None
    images, masks = files_in(pairs.images), files_in(pairs.masks)
    paired = pair_folders(root, images.images, masks.images, (pairs.images, pairs.masks))
    if name:
        found.samples += [_in_subset(sample, f"{name}/{sample.id}", part) for sample in paired.samples]
    else:
        found.samples += _in_inner_subsets(paired.samples, str(pairs.images))
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


def _dataset(root: Path, found: _Found, groups: FolderGroups, unused: UnusedFolders) -> Dataset:
    samples = sorted(found.samples, key=lambda sample: sample.id)
    columns = list(dict.fromkeys(table.group_column for table, _ in found.tables if table.group_column))
    problems = [*found.problems, *unused.problems, *part_problems(root, samples)]
    if not groups.noun or columns:
        problems += [each for table, described in found.tables for each in group_problems(described, table)]
    if not columns:
        problems += groups.problems
    used = [file for sample in samples for file in (sample.image, *files_of(sample.mask))]
    return Dataset(
        root.resolve().name,
        "folder",
        root,
        tuple(samples),
        tuple(problems),
        groups_from=_from_columns(columns) or ("the names of subfolders" if groups.noun else ""),
        group_noun=_group_noun(found.tables) or groups.noun or "group",
        categories_from=_from_columns([table.category_column for table, _ in found.tables]),
        ungrouped=_ungrouped(found, groups, columns),
        without_mask=tuple(sorted([*found.without_mask, *unused.without_mask])),
        account=account("images/ and masks/", [*found.files, *unused.files], used, unused.reasons),
    )


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
