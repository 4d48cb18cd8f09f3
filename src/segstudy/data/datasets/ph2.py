"""PH2: 200 dermoscopic images of melanocytic lesions, outlined by an expert.

What: 761-769 x 553-577 pixels, RGB; 80 common nevi, 80 atypical nevi, 40 melanomas; one lesion each,
20x magnification. Segmented by hand by a dermatologist.

Who: Universidade do Porto, Técnico Lisboa, Hospital Pedro Hispano in Matosinhos.

Terms: research and education only; may not be republished.

Layout, as published::

    PH2Dataset/
      PH2_dataset.xlsx                  diagnosis in three columns marked with X
      PH2_dataset.txt                   the same, columns separated by ||  (not in every copy)
      PH2 Dataset images/IMD002/
        IMD002_Dermoscopic_Image/IMD002.bmp
        IMD002_lesion/IMD002_lesion.bmp
        IMD002_roi/                     colour regions, not used

Quirks: 199 masks have 1 bit, ``IMD002_lesion.bmp`` is 24-bit RGB. IMD199 and IMD200 show the same lesion
and are one group. Some copies in circulation carry grey JPEG masks beside the BMP; only the exact names
above are read.

Cite: T. Mendonça, P. M. Ferreira, J. S. Marques, A. R. S. Marcal, J. Rozeira. PH2 - A dermoscopic image
database for research and benchmarking. EMBC 2013, 5437-5440.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from segstudy.core.input_files import MB, read_text
from segstudy.data.datasets.folder_files import account_by_name
from segstudy.data.datasets.tables import read_sheet
from segstudy.data.samples import Dataset, Problem, Sample

MAX_TEXT_BYTES = 2 * MB  # the published one has 0.04 MB

DESCRIPTION = "PH2 as published: PH2 Dataset images/IMD*/IMD*_Dermoscopic_Image and IMD*_lesion"
TERMS = "PH2: research and education only; may not be republished"
CITATION = (
    "T. Mendonça et al. PH2 - A dermoscopic image database for research and benchmarking. "
    "EMBC 2013, 5437-5440. doi:10.1109/EMBC.2013.6610779"
)
IMAGES_FOLDER = "PH2 Dataset images"
SAME_LESION = {"IMD200": "IMD199"}
GROUPS_FROM = "the reader, which knows of one lesion taken twice"
CATEGORIES = ("common nevus", "atypical nevus", "melanoma")


def detect(root: Path) -> bool:
    """Whether ``root`` is the archive's folder, its folder of images, or the folder around them."""
    return _images_folder(root) is not None


def read(root: Path) -> Dataset:
    """Pair the images with their masks and look the diagnoses up."""
    folder = _images_folder(root)
    assert folder is not None, "read() comes after detect()"
    problems: list[Problem] = []
    ids = [lesion.name for lesion in _lesion_folders(folder)]
    categories = _categories(folder, problems)
    samples = []
    without_mask = []
    for sample_id in ids:
        image = folder / sample_id / f"{sample_id}_Dermoscopic_Image" / f"{sample_id}.bmp"
        mask = folder / sample_id / f"{sample_id}_lesion" / f"{sample_id}_lesion.bmp"
        missing = _missing(root, image, mask)
        if missing:
            problems.append(missing)
            without_mask += [image] if image.is_file() else []
            continue
        group = SAME_LESION.get(sample_id, sample_id)
        samples.append(Sample(sample_id, image, mask, group, categories.get(sample_id)))
    problems += _without_category(samples, categories)
    return Dataset(
        root.resolve().name,
        "ph2",
        root,
        tuple(samples),
        tuple(problems),
        TERMS,
        CITATION,
        GROUPS_FROM,
        group_noun="lesion",
        without_mask=tuple(without_mask),
        account=account_by_name(IMAGES_FOLDER, [folder], samples),
        tables=_tables(folder),
    )


