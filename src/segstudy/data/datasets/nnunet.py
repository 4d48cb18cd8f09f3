"""nnU-Net's raw data sets, version 2, and those of the Medical Segmentation Decathlon: images or volumes.

Layout::

    Dataset001_Lesions/dataset.json
    Dataset001_Lesions/imagesTr/lesion_001_0000.png      labelsTr/lesion_001.png
    Dataset001_Lesions/imagesTs/lesion_900_0000.png      labelsTs/lesion_900.png  (optional)
    Task09_Spleen/imagesTr/spleen_2.nii.gz               labelsTr/spleen_2.nii.gz

``_0000`` is the number of the channel; a colour photograph is one file. Masks hold class numbers, which
``dataset.json`` names. ``labelsTr`` is the train part and ``labelsTs``, where it is there, the test part.
Each slice of a volume is a sample, see ``frames``.

Quirks: cases of several channels (``_0001``) are refused: three grey files are no photograph.

Cite: F. Isensee et al. nnU-Net: a self-configuring method for deep learning-based biomedical image
segmentation. Nature Methods 18, 203-211, 2021.
"""

import re
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.data.datasets.annotation_files import named, read_json
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.image_formats import stem_of
from segstudy.data.samples import Dataset, Part, Problem, Sample

DESCRIPTION = "an nnU-Net data set: imagesTr/NAME_0000.png, labelsTr/NAME.png (or .nii.gz) and dataset.json"
PARTS: dict[str, Part] = {"Tr": "train", "Ts": "test"}
CHANNEL = re.compile(r"_([0-9]{4})$")


def detect(root: Path) -> bool:
    """Whether the folders of the training part are there."""
    return (root / "imagesTr").is_dir() and (root / "labelsTr").is_dir()


def read(root: Path) -> Dataset:
    """Pair images with masks by the name before the channel's number.

    Raises:
        UserError: several channels.
    """
    samples: list[Sample] = []
    problems: list[Problem] = []
    has_test = (root / "labelsTs").is_dir()
    for ending, part in PARTS.items():
        if ending == "Tr" or has_test:
            found, issues = _read_part(root, ending, part if has_test else None)
            samples += found
            problems += issues
    if not has_test and (root / "imagesTs").is_dir():
        detail = f"{counted(len(_images(root, 'Ts')), 'image')} without labelsTs/; left out"
        problems.append(Problem("warning", "images without masks", "imagesTs", detail))
    images = [file for ending in PARTS for file in _images(root, ending)]
    return dataset_of(root, "nnunet", samples, problems, images, _class_names(root / "dataset.json"))


def _images(root: Path, ending: str) -> list[Path]:
    folder = root / f"images{ending}"
    return image_files(folder) if folder.is_dir() else []


def _read_part(root: Path, ending: str, part: Part | None) -> tuple[list[Sample], list[Problem]]:
    images: dict[str, Path] = {}
    several: dict[str, list[Path]] = {}
    for file in _images(root, ending):
        case = CHANNEL.sub("", stem_of(file.name))
        several.setdefault(case, []).append(file)
        images[case] = file
    if faulty := [case for case, files in several.items() if len(files) > 1]:
        raise UserError(
            f"{root}: nnU-Net cases of several channels, a file each: {named(faulty)}; images must be "
            "one file "
            "each: write the channels that you want as one RGB image NAME_0000.png"
        )
    masks = {stem_of(file.name): file for file in image_files(root / f"labels{ending}")}
    samples, problems = [], []
    for case in sorted(images.keys() | masks.keys()):
        if case in images and case in masks:
            samples.append(Sample(case, images[case], masks[case], group=case, part=part))
            continue
        file = images.get(case) or masks[case]
        kind, other = ("image", "mask") if case in images else ("mask", "image")
        where = file.relative_to(root).as_posix()
        problems.append(Problem("warning", f"unpaired {kind}", where, f"no {other} of that name; left out"))
    return samples, problems


def _class_names(file: Path) -> tuple[tuple[int | str, str], ...]:
    """Number and name of each class; a region of several numbers names each."""
    if not file.is_file():
        return ()
    labels: Any = read_json(file).get("labels")
    if not isinstance(labels, dict):
        return ()
    names: list[tuple[int | str, str]] = []
    for name, numbers in labels.items():
        for number in numbers if isinstance(numbers, list) else [numbers]:
            if isinstance(number, int) and number:
                names.append((number, str(name)))
            elif isinstance(number, str) and name.isdecimal() and int(name):  # version 1 has them reversed
                names.append((int(name), number))
    return tuple(names)
