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

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.data.samples import PARTS, Dataset, Part, Problem, Sample
from segstudy.errors import UserError

DESCRIPTION = "images/ and masks/ with equal file names, at the top or inside train/, val/, test/"
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
PART_FOLDERS: dict[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_MASK_ENDING = re.compile(r"_(mask|segmentation)$", re.IGNORECASE)


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


def image_files(folder: Path) -> list[Path]:
    """The visible PNG, JPEG, BMP and TIFF files directly in a folder, sorted."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def pair(root: Path, images: Sequence[Path], masks: Sequence[Path]) -> tuple[list[Sample], list[Problem]]:
    """Pair images with masks by exact stem; a mask's may have an ending.

    Args:
        root: what paths in problems are relative to.
        images: files.
        masks: files.

    Returns:
        Samples sorted by id, each its own group, and what could not be paired.
    """
    pictures = _by_stem(images)
    truths = _masks_by_stem(masks, pictures.keys())
    samples: list[Sample] = []
    problems: list[Problem] = []
    for stem in sorted(pictures.keys() | truths.keys()):
        found, truth = pictures.get(stem, []), truths.get(stem, [])
        if len(found) == 1 and len(truth) == 1:
            samples.append(Sample(stem, found[0], truth[0], group=stem))
        else:
            problems += _unpaired(root, found, truth)
    return samples, problems


def _by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by stem, whose accents are written the same way whatever system the files come from."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        found[unicodedata.normalize("NFC", file.stem)].append(file)
    return found


def _masks_by_stem(masks: Iterable[Path], images: Collection[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for stem, files in _by_stem(masks).items():
        found[stem if stem in images else _MASK_ENDING.sub("", stem)] += files
    return found


def _unpaired(root: Path, images: list[Path], masks: list[Path]) -> list[Problem]:
    def inside(files: list[Path]) -> str:
        return ", ".join(file.relative_to(root).as_posix() for file in files)

    problems = []
    if len(images) > 1:
        problems.append(
            Problem(
                "error",
                "two images of one name",
                inside(images),
                "which is meant? Remove or rename the others",
            )
        )
    if len(masks) > 1:
        problems.append(
            Problem(
                "error",
                "two masks for one image",
                inside(masks),
                "which is meant? Remove or rename the others",
            )
        )
    if not masks:
        problems.append(
            Problem("warning", "unpaired image", inside(images), "no mask of that name; left out")
        )
    if not images:
        problems.append(Problem("warning", "unpaired mask", inside(masks), "no image of that name; left out"))
    return problems


def part_problems(root: Path, samples: Sequence[Sample]) -> list[Problem]:
    """What is odd about a data set's official parts: one is missing, or a sample is in none."""
    there = {sample.part for sample in samples if sample.part}
    absent = [part for part in PARTS if part not in there]
    if not there:
        return []
    problems = [
        Problem("warning", "in no part", sample.id, "the other samples are in official parts; it is not used")
        for sample in samples
        if sample.part is None
    ]
    if absent:
        remedy = "cut from train" if "train" in there else "give shares, as in --set split=50/25/25"
        detail = f"no official {' and no official '.join(absent)} part: {remedy}"
        problems.append(Problem("note", "missing part", root.resolve().name, detail))
    return problems


def _with_metadata(root: Path, samples: list[Sample]) -> tuple[list[Sample], list[Problem]]:
    file = root / "metadata.csv"
    if not file.is_file():
        return samples, []
    rows, problems = _read_metadata(file)
    used: set[str] = set()
    described: list[Sample] = []
    for sample in samples:
        key = sample.id if sample.id in rows else sample.id.rpartition("/")[2]
        if key in rows:
            used.add(key)
            sample, issues = _describe(sample, rows[key])  # noqa: PLW2901
            problems += issues
        else:
            problems.append(Problem("warning", "no metadata", sample.id, "metadata.csv does not list it"))
        described.append(sample)
    problems += [
        Problem("warning", "unknown id", f"{file.name}: {key}", "no pair of that name; ignored")
        for key in rows
        if key not in used
    ]
    return described, problems


def _describe(sample: Sample, row: _Row) -> tuple[Sample, list[Problem]]:
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
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); save it as UTF-8 text with commas") from None
    heading = text.partition("\n")[0]
    lines = csv.DictReader(
        text.splitlines(), delimiter=";" if heading.count(";") > heading.count(",") else ","
    )
    if "id" not in (lines.fieldnames or []):
        raise UserError(
            f"{file}: has no column id; its first line is to be id,group,category,part (any but id may lack)"
        )
    rows: dict[str, _Row] = {}
    problems = []
    for line in lines:
        cells = {name: (value or "").strip() for name, value in line.items() if isinstance(name, str)}
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
