"""ISIC challenges 2016, 2017 and 2018, lesion segmentation, as downloaded and unpacked.

What: dermoscopic JPEGs from several clinics, 0.5 to 30 megapixels, with one mask each: 900 + 379 (2016),
2,000 + 150 + 600 (2017), 2,594 + 100 + 1,000 (2018). Every year contains most of the year before.

Who: International Skin Imaging Collaboration. Terms: CC-0 (2016, 2017), CC BY-NC 4.0 (2018).

Layout, a folder per part (2016 has no validation part)::

    ISBI2016_ISIC_Part1_Training_Data/ISIC_0000000.jpg
    ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_0000000_Segmentation.png
    ISIC-2017_Training_Data/ISIC_0000000.jpg and ISIC_0000000_superpixels.png
    ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png
    ISIC-2017_Training_Part3_GroundTruth.csv    (optional: the diagnosis, for stratifying)
    ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg
    ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png

Quirks: superpixel images lie beside the photographs; the test folders of 2017 are named ``Test_v2``.
Which images show the same patient or lesion is not published, so every image is a group of its own.

Cite: 2016 Gutman et al., arXiv:1605.01397. 2017 Codella et al., ISBI 2018, 168-172, arXiv:1710.05006.
2018 Codella et al., arXiv:1902.03368, and Tschandl et al., Scientific Data 5, 180161.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.data.datasets.folder_files import account_by_name
from segstudy.data.datasets.pairing import image_files, pair, part_problems
from segstudy.data.datasets.tables import read_csv
from segstudy.data.samples import Dataset, Part, Problem, Sample

DESCRIPTION = (
    "an ISIC challenge's folders, such as ISIC-2017_Training_Data and ISIC-2017_Training_Part1_GroundTruth"
)


@dataclass(frozen=True)
class _Year:
    """How one challenge names its folders; the braces stand for the part."""

    images: str
    masks: str
    diagnoses: str | None
    terms: str
    citation: str


_YEARS = {
    "2016": _Year(
        "ISBI2016_ISIC_Part1_{}_Data",
        "ISBI2016_ISIC_Part1_{}_GroundTruth",
        None,
        "ISIC 2016: CC-0",
        "D. Gutman et al. Skin lesion analysis toward melanoma detection. arXiv:1605.01397, 2016",
    ),
    "2017": _Year(
        "ISIC-2017_{}_Data",
        "ISIC-2017_{}_Part1_GroundTruth",
        "ISIC-2017_{}_Part3_GroundTruth.csv",
        "ISIC 2017: CC-0",
        "N. Codella et al. Skin lesion analysis toward melanoma detection. ISBI 2018. arXiv:1710.05006",
    ),
    "2018": _Year(
        "ISIC2018_Task1-2_{}_Input",
        "ISIC2018_Task1_{}_GroundTruth",
        None,
        "ISIC 2018: CC BY-NC 4.0",
        "N. Codella et al. Skin lesion analysis toward melanoma detection 2018. arXiv:1902.03368; "
        "P. Tschandl et al. The HAM10000 dataset. Scientific Data 5, 180161, 2018",
    ),
}
IMAGE_NAME = r"ISIC_\d+"
_PART_NAMES: dict[str, Part] = {
    "Training": "train",
    "Validation": "validation",
    "Test": "test",
    "Test_v2": "test",
}


def detect(root: Path) -> bool:
    """Whether some part's images and masks are there under their official names."""
    return bool(_years(root))


def read(root: Path) -> Dataset:
    """Pair every part's images and masks; the parts are kept.

    Raises:
        UserError: the folders of two years in one place: they share images under the same ids.
    """
    years = _years(root)
    if len(years) > 1:
        raise UserError(f"{root}: holds ISIC {' and '.join(years)}; keep each year in a folder of its own")
    year = _YEARS[years[0]]
    samples: dict[str, Sample] = {}
    problems: list[Problem] = []
    for name, part in _PART_NAMES.items():
        found, issues = _read_part(root, year, name)
        problems += issues
        for sample in found:
            if sample.id in samples:
                detail = f"in the {samples[sample.id].part} part and in the {part} part; remove it from one"
                problems.append(Problem("error", "image in two parts", sample.id, detail))
            samples.setdefault(sample.id, replace(sample, part=part))
    in_order = tuple(samples[sample_id] for sample_id in sorted(samples))
    problems += part_problems(root, in_order)
    folders = [root / names.format(name) for name in _PART_NAMES for names in (year.images, year.masks)]
    used = {sample.image for sample in in_order}
    return Dataset(
        root.resolve().name,
        "isic",
        root,
        in_order,
        tuple(problems),
        year.terms,
        year.citation,
        without_mask=tuple(image for image in _images(root, year) if image not in used),
        account=account_by_name("the folders of images and masks", filter(Path.is_dir, folders), in_order),
        tables=tuple(file for name in _PART_NAMES if (file := _diagnoses_file(root, year, name))),
    )


def _years(root: Path) -> list[str]:
    return [
        name
        for name, year in _YEARS.items()
        if any(
            (root / year.images.format(part)).is_dir() and (root / year.masks.format(part)).is_dir()
            for part in _PART_NAMES
        )
    ]


def _read_part(root: Path, year: _Year, name: str) -> tuple[list[Sample], list[Problem]]:
    images, masks = root / year.images.format(name), root / year.masks.format(name)
    if images.is_dir() != masks.is_dir():
        there, missing = (images, masks) if images.is_dir() else (masks, images)
        return [], [Problem("warning", "unpaired folder", there.name, f"no folder {missing.name}; left out")]
    if not images.is_dir():
        return [], []
    samples, problems = pair(root, _named(images, IMAGE_NAME), _named(masks, r"ISIC_\d+_[Ss]egmentation"))
    diagnoses = _diagnoses_file(root, year, name)
    categories = _categories(diagnoses) if diagnoses else {}
    return [replace(sample, category=categories.get(sample.id)) for sample in samples], problems


def _diagnoses_file(root: Path, year: _Year, name: str) -> Path | None:
    """The table of a part's diagnoses; None where there is none."""
    file = root / year.diagnoses.format(name) if year.diagnoses else None
    return file if file and file.exists() else None


def _images(root: Path, year: _Year) -> list[Path]:
    """All photographs of the challenge, with or without a mask."""
    folders = [root / year.images.format(name) for name in _PART_NAMES]
    return [file for folder in folders if folder.is_dir() for file in _named(folder, IMAGE_NAME)]


def _named(folder: Path, pattern: str) -> Sequence[Path]:
    """The image files whose whole stem has this pattern: not the superpixels beside them."""
    return [file for file in image_files(folder) if re.fullmatch(pattern, file.stem)]


def _categories(file: Path) -> dict[str, str]:
    """Diagnosis by id from the 2017 table, whose columns are image_id, melanoma and seborrheic_keratosis.

    Raises:
        UserError: other columns.
    """
    names, lines = read_csv(file, "remove it")
    if not {"image_id", "melanoma", "seborrheic_keratosis"} <= set(names):
        raise UserError(f"{file}: has no columns image_id, melanoma and seborrheic_keratosis; remove it")
    return {line["image_id"]: _diagnosis(line["melanoma"], line["seborrheic_keratosis"]) for line in lines}


def _diagnosis(melanoma: str, keratosis: str) -> str:
    if melanoma.strip() in ("1", "1.0"):
        return "melanoma"
    return "seborrheic keratosis" if keratosis.strip() in ("1", "1.0") else "nevus"
