"""Images and masks that are exchanged: photographs where masks are expected, and the other way round."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segstudy.core.mask_rules import MaskMeaning
from segstudy.data.images import ImageError, decode_image
from segstudy.data.masks import read_mask
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.sources import first_file, is_plain

LOOKED_AT = 8  # samples, spread over the set; all of them have to agree
MANY = 16  # more grey values than any mask has


def explained_by_exchange(
    dataset: Dataset, problems: Sequence[Problem], meaning: MaskMeaning
) -> list[Problem]:
    """The problems of a data set's files; those of its masks as one, if images and masks are exchanged.

    Args:
        dataset: what a reader returned.
        problems: of its files; where all masks can be used, nothing more is looked at.
        meaning: of the masks; with named foreground a photograph passes for a mask.
    """
    wrong = [
        each for each in problems if each.severity == "error" and each.kind.endswith((" mask", " masks"))
    ]
    if not wrong and meaning.foreground is None:
        return list(problems)
    step = max(1, len(dataset.samples) // LOOKED_AT)
    some = dataset.samples[::step][:LOOKED_AT]
    if not all(is_plain(sample.image) and is_plain(sample.mask) and _is_exchanged(sample) for sample in some):
        return list(problems)
    unusable = {sample_id for each in wrong for sample_id in each.samples}
    detail = (
        f"the images are black and white and the masks are photographs, as those of {some[0].id} "
        f"({len(unusable)} cannot be used as masks); exchange them, by their folders' names if they are in "
        "two"
    )
    others = [each for each in problems if each not in wrong]
    return [Problem("error", "images and masks exchanged", dataset.name, detail), *others]


def _is_exchanged(sample: Sample) -> bool:
    try:
        image = decode_image(sample.image).pixels
        mask = decode_image(first_file(sample.mask)).pixels
        read_mask(sample.image)
    except ImageError:
        return False
    return _is_mask(image) and not _is_mask(mask)


def _is_mask(pixels: NDArray[np.uint8]) -> bool:
    """Whether an image ``(H, W, 3)`` is grey and has few values, or hardly any between black and white."""
    spread = np.ptp(pixels.astype(np.int16), axis=2)
    if spread.max() > 8:
        return False
    grey = pixels[..., 1]
    between = np.mean((grey >= 32) & (grey < 224))
    return bool(len(np.unique(grey)) <= MANY or between < 0.05)
