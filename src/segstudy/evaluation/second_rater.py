"""A second rater's masks of the same images, compared with those of the data set."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.resources import allowed_cores
from segstudy.core.synthetic import is_synthetic
from segstudy.data.masks import read_mask
from segstudy.data.samples import Sample
from segstudy.data.sources import first_file
from segstudy.evaluation.class_scores import compare
from segstudy.evaluation.mask_folders import find_masks
from segstudy.evaluation.mask_meaning import meaning_of_masks
from segstudy.metrics import HEADLINE, column
from segstudy.store.folder import StudyFolder
from segstudy.store.second_rater import FILE, SecondRaterRecord

FOLDER = "masks2"  # in a data set's folder


def folder_of_second_rater(data: str | Path) -> Path | None:
    """Return the folder of a second rater's masks in that of a data set, if it is there."""
    place = Path(data) / FOLDER
    return place if not is_synthetic(str(data)) and place.is_dir() else None


def raters_ious(
    masks: Path, samples: Mapping[str, Sample], ids: Sequence[str], meaning: MaskMeaning
) -> dict[str, float]:
    """Return the IoU of both raters' masks at native size, by id; images without a second mask are left out.

    Of several classes it is the mean over those that are scored and in one of the masks. A pixel that one of
    the raters ignores does not count.

    Args:
        masks: the folder: a mask per image, named by its id; some may be missing.
        samples: of the study, by id.
        ids: of the images to compare.
        meaning: of the values of the first rater's masks.

    Raises:
        UserError: masks of several raters, of none of these images, of unknown meaning or of another size.
    """
    outputs = meaning.outputs
    overlapping = outputs.names if outputs.task == "multilabel" else ()
    found, _ = find_masks(masks, samples.keys(), classes=overlapping)
    if len(found) > 1 or len(found[0].seeds) > 1:
        raise UserError(f"{masks}: holds several sets of masks; give the folder of one rater with --masks2")
    (files,) = found[0].seeds.values()
    rated = sorted(set(ids) & files.keys())
    if not rated:
        raise UserError(f"{masks}: has masks of images that were not tested; only tested images are compared")
    second = meaning_of_masks([files[sample_id] for sample_id in rated], meaning)

    def compared(sample_id: str) -> float:
        first, other = read_mask(samples[sample_id].mask, meaning), read_mask(files[sample_id], second)
        if first.shape != other.shape:
            (h, w), (height, width) = other.shape, first.shape
            place = first_file(files[sample_id])
            raise UserError(f"{place}: must be {width} x {height} px as the image, got {w} x {h}")
        if (valid := second.outputs.valid(other)) is not None:
            first = outputs.without(first, ~valid)
        return compare(other, first, outputs, "native", takes=("counts",)).mean()[column(HEADLINE)]

    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        return dict(zip(rated, pool.map(compared, rated), strict=True))


def write_second_rater(
    folder: StudyFolder, data: str, samples: Sequence[Sample], fingerprint: str, meanings: set[MaskMeaning]
) -> None:
    """Write ``second_rater.json`` if the data set has a folder ``masks2``; remove it if it has none.

    Masks that cannot be compared stop no training: the record says why.

    Args:
        folder: the study's.
        data: the data set's folder.
        samples: of it.
        fingerprint: of them.
        meanings: of the values of its masks, in all configurations.
    """
    masks = folder_of_second_rater(data)
    if masks is None:
        (folder.path / FILE).unlink(missing_ok=True)
        return
    by_id = {sample.id: sample for sample in samples}
    ious: dict[str, float] = {}
    problem = "the meaning of the study's masks varies" if len(meanings) > 1 else ""
    if not problem:
        try:
            ious = raters_ious(masks, by_id, list(by_id), next(iter(meanings)))
        except UserError as error:
            problem = str(error).removeprefix(f"{masks}").lstrip("/: ")
    record = SecondRaterRecord(folder=masks.name, data=fingerprint, ious=ious, problem=problem)
    folder.write_json(FILE, record.model_dump())
