"""What became of all files of a data set, where its reader does not say it."""

from dataclasses import replace
from pathlib import Path

from segstudy.data.datasets.folder_files import OTHER_NAME, account, files_in
from segstudy.data.datasets.folder_names import MASK_NAMES
from segstudy.data.datasets.mask_names import MASK_ENDING
from segstudy.data.image_formats import stem_of
from segstudy.data.samples import Dataset
from segstudy.data.sources import files_of


def with_account(dataset: Dataset) -> Dataset:
    """Return the data set with an account of all files in its folder, and the images that are no sample's.

    Readers that know better say both themselves.
    """
    if dataset.account is not None:
        return dataset
    found = files_in(dataset.root)
    used = {file for sample in dataset.samples for file in (*files_of(sample.image), *files_of(sample.mask))}
    others = [file for file in found.images if file not in used]
    without_mask = [file for file in others if not _is_mask(dataset.root, file)]
    return replace(
        dataset,
        account=account("the data set's folder", [found], used, dict.fromkeys(others, OTHER_NAME)),
        without_mask=dataset.without_mask or tuple(without_mask),
    )


def _is_mask(root: Path, file: Path) -> bool:
    """Whether an image file is a mask, from its name and the names of its folders."""
    folders = (name.casefold() for name in file.relative_to(root).parts[:-1])
    return bool(MASK_ENDING.search(stem_of(file.name))) or any(name in MASK_NAMES for name in folders)
