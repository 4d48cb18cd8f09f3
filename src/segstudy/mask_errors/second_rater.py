"""A second rater's masks of the same images: how well people agree where networks agree with one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segstudy.analysis.results import gather
from segstudy.analysis.second_rater import agreement
from segstudy.core.mask_rules import MaskMeaning
from segstudy.data.samples import Sample
from segstudy.evaluation.second_rater import raters_ious
from segstudy.stats.intervals import Interval
from segstudy.store.folder import StudyFolder


@dataclass(frozen=True)
class SecondRater:
    """The agreement of two raters, beside that of the study's networks with the first of them.

    Attributes:
        folder: the name of the folder with the second rater's masks.
        ious: of both raters' masks at native size, by id; tested images with both masks only.
        interval: mean of these IoUs with its 95 % interval over images, the images of a group as one.
        models: the same of each configuration with the first rater, on the same images.
        num_missing: tested images without a second mask.
    """

    folder: str
    ious: Mapping[str, float]
    interval: Interval
    models: Mapping[str, Interval]
    num_missing: int


def second_rater(
    masks: Path,
    folder: StudyFolder,
    samples: Mapping[str, Sample],
    ids: Sequence[str],
    names: Sequence[str],
    meaning: MaskMeaning,
) -> SecondRater:
    """Compare both raters' masks, at native size.

    Args:
        masks: the folder: a mask per image, named by its id; some may be missing.
        folder: of the study.
        samples: of the study, by id.
        ids: of the images that were tested.
        names: of the configurations to show beside.
        meaning: of the values of the first rater's masks.

    Raises:
        UserError: masks of several raters, of no tested image, of unknown meaning or of another size.
    """
    ious = raters_ious(masks, samples, ids, meaning)
    rated = list(ious)
    return SecondRater(
        folder=masks.name,
        ious=ious,
        interval=agreement(np.array([list(ious.values())]), [samples[i].group for i in rated]),
        models=_of_models(folder, names, samples, rated),
        num_missing=len(ids) - len(rated),
    )


def _of_models(
    folder: StudyFolder, names: Sequence[str], samples: Mapping[str, Sample], rated: Sequence[str]
) -> dict[str, Interval]:
    """Return the test IoU of configurations on these images; without those not scored on all of them."""
    results, found = gather(folder), {}
    for name in names:
        scores = results.scores(name)
        place = {sample_id: i for i, sample_id in enumerate(results.ids(name))} if scores is not None else {}
        if scores is not None and place.keys() >= set(rated):
            some = scores[:, [place[sample_id] for sample_id in rated]]
            found[name] = agreement(some, [samples[i].group for i in rated])
    return found
