"""Folders beside the masks that may hold the masks too: which of them was read is said."""

from collections.abc import Collection, Iterable
from pathlib import Path

from segstudy.core.quantities import counted
from segstudy.data.datasets.annotation_files import folders_in
from segstudy.data.datasets.folder_names import FIRST_MASK_NAMES, MASK_WORD, OTHER_WORD, called
from segstudy.data.datasets.mask_names import masks_by_image
from segstudy.data.datasets.pairing import image_files
from segstudy.data.samples import Problem, Severity

LEAST_FRAC = 0.5  # of the images, those that have a file of their name there


def rival_folders(
    root: Path, masks: Path, images: Iterable[Path], used: Collection[Path], severity: Severity
) -> list[Problem]:
    """A finding for each folder beside that of the masks which has a mask of most images too.

    Args:
        root: of the data set.
        masks: the folder that is read.
        images: their images.
        used: all folders that are read.
        severity: where the folder that is read has no plainer name than the other.
    """
    stems = {image.stem: [image] for image in images}
    problems = []
    for folder in folders_in(masks.parent):
        if folder in used or not (MASK_WORD.search(folder.name) or called([folder], FIRST_MASK_NAMES)):
            continue
        files = {file.stem: [file] for file in image_files(folder)}
        fitting = masks_by_image(files, stems).of_image.keys() & stems.keys()
        if not stems or len(fitting) < LEAST_FRAC * len(stems):
            continue
        where = f"{folder.relative_to(root).as_posix()}/"
        own = f"{masks.relative_to(root).as_posix()}/"
        if called([masks], FIRST_MASK_NAMES) or OTHER_WORD.search(folder.name):
            detail = f"{counted(len(files), 'file')} not used: the masks are those in {own}"
            problems.append(Problem("note", "folder not used", where, detail))
            continue
        detail = (
            f"has files of the images' names too, but the masks are read from {own}; rename the folder that "
            "holds the masks to masks/, and move the other out of the data set"
        )
        problems.append(Problem(severity, "folder not used", where, detail))
    return problems
