"""The files of prepared samples: what of each sample is written into each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.errors import UserError
from segstudy.core.intensity import Scale
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.parallel import AHEAD, in_order
from segstudy.core.resources import allowed_cores
from segstudy.data.chunks import CHUNK, counts_in_chunks, in_chunks, num_chunks
from segstudy.data.images import image_size, read_image
from segstudy.data.masks import read_mask
from segstudy.data.packed_masks import packed_mask
from segstudy.data.prepared_writer import Header
from segstudy.data.preprocess import Resize, Size, image_to_network, mask_to_network, read_for_network
from segstudy.data.samples import Sample

IMAGES, MASKS, NATIVE, COUNTS = "images.npy", "masks.npy", "native.bits", "counts.npy"
FILES = {"squash": (IMAGES, MASKS, NATIVE), "pad": (IMAGES, MASKS, NATIVE), "tiles": (IMAGES, MASKS, COUNTS)}
FEWEST = 2048  # samples, below which it is over in seconds
MAX_PIXELS_AT_ONCE = 100_000_000  # of images that are decoded and wait to be written in chunks
MANY_BYTES = 2**30  # of chunks: from there on it takes minutes, and an interrupted process goes on

Settings = tuple[Size, Resize, MaskMeaning, Scale]
Piece = tuple[Size, tuple[NDArray[Any], ...]]  # a sample's native size, and its part of each file


@dataclass(frozen=True)
class SampleFiles:
    """What of samples is written into which files.

    Attributes:
        files: their names, with type and shape for an ``.npy`` file.
        load: a sample's part of each file.
        is_long: it takes longer than some seconds.
        threads: that load.
        ahead: samples for each that are loaded before they are written.
    """

    files: Mapping[str, Header | None]
    load: Callable[[Sample], Piece]
    is_long: bool
    threads: int
    ahead: int


def resized_files(samples: Sequence[Sample], settings: Settings) -> SampleFiles:
    """Return how samples are written at network size."""
    size, _, meaning, scale = settings
    shape = (len(samples), *size, scale.channels)
    files = {IMAGES: (np.uint8, shape), MASKS: (meaning.outputs.mask_dtype, shape[:3]), NATIVE: None}
    threads = allowed_cores(hyperthreads=True)
    return SampleFiles(files, partial(_load_resized, settings), len(samples) >= FEWEST, threads, AHEAD)


def _load_resized(settings: Settings, sample: Sample) -> Piece:
    size, resize, meaning, scale = settings
    native, image = read_for_network(sample.image, size, resize, scale)
    mask = read_mask(sample.mask, meaning)
    _refuse_other_size(sample, native, mask)
    small = mask_to_network(mask, size, resize, meaning.outputs)
    return native, (
        image_to_network(image, size, resize, native),
        small,
        packed_mask(mask, meaning.outputs),
    )


def chunk_files(samples: Sequence[Sample], settings: Settings) -> SampleFiles:
    """Return how samples are written at their own size; as many at a time as memory is meant for."""
    _, _, meaning, scale = settings
    threads = allowed_cores(hyperthreads=True)
    sizes = list(in_order(image_size, [sample.image for sample in samples], threads))
    total = sum(map(num_chunks, sizes))
    image, mask = (total, CHUNK, CHUNK, scale.channels), (total, CHUNK, CHUNK)
    outputs = meaning.outputs
    files = {
        IMAGES: (np.uint8, image),
        MASKS: (outputs.mask_dtype, mask),
        COUNTS: (np.uint16, (total, len(outputs.names))),
    }
    at_once = max(1, MAX_PIXELS_AT_ONCE // max(height * width for height, width in sizes))
    threads = min(threads, at_once)
    is_long = len(samples) >= FEWEST or int(np.prod(image)) >= MANY_BYTES
    expected = {sample.id: size for sample, size in zip(samples, sizes, strict=True)}
    load = partial(_load_chunks, settings, expected)
    return SampleFiles(files, load, is_long, threads, ahead=min(AHEAD, at_once // threads))


def _load_chunks(settings: Settings, expected: Mapping[str, Size], sample: Sample) -> Piece:
    _, _, meaning, scale = settings
    decoded = read_image(sample.image, scale=scale)
    native, image = (decoded.shape[0], decoded.shape[1]), in_chunks(decoded)
    del decoded  # of 100 megapixels 300 MB
    mask = read_mask(sample.mask, meaning)
    if native != expected[sample.id]:
        raise UserError(f"{sample.image}: was changed while it was read; run again")
    _refuse_other_size(sample, native, mask)
    return native, (image, in_chunks(mask), counts_in_chunks(mask, meaning.outputs))


def _refuse_other_size(sample: Sample, native: Size, mask: NDArray[Any]) -> None:
    if native != mask.shape:
        raise UserError(f"{sample.id}: image and mask differ in size; `segstudy check` says more")
