"""The configuration that a study selects, from the records of its runs alone."""

import itertools
from collections.abc import Mapping

from segstudy.analysis.configurations import Row, rows_of
from segstudy.store.folder import StudyFolder
from segstudy.store.run_records import refuse_altered

ORDER_DIGITS = 12  # means are added up here run by run, elsewhere image by image: the last bits may differ


def winner(folder: StudyFolder) -> Row | None:
    """Return the complete configuration with the highest validation IoU, the leaderboard's first.

    Of equal ones the study's first; masks of other tools have no model and are left out.

    Args:
        folder: of a study.

    Returns:
        Its row; None while no configuration has all its runs.

    Raises:
        UserError: a record is damaged: another number in it would select another model.
    """
    num_images = _num_validation_images(folder)
    complete = [row for row in rows_of(folder) if row.complete]
    for record in itertools.chain.from_iterable(row.records for row in complete):
        refuse_altered(folder.runs / record.key)
    return max(complete, key=lambda row: ordered(validation_mean(row, num_images)), default=None)


def ordered(mean: float | None) -> float:
    """Return a mean as it is compared with others; an unknown one comes last."""
    return float("-inf") if mean is None else round(mean, ORDER_DIGITS)


def validation_mean(row: Row, num_images: Mapping[str, int]) -> float | None:
    """Return the mean IoU at native size over the validation images of all folds, then over seeds.

    Args:
        row: a configuration with all its runs.
        num_images: validation images by the fingerprint of the split.

    Returns:
        None if a run's record lacks it.
    """
    total, weight = 0.0, 0
    for record in row.records:
        mean = record.summary.scores.get("validation", {}).get("native_iou")
        if mean is None:
            return None
        images = num_images[record.description.split]
        total, weight = total + images * mean, weight + images
    return total / weight


def _num_validation_images(folder: StudyFolder) -> dict[str, int]:
    return {split.ids.fingerprint: len(split.validation) for split in folder.splits()}
