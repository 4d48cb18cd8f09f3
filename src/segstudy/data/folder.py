"""Plain folders: ``images/`` and ``masks/``, at the top or inside official parts.

Layout, one of::

    DATA/images/a.jpg              DATA/train/images/a.jpg
    DATA/masks/a.png               DATA/train/masks/a.png
    DATA/metadata.csv  (optional)  DATA/val/...   DATA/test/...   DATA/metadata.csv  (optional)

An image and its mask have the same stem, exactly; the mask's may end in ``_mask`` or ``_segmentation``.
PNG, JPEG, BMP and TIFF are read, whatever the case of the suffix; other and hidden files are not looked at.

``metadata.csv`` has a column ``id`` and any of ``group`` (patient or lesion), ``category`` and ``part``
(train, validation or test); further columns are ignored.

Ids are stems; in official parts they begin with the part's folder, as ``train/0001``, because data sets
often number each part from 1. ``metadata.csv`` may leave that beginning out.

Quirks: ``val``, ``valid`` and ``validation`` mean the same part. Folders bring no terms and no citation.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.data.pairing import image_files, pair, part_problems
from segstudy.data.samples import PARTS, Dataset, Part, Problem, Sample
from segstudy.data.tables import read_csv
from segstudy.errors import UserError

DESCRIPTION = "images/ and masks/ with equal file names, at the top or inside train/, val/, test/"
PART_FOLDERS: dict[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


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
    samples, issues = _with_metadata(root, samples)
    problems += issues
    samples.sort(key=lambda sample: sample.id)
    problems += part_problems(root, samples)
    return Dataset(root.resolve().name, "folder", root, tuple(samples), tuple(problems))


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


def _with_metadata(root: Path, samples: list[Sample]) -> tuple[list[Sample], list[Problem]]:
    file = root / "metadata.csv"
    if not file.exists():
        return samples, []
    rows, problems = _read_metadata(file)
    keys = [sample.id if sample.id in rows else sample.id.rpartition("/")[2] for sample in samples]
    described = []
    for sample, key in zip(samples, keys, strict=True):
        new, issues = _describe(sample, rows.get(key))
        described.append(new)
        problems += issues
    known = set(keys)
    problems += [
        Problem("warning", "unknown id", f"{file.name}: {key}", "no pair of that name; ignored")
        for key in rows
        if key not in known
    ]
    return described, problems


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


def _read_metadata(file: Path) -> tuple[dict[str, _Row], list[Problem]]:
    names, lines = read_csv(file, "save it as UTF-8 text with commas, a line for each sample")
    if "id" not in names:
        raise UserError(
            f"{file}: has no column id; its first line is to be id,group,category,part (any but id may lack)"
        )
    rows: dict[str, _Row] = {}
    problems = []
    for line in lines:
        cells = {name: value.strip() for name, value in line.items()}
        key = unicodedata.normalize("NFC", cells["id"])
        if key in rows:
            problems.append(
                Problem("error", "id listed twice", f"{file.name}: {key}", "remove one of the lines")
            )
        part, issue = _part(cells, file)
        problems += issue
        rows[key] = _Row(cells.get("group") or None, cells.get("category") or None, part)
    return rows, problems


def _part(cells: Mapping[str, str], file: Path) -> tuple[Part | None, list[Problem]]:
    text = cells.get("part", "").lower()
    if not text or text in PART_FOLDERS:
        return PART_FOLDERS.get(text), []
    detail = f"part {text!r} is none of train, validation, test; correct it or leave it blank"
    return None, [Problem("error", "unknown part", f"{file.name}: {cells['id']}", detail)]
