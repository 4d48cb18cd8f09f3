"""The best IoU that an image size allows: of true masks that were resized to the network's size and back.

A network that has learned every mask exactly as it is trained on them scores this, and not 1. It is no strict
bound: probabilities between 0 and 1 can do a little better. Small objects vanish at a small size.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray
from pydantic import ValidationError

from segstudy.config.protocol import Protocol
from segstudy.core.atomic_files import DiskError, make_folder, write_text
from segstudy.core.cache import cache_folder
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.outputs import BINARY, Mask, Outputs
from segstudy.core.quantities import and_more
from segstudy.core.resources import allowed_cores
from segstudy.data.images import image_size
from segstudy.data.masks import read_mask
from segstudy.data.preprocess import Resize, Size, decided_at_native, mask_to_network
from segstudy.data.samples import Sample
from segstudy.evaluation.class_scores import compare
from segstudy.store.records import BestIou

VERSION = 2  # raised when numbers change: kept ones are then measured again
CLASSES_VERSION = 2  # the same of several classes or ignored pixels alone
MAX_PIXELS = 100_000_000  # of the masks that are measured: about two seconds on two cores
QUICK_PIXELS = 25_000_000  # of those that `check` measures
FEWEST, MOST = 16, 500  # masks that are measured, whatever their size
MOST_CLASSES = 8  # of which all are named
LEAST_OBJECT_PX = 4  # smaller areas are specks of blurred masks
LOST_FRAC = 0.05  # of the objects: more of them vanish than drawing by hand would miss
REMEDY = "a larger --image-size allows more, and --resize tiles keeps the images' own resolution"
LOW = 0.9  # below it, the image size costs more than most choices of architecture and loss


def is_low(found: BestIou) -> bool:
    """Whether a larger image size should be thought of."""
    lost = found.num_objects_vanished > LOST_FRAC * found.num_objects
    return found.num_vanished > 0 or found.mean < LOW or lost


def default_size_text(
    samples: Sequence[Sample],
    sizes: Iterable[Size],
    meaning: MaskMeaning,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> str:
    """What the image size of the default protocol allows, in one line; empty if that is enough.

    Args:
        samples: all of a data set.
        sizes: height and width of the images; of those that are hardly larger nothing is measured.
        meaning: of the masks' values.
        progress: called with the number of masks measured and how many there are.

    Raises:
        ImageError: a mask that cannot be used.
    """
    default = Protocol()
    if max(map(max, sizes), default=0) <= 2 * max(default.image_size):
        return ""
    ordered = sorted(samples, key=lambda sample: sample.id)
    chosen = _evenly(ordered, _number_to_measure(ordered, QUICK_PIXELS))
    found = _measured(chosen, len(samples), (default.image_size, "squash", meaning), progress)
    return f"without --image-size: {best_iou_text(found, 'images')}" if is_low(found) else ""


def best_iou_text(found: BestIou, noun: str = "test images") -> str:
    """What the image size allows, in one line."""
    images = f"{found.num_images:,}"
    if found.num_measured < found.num_images:
        images = f"{found.num_measured:,} of {images}"
    said = (
        f"at {found.size_text} the best IoU to expect is {found.mean:.3f} "
        f"(true masks of {images} {noun}, resized to that and back)"
    )
    if found.classes:
        said += f": {_classes_text(found, found.classes)}"
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
    return f"{said}; {REMEDY}" if is_low(found) else said


def _classes_text(found: BestIou, classes: Mapping[str, float | None]) -> str:
    """The best IoU of each class; of many, that of the lowest, and how many more there are."""
    known = {name: mean for name, mean in classes.items() if mean is not None}
    shown = list(known)
    if len(known) > MOST_CLASSES:
        shown = sorted(known, key=known.__getitem__)[: MOST_CLASSES // 2]
    said = [f"{name} {known[name]:.3f}" for name in shown]
    if len(shown) < len(known):
        said[-1] += f" and {len(known) - len(shown)} more classes with more"
    nowhere = [name for name in classes if name not in known]
    if nowhere:
        mask = "measured mask" if found.num_measured < found.num_images else "mask"
        few = nowhere if len(nowhere) <= MOST_CLASSES else nowhere[: MOST_CLASSES // 2]
        said.append(f"{', '.join(few)}{and_more(len(nowhere) - len(few))} in no {mask}")
    return ", ".join(said)


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
    named = [*limits, data, size, resize, str(meaning.rule), meaning.foreground, ids]
    if meaning.outputs != BINARY:
        named += [[str(each) for each in meaning.classes], meaning.ignore, CLASSES_VERSION]
    settings = json.dumps(named)
    file = cache_folder() / "best-iou" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.json"
    with suppress(OSError, ValidationError, ValueError):
        return BestIou.model_validate_json(file.read_text(encoding="utf-8"))
    chosen = _evenly(ordered, _number_to_measure(ordered, MAX_PIXELS))
    measured = _measured(chosen, len(ordered), (size, resize, meaning), progress)
    with suppress(DiskError):  # it only saves time
        make_folder(file.parent)
        write_text(file, measured.model_dump_json())
    return measured


def _measured(
    chosen: Sequence[Sample],
    num_images: int,
    settings: tuple[Size, Resize, MaskMeaning],
    progress: Callable[[int, int], None],
) -> BestIou:
    size, resize, meaning = settings
    rows: list[_Measured] = []
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        for row in pool.map(partial(_of_one, settings), chosen):
            rows.append(row)
            progress(len(rows), len(chosen))
    return BestIou(
        image_size=list(size),
        resize=resize,
        foreground=None if meaning.foreground is None else list(meaning.foreground),
        mean=float(np.mean([row.iou for row in rows])),
        num_measured=len(chosen),
        num_images=num_images,
        num_with_foreground=sum(row.present for row in rows),
        num_vanished=sum(row.vanished for row in rows),
        num_objects=sum(row.num_objects for row in rows),
        num_objects_vanished=sum(row.num_lost for row in rows),
        classes=_of_classes(rows, meaning.outputs) if meaning.classes else None,
    )


def _of_classes(rows: Sequence["_Measured"], outputs: Outputs) -> dict[str, float | None]:
    """The mean IoU of each class that is scored, over the masks that hold it; None if none does."""
    found = {k: [row.of_class[k] for row in rows if k in row.of_class] for k in outputs.scored}
    return {outputs.names[k]: float(np.mean(ious)) if ious else None for k, ious in found.items()}


@dataclass(frozen=True, slots=True)
class _Measured:
    """A mask that was resized and back.

    Attributes:
        iou: with the mask itself, the mean of its classes.
        of_class: of each class that the mask holds, by its number.
        present: it has foreground.
        vanished: it has, but not at the network's size.
        num_objects: of all classes that are scored.
        num_lost: of those, of which no pixel comes back.
    """

    iou: float
    of_class: dict[int, float]
    present: bool
    vanished: bool
    num_objects: int
    num_lost: int


def _of_one(settings: tuple[Size, Resize, MaskMeaning], sample: Sample) -> _Measured:
    size, resize, meaning = settings
    outputs, truth = meaning.outputs, read_mask(sample.mask, meaning)
    small = mask_to_network(truth, size, resize, outputs)
    back = decided_at_native(_as_prob(small, outputs), (truth.shape[0], truth.shape[1]), resize, outputs)
    compared = compare(back, truth, outputs, "native", takes=("counts",))
    objects = [_objects(outputs.plane(truth, k), outputs.plane(back, k)) for k in outputs.scored]
    present = any(compared.in_truth[k] for k in outputs.scored)
    return _Measured(
        iou=compared.mean()["native_iou"],
        of_class={k: compared.scores[k]["native_iou"] for k in outputs.scored if compared.in_truth[k]},
        present=present,
        vanished=present and not any(outputs.plane(small, k).any() for k in outputs.scored),
        num_objects=sum(number for number, _ in objects),
        num_lost=sum(lost for _, lost in objects),
    )


def _as_prob(mask: Mask, outputs: Outputs) -> NDArray[np.float32]:
    """The probabilities of a network that is certain of a mask."""
    planes = [outputs.plane(mask, number).astype(np.float32) for number in range(len(outputs.names))]
    return planes[1] if outputs.task == "binary" else np.stack(planes)


def _objects(truth: NDArray[np.bool_], back: NDArray[np.bool_]) -> tuple[int, int]:
    """The number of connected areas of a mask, and of those of which nothing came back."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(truth.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= LEAST_OBJECT_PX
    large[0] = False  # the background
    left = np.zeros(len(stats), np.bool_)
    left[labels[back]] = True
    return int(large.sum()), int((large & ~left).sum())


def _number_to_measure(samples: Sequence[Sample], max_pixels: int) -> int:
    sides = [image_size(sample.image) for sample in _evenly(samples, FEWEST)]
    mean_pixels = sum(height * width for height, width in sides) / len(sides)
    return min(MOST, max(FEWEST, int(max_pixels / mean_pixels)))


def _evenly(samples: Sequence[Sample], number: int) -> list[Sample]:
    """So many of them, from the first to the last, or all."""
    if len(samples) <= number:
        return list(samples)
    return [samples[i * len(samples) // number] for i in range(number)]
