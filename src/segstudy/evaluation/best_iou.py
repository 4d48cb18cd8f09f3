"""The best IoU that an image size allows: of true masks that were resized to the network's size and back.

A network that has learned every mask exactly as it is trained on them scores this, and not 1. It is no strict
bound: probabilities between 0 and 1 can do a little better. Small objects vanish at a small size.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray
from pydantic import ValidationError

from segstudy.core.atomic_files import DiskError, make_folder, write_text
from segstudy.core.cache import cache_folder
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.resources import allowed_cores
from segstudy.data.images import image_size
from segstudy.data.masks import read_mask
from segstudy.data.preprocess import Resize, Size, mask_to_network, prob_to_native
from segstudy.data.samples import Sample
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou
from segstudy.store.records import BestIou

VERSION = 2  # raised when numbers change: kept ones are then measured again
MAX_PIXELS = 100_000_000  # of the masks that are measured: about two seconds on two cores
FEWEST, MOST = 16, 500  # masks that are measured, whatever their size
LEAST_OBJECT_PX = 4  # smaller areas are specks of blurred masks
LOST_FRAC = 0.05  # of the objects: more of them vanish than drawing by hand would miss
LOW = 0.9  # below it, the image size costs more than most choices of architecture and loss


def is_low(found: BestIou) -> bool:
    """Whether a larger image size should be thought of."""
    lost = found.num_objects_vanished > LOST_FRAC * found.num_objects
    return found.num_vanished > 0 or found.mean < LOW or lost


def best_iou_text(found: BestIou) -> str:
    """What the image size allows, in one line."""
    images = f"{found.num_images:,}"
    if found.num_measured < found.num_images:
        images = f"{found.num_measured:,} of {images}"
    said = (
        f"at {found.size_text} the best IoU to expect is {found.mean:.3f} "
        f"(true masks of {images} test images, resized to that and back)"
    )
    if found.num_vanished:
        said += (
            f"; {found.num_vanished:,} of {found.num_with_foreground:,} true masks vanish there: no "
            "foreground is left of them"
        )
    if found.num_objects_vanished:
        said += (
            f"; {found.num_objects_vanished:,} of {found.num_objects:,} objects (connected areas of "
            "foreground) vanish there"
        )
    return f"{said}; a larger --image-size allows more" if is_low(found) else said


def best_iou(
    samples: Sequence[Sample],
    data: str,
    size: Size,
    resize: Resize,
    meaning: MaskMeaning,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> BestIou:
    """Measure it on these images; where they are many or large on some of them, evenly spaced.

    What was measured is kept in the cache.

    Args:
        samples: the test images.
        data: fingerprint of the data set.
        size: height and width of the network's input.
        resize: ``squash`` or ``pad``.
        meaning: of the masks' values.
        progress: called with the number of masks measured and how many there are.

    Raises:
        ImageError: a mask that cannot be used; ``check`` finds them.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    ids = [sample.id for sample in ordered]
    limits = [VERSION, MAX_PIXELS, FEWEST, MOST, PIL.__version__]
    settings = json.dumps([*limits, data, size, resize, str(meaning.rule), meaning.foreground, ids])
    file = cache_folder() / "best-iou" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.json"
    with suppress(OSError, ValidationError, ValueError):
        return BestIou.model_validate_json(file.read_text(encoding="utf-8"))
    measured = _measured(ordered, (size, resize, meaning), progress)
    with suppress(DiskError):  # it only saves time
        make_folder(file.parent)
        write_text(file, measured.model_dump_json())
    return measured


def _measured(
    samples: Sequence[Sample],
    settings: tuple[Size, Resize, MaskMeaning],
    progress: Callable[[int, int], None],
) -> BestIou:
    size, resize, meaning = settings
    chosen = _evenly(samples, _number_to_measure(samples))
    rows = []
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        for row in pool.map(partial(_of_one, settings), chosen):
            rows.append(row)
            progress(len(rows), len(chosen))
    ious, present, vanished, objects, lost = zip(*rows, strict=True)
    return BestIou(
        image_size=list(size),
        resize=resize,
        foreground=None if meaning.foreground is None else list(meaning.foreground),
        mean=float(np.mean(ious)),
        num_measured=len(chosen),
        num_images=len(samples),
        num_with_foreground=sum(present),
        num_vanished=sum(vanished),
        num_objects=sum(objects),
        num_objects_vanished=sum(lost),
    )


def _of_one(settings: tuple[Size, Resize, MaskMeaning], sample: Sample) -> tuple[float, bool, bool, int, int]:
    """IoU of a mask that was resized and back; whether it has any foreground, and whether that is lost.

    Then the number of its objects, and of those that are lost.
    """
    size, resize, meaning = settings
    truth = read_mask(sample.mask, meaning)
    small = mask_to_network(truth, size, resize)
    native = (truth.shape[0], truth.shape[1])
    back = prob_to_native(small.astype(np.float32), native, resize) >= 0.5
    present = bool(truth.any())
    score = float(iou(confusion(back, truth)))
    return score, present, present and not small.any(), *_objects(truth, back)


def _objects(truth: NDArray[np.bool_], back: NDArray[np.bool_]) -> tuple[int, int]:
    """The number of connected areas of a mask, and of those of which nothing came back."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(truth.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= LEAST_OBJECT_PX
    large[0] = False  # the background
    left = np.zeros(len(stats), np.bool_)
    left[labels[back]] = True
    return int(large.sum()), int((large & ~left).sum())


def _number_to_measure(samples: Sequence[Sample]) -> int:
    sides = [image_size(sample.image) for sample in _evenly(samples, FEWEST)]
    mean_pixels = sum(height * width for height, width in sides) / len(sides)
    return min(MOST, max(FEWEST, int(MAX_PIXELS / mean_pixels)))


def _evenly(samples: Sequence[Sample], number: int) -> list[Sample]:
    """So many of them, from the first to the last, or all."""
    if len(samples) <= number:
        return list(samples)
    return [samples[i * len(samples) // number] for i in range(number)]
