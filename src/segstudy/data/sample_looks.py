"""What the files of one sample show, and of all samples one after another."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.intensity import Scale
from segstudy.core.parallel import in_order
from segstudy.core.resources import allowed_cores
from segstudy.data.duplicates import thumbnail
from segstudy.data.image_values import Levels
from segstudy.data.images import DecodedImage, ImageError, decode_image
from segstudy.data.mask_looks import MaskLook, look_at_mask
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.mask_tables import table_of
from segstudy.data.overlapping_masks import overlap_problems
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.sources import Described, Frame, Merged, OneMask, first_file, masks_of, name_within
from segstudy.data.stored_looks import (
    FEWEST,
    StoredBlock,
    read_array,
    read_levels,
    read_mask_look,
    read_problem,
    written_array,
    written_levels,
    written_mask,
)

NUMBER = 3  # raised when a look changes: stored ones are then made again
MAX_THREADS = 8  # each holds an image at full size: 0.3 GB, and copies, at the largest allowed
BLOCK = 512  # samples that are kept together


@dataclass(frozen=True, slots=True)
class Look:
    """What one sample's files show.

    Attributes:
        problems: of the files.
        digest, thumbnail, size, levels: of the image, where that can be read.
        masks: of the mask, under no name, where that can be read; of each of them by the class's name, where
            classes have masks of their own.
    """

    problems: list[Problem]
    digest: bytes | None = None
    thumbnail: NDArray[np.uint8] | None = None
    size: tuple[int, int] | None = None
    masks: Mapping[str, MaskLook] = field(default_factory=dict)
    levels: Levels | None = None


def decoding_threads() -> int:
    """How many images are decoded at the same time."""
    return min(MAX_THREADS, allowed_cores(hyperthreads=True))


def looks_at(dataset: Dataset, scale: Scale) -> Iterator[Look]:
    """Yield what the files of every sample show, in order; of a large data set it is kept block by block."""
    samples = dataset.samples
    threads = decoding_threads()
    each = partial(look_at, dataset.root, scale=scale)
    if len(samples) < FEWEST:
        yield from in_order(each, samples, threads)
        return
    for at in range(0, len(samples), BLOCK):
        block = samples[at : at + BLOCK]
        place = StoredBlock(dataset.root, block, scale, NUMBER)
        stored = place.read()
        if stored is not None and len(stored) == len(block):
            yield from map(_read, stored)
        else:
            found = []
            for look in in_order(each, block, threads):
                found.append(_written(look))
                yield look
            place.write(found)


def _written(look: Look) -> dict[str, Any]:
    """A look as JSON."""
    return {
        "problems": [asdict(problem) for problem in look.problems],
        "digest": None if look.digest is None else look.digest.hex(),
        "thumbnail": written_array(look.thumbnail),
        "size": look.size,
        "mask": written_mask(look.masks.get("")),
        "levels": written_levels(look.levels),
    }


def _read(written: dict[str, Any]) -> Look:
    """Return what ``_written`` was called with."""
    digest, size, mask = written["digest"], written["size"], read_mask_look(written["mask"])
    return Look(
        [read_problem(problem) for problem in written["problems"]],
        None if digest is None else bytes.fromhex(digest),
        read_array(written["thumbnail"]),
        None if size is None else (size[0], size[1]),
        {} if mask is None else {"": mask},
        read_levels(written["levels"]),
    )


def look_at(root: Path, sample: Sample, scale: Scale) -> Look:
    """Decode image and mask of a sample."""
    problems: list[Problem] = []
    image: DecodedImage | None = None
    masks: dict[str, MaskLook] = {}
    try:
        image = decode_image(sample.image, scale)
    except ImageError as error:
        problems.append(unusable(root, sample, error, "image"))
    try:
        masks = {name: _mask_look(mask) for name, mask in masks_of(sample.mask)}
    except ImageError as error:
        problems.append(unusable(root, sample, error, "mask"))
    if image:
        problems += _first(_pair_problems(root, sample, image, mask) for mask in masks.values())
    if masks and isinstance(sample.mask, Merged):
        problems += overlap_problems(mask_place(root, sample), sample.mask)
    if not image:
        return Look(problems, masks=masks)
    height, width = image.pixels.shape[:2]
    small = thumbnail(image.pixels)
    return Look(
        problems, digest_of(sample, image.pixels), small, (height, width), masks, _levels(image, small)
    )


def _mask_look(mask: OneMask) -> MaskLook:
    pixels = decode_mask(mask)
    return look_at_mask(pixels, table_of(pixels, first_file(mask)))


def _first(found: Iterable[list[Problem]]) -> list[Problem]:
    """The problems of the first mask that has some: those of other classes mostly say the same."""
    return next(filter(None, found), [])


def unusable(root: Path, sample: Sample, error: ImageError, what: str) -> Problem:
    """An error of a file that cannot be used."""
    pieces = (
        "cut image and mask into pieces (a model of --resize tiles predicts TIFFs of any size), or "
        if error.kind == "oversized"
        else ""
    )
    detail = f"{error.detail}, or {pieces}exclude {sample.id}"
    return Problem("error", f"{error.kind} {what}", name_within(root, error.path), detail)


def mask_place(root: Path, sample: Sample) -> str:
    """The file of a mask; of masks that are described in one file together also the sample."""
    place = name_within(root, sample.mask)
    return f"{sample.id} ({place})" if isinstance(sample.mask, Described | Frame) else place


def _pair_problems(root: Path, sample: Sample, image: DecodedImage, mask: MaskLook) -> list[Problem]:
    """Sizes that differ, and pixels that were turned by their EXIF orientation."""
    where = name_within(root, sample.image)
    height, width = image.pixels.shape[:2]
    mask_height, mask_width = mask.shape
    if (height, width) != (mask_height, mask_width):
        detail = f"{width} x {height}, but its mask is {mask_width} x {mask_height} (width x height)"
        if image.turned != mask.turned and (height, width) == (mask_width, mask_height):
            turned = "image" if image.turned else "mask"
            detail += f"; only the {turned} is turned by its EXIF orientation, so remove that tag"
        else:
            detail += "; export the mask at the image's size"
        return [Problem("error", "size mismatch", where, f"{detail}, or exclude {sample.id}")]
    if image.turned != mask.turned:
        turned = "image" if image.turned else "mask"
        detail = (
            f"only the {turned} has an EXIF orientation, and was turned by it: see whether they still match"
        )
        return [Problem("warning", "EXIF rotation", where, detail)]
    if image.turned:
        return [
            Problem("note", "EXIF rotation", where, "image and mask were turned by their EXIF orientation")
        ]
    return []


def digest_of(sample: Sample, pixels: NDArray[np.uint8]) -> bytes | None:
    """A hash of an image; none of an empty slice of a volume, as every volume has some."""
    if isinstance(sample.image, Frame) and pixels.min() == pixels.max():
        return None
    digest = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16)
    digest.update(str(pixels.shape).encode())
    return digest.digest()


def _levels(image: DecodedImage, small: NDArray[np.uint8]) -> Levels:
    """Of an image, and whether it has one value only: its thumbnail then has one too."""
    pixels = image.pixels
    if image.levels.is_wide or small.min() != small.max() or pixels.min() != pixels.max():
        return image.levels
    return replace(image.levels, low=float(pixels.min()), high=float(pixels.max()))
