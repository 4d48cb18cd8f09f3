"""Images that show the same: found by comparing thumbnails.

A near-duplicate is the same photograph again, scaled, compressed, recoloured or shifted by up to a tenth.
Photographs of one kind (a dark lesion in the middle of light skin) resemble one another at a glance, so
two looks decide: the whole must agree, and so must the fine detail, at the best shift.

The thresholds separate all pairs of PH2 (the most similar: detail .66) and of the 2,150 ISIC-2017 images
(18 pairs that are one photograph each, from .73; the most similar others: .69).
"""

from collections.abc import Iterator
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL_PX = 64
COARSE_PX = 16
MIN_COARSE = 0.94
MIN_DETAIL = 0.72
MAX_SHIFT_PX = 6
BLOCK = 512  # pairs or rows at a time: some ten megabytes


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey thumbnail ``(64, 64)`` of an RGB image ``(H, W, 3)``, whatever its shape."""
    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))


def near_duplicates(thumbnails: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Which of these thumbnails ``(N, 64, 64)`` show the same photograph, as ascending pairs ``i < j``.

    Images without any structure match nothing. Mirrored and rotated copies are not found.
    """
    found = []
    for first, second in _alike(thumbnails):
        shown, where = np.unique(np.stack([first, second]), return_inverse=True)
        spectra = _spectra(thumbnails[shown])
        for at in range(0, len(first), BLOCK):
            block = where.reshape(2, -1)[:, at : at + BLOCK]
            found += shown[block[:, _best_shift(*spectra[block])]].T.tolist()
    return sorted((i, j) for i, j in found)


def _alike(thumbnails: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Index pairs ``i < j`` whose coarse thumbnails correlate, those of a block of images with another's."""
    n, factor = len(thumbnails), THUMBNAIL_PX // COARSE_PX
    means = thumbnails.reshape(n, COARSE_PX, factor, COARSE_PX, factor).mean((2, 4), dtype=np.float32)
    coarse = _unit(means.reshape(n, -1))
    for start, other in combinations_with_replacement(range(0, n, BLOCK), 2):
        alike = coarse[start : start + BLOCK] @ coarse[other : other + BLOCK].T >= MIN_COARSE
        first, second = np.nonzero(np.triu(alike, 1) if start == other else alike)
        if len(first):
            yield first + start, second + other


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows with mean 0 and length 1, so that products are correlations; rows without structure are 0."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.where(length > 1, centred / np.maximum(length, 1), 0), np.float32)


def _spectra(thumbnails: NDArray[np.uint8]) -> NDArray[np.complex64]:
    """Fourier transforms of the fine detail, faded out towards the edges, where dark corners lie."""
    fade = np.hanning(THUMBNAIL_PX + 2)[1:-1].astype(np.float32)
    window = np.outer(fade, fade)
    detail = np.stack([(grey - _blurred(grey)) * window for grey in thumbnails])
    unit = _unit(detail.reshape(len(detail), -1)).reshape(detail.shape)
    return np.fft.rfft2(unit).astype(np.complex64)


def _blurred(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    image = Image.fromarray(grey.astype(np.float32))
    small = image.resize((10, 10), Image.Resampling.BOX)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


def _best_shift(first: NDArray[np.complex64], second: NDArray[np.complex64]) -> NDArray[np.bool_]:
    """Whether details correlate at some shift, for spectra ``(n, 64, 33)``; correlation by Fourier."""
    correlation = np.fft.irfft2(first * second.conj(), s=(THUMBNAIL_PX, THUMBNAIL_PX))
    shifts = np.arange(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1)
    nearby = correlation[:, shifts[:, None], shifts]
    return np.asarray(nearby.max(axis=(1, 2)) >= MIN_DETAIL)