def _images_folder(root: Path) -> Path | None:
    for folder in (root / IMAGES_FOLDER, root / "PH2Dataset" / IMAGES_FOLDER, root):
        if folder.is_dir() and _lesion_folders(folder):
            return folder
    return None


def _lesion_folders(folder: Path) -> list[Path]:
    """``IMD002`` and its like, sorted; they hold an image, a mask or both."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if re.fullmatch(r"IMD\d{3}", entry.name)
        and (
            (entry / f"{entry.name}_Dermoscopic_Image").is_dir() or (entry / f"{entry.name}_lesion").is_dir()
        )
    )


def _missing(root: Path, image: Path, mask: Path) -> Problem | None:
    if image.is_file() and mask.is_file():
        return None
    kind, file, other = ("mask", image, mask) if image.is_file() else ("image", mask, image)
    if not file.is_file():
        return Problem("warning", "empty folder", _inside(root, image.parents[1]), "neither image nor mask")
    unpaired = "image" if kind == "mask" else "mask"
    return Problem(
        "warning", f"unpaired {unpaired}", _inside(root, file), f"no {kind} {_inside(root, other)}; left out"
    )


def _inside(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _tables(folder: Path) -> tuple[Path, Path]:
    return folder.parent / "PH2_dataset.xlsx", folder.parent / "PH2_dataset.txt"


def _categories(folder: Path, problems: list[Problem]) -> dict[str, str]:
    """Diagnosis by id, from the spreadsheet or else the text file; a problem where there is none."""
    for file in filter(Path.exists, _tables(folder)):
        try:
            found = _diagnoses(read_sheet(file) if file.suffix == ".xlsx" else _text_rows(file))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            problems.append(Problem("warning", "unreadable diagnoses", file.name, reason))
            continue
        if found:
            return found
        problems.append(Problem("warning", "unreadable diagnoses", file.name, "no diagnosis found in it"))
    problems.append(
        Problem(
            "warning",
            "no diagnoses",
            "PH2_dataset.xlsx",
            "neither it nor PH2_dataset.txt tells the diagnoses; the split cannot be stratified by them",
        )
    )
    return {}


def _text_rows(file: Path) -> list[list[str]]:
    text = read_text(file, MAX_TEXT_BYTES)
    return [[cell.strip() for cell in line.strip().strip("|").split("||")] for line in text.splitlines()]


def _diagnoses(rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Read the columns named in the heading: three with an X, or ``Clinical Diagnosis`` with 0, 1 or 2."""
    found: dict[str, str] = {}
    columns: dict[str, int] = {}
    kind: Literal["marks", "number"] = "marks"
    for row in rows:
        cells = [str(cell).strip() for cell in row]
        lower = [cell.lower() for cell in cells]
        if {"common nevus", "melanoma"} <= set(lower):
            columns, kind = {name: lower.index(name) for name in CATEGORIES if name in lower}, "marks"
        elif "name" in lower and "clinical diagnosis" in lower:
            columns, kind = {"number": lower.index("clinical diagnosis")}, "number"
        elif columns and cells and re.fullmatch(r"IMD\d{3}", cells[0]):
            category = _category(cells, columns, kind)
            if category:
                found[cells[0]] = category
    return found


def _category(cells: Sequence[str], columns: dict[str, int], kind: str) -> str | None:
    if kind == "number":
        value = cells[columns["number"]] if columns["number"] < len(cells) else ""
        return CATEGORIES[int(value)] if value in ("0", "1", "2") else None
    marked = [name for name, i in columns.items() if i < len(cells) and cells[i].upper() == "X"]
    return marked[0] if len(marked) == 1 else None


def _without_category(samples: Sequence[Sample], categories: dict[str, str]) -> list[Problem]:
    if not categories:
        return []
    return [
        Problem("warning", "no diagnosis", sample.id, "the diagnosis file does not list it")
        for sample in samples
        if sample.category is None
    ]
