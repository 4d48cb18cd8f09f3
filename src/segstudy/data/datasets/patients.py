"""Groups from DICOM files: images of one patient, or of one examination, are a group.

Groups are numbered in the order of the samples, as ``patient-001``: identifiers are written nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.core.input_files import open_regular
from segstudy.core.quantities import counted
from segstudy.data.decoding_limits import ExcessError
from segstudy.data.dicom_files import read_elements, text_of
from segstudy.data.image_errors import FormatError
from segstudy.data.image_formats import FORMATS, format_of, without_package
from segstudy.data.samples import Dataset, Problem
from segstudy.data.sources import first_file


@dataclass(frozen=True, slots=True)
class Identity:
    """An element whose value images of one group share.

    Attributes:
        element: its keyword.
        noun: what the group is.
    """

    element: str
    noun: str


IDENTITIES = (Identity("PatientID", "patient"), Identity("StudyInstanceUID", "examination"))


def with_patients(dataset: Dataset) -> Dataset:
    """Let the images of a patient be a group, where all are DICOM files and nothing else says the groups."""
    files = [first_file(sample.image) for sample in dataset.samples]
    own_groups = all(sample.id.startswith(sample.group) for sample in dataset.samples)
    if dataset.groups_from or not own_groups or not _are_dicom(files):
        return dataset
    values = [_values(file) for file in files]
    for i, identity in enumerate(IDENTITIES):
        found = [each[i] for each in values]
        if all(found) and len(set(found)) > 1:
            return _grouped(dataset, found, identity)
    if len(files) == 1:
        return dataset
    return replace(dataset, problems=(*dataset.problems, _no_patients(dataset, [each[0] for each in values])))


def _are_dicom(files: Sequence[Path]) -> bool:
    kind = FORMATS["DICOM"]
    return bool(files) and not without_package(kind) and all(format_of(file) is kind for file in files)


def _values(file: Path) -> tuple[str, ...]:
    """The elements of a file; nothing where they are missing, or the file is damaged, which `check` says."""
    try:
        with open_regular(file) as stream:
            elements = read_elements(stream, [identity.element for identity in IDENTITIES])
    except (OSError, FormatError, ExcessError):
        return ("",) * len(IDENTITIES)
    return tuple(text_of(elements, identity.element) for identity in IDENTITIES)


def _grouped(dataset: Dataset, values: Sequence[str], identity: Identity) -> Dataset:
    numbers = {value: i + 1 for i, value in enumerate(dict.fromkeys(values))}
    samples = tuple(
        replace(sample, group=f"{identity.noun}-{numbers[value]:03d}")
        for sample, value in zip(dataset.samples, values, strict=True)
    )
    where = f"{identity.element} of the DICOM files, numbered"
    return replace(dataset, samples=samples, groups_from=where, group_noun=identity.noun)


def _no_patients(dataset: Dataset, patients: Sequence[str]) -> Problem:
    """The warning that nothing says which images are of one patient."""
    num_without = sum(not each for each in patients)
    what = (
        f"{counted(num_without, 'image')} of {len(patients)} without PatientID"
        if num_without
        else f"all {len(patients)} images have one PatientID, a placeholder perhaps"
    )
    detail = (
        f"{what}: each image counts as a group of its own; if several are of one patient, name the patients "
        "in column group of metadata.csv"
    )
    return Problem("warning", "patients not known", dataset.name, detail)
