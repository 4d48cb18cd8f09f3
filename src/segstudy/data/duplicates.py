"""Images that show the same: found by comparing thumbnails, in all eight orientations of the square.

A near-duplicate is the same photograph again: mirrored, turned by right angles, scaled, compressed,
recoloured, or cropped to nine tenths of its height and width. Photographs of one kind (a dark lesion in the
middle of light skin) resemble one another at a glance, so the fine detail decides, in three steps:

1. Magnitudes of the Fourier transform, which a shift does not change, are compared: for all pairs of up to
   ``MOST_EACH_WITH_EACH`` images, or as many pairs of known with new ones; of more, an index finds some.
2. Where they agree, so must the phases, at some shift.
3. Where these do, the part that both images show is cut out of both, and detail and whole are correlated.

``benchmarks/duplicates.py`` measures the thresholds; ``docs/data.md`` has the rates of error.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.scratch import scratch_array
from segstudy.data.channels import picture_of
from segstudy.data.clusters import Clusters
from segstudy.data.duplicate_index import SIGNS, correlations, likely_pairs, with_structure

THUMBNAIL_PX = 64
SHARES = (1.0, 0.95, 0.9)  # of an image's height and width that its copy may show
MIN_MAGNITUDES, MIN_PHASES, MIN_SIMILARITY = 0.76, 0.7, 0.92
# Waves over the height or width: what is slower is alike in photographs of one kind.
SLOWEST, FASTEST, FASTEST_OF_ALL = 4, 16, 24
SLACK = 2 / 64  # of the height or width: so far a copy may stick out of the image it was cut from
NOISE = 0.02  # amplitude of a wave, in grey levels, that rounding alone may make
BLOCK = 256  # images or pairs at a time: some ten megabytes
MOST_EACH_WITH_EACH = 8192  # images; from there on an index is quicker
Floats = NDArray[np.floating[Any]]
Transform = NDArray[np.complex64]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Pairs:
    """Pairs of images that may show the same: ``close``, turned, lies within ``wide``.

    Attributes:
        wide: index of the image that shows more, or as much.
        close: index of the image that may be a part of it.
        turn: which orientation of ``close``, 0 to 7.
        share: of the height and width of ``wide`` that ``close`` shows.
    """

    wide: Ints
    close: Ints
    turn: Ints
    share: Floats

    def __len__(self) -> int:
        return len(self.wide)

    def where(self, chosen: NDArray[np.generic] | slice) -> "_Pairs":
        return _Pairs(self.wide[chosen], self.close[chosen], self.turn[chosen], self.share[chosen])

    def ends(self) -> Ints:
        """The two images ``(n, 2)`` of each pair, the first one first."""
        return np.sort(np.stack([self.wide, self.close], axis=1), axis=1)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey thumbnail ``(64, 64)`` of an image ``(H, W, channels)``, whatever its shape."""
    grey = Image.fromarray(picture_of(image)).convert("L")
    return np.asarray(grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))


def turned(images: NDArray[np.generic], turn: int) -> NDArray[np.generic]:
    """Square images in one of eight orientations: mirrored from 4 on, then turned by ``turn % 4``."""
    return np.rot90(images[..., ::-1] if turn >= 4 else images, turn % 4, axes=(-2, -1))


def near_duplicates(
    thumbnails: NDArray[np.uint8], num_known: int = 0, progress: Progress = lambda _, __: None
) -> list[tuple[int, int]]:
    """Which of these thumbnails ``(N, 64, 64)`` show the same photograph, as ascending pairs ``i < j``.

    Images without any structure match nothing. Of many that show the same there are so many pairs as connect
    them, not each with each: a thousand frames of a still scene would be half a million pairs.

    Args:
        thumbnails: grey, of any images.
        num_known: so many at the beginning are compared with the others only; 0 compares all with all.
        progress: of many images, called with how much is done and how much there is.
    """
    clusters = Clusters(len(thumbnails))
    for alike in _alike(thumbnails, num_known, clusters, progress):
        for at in range(0, len(alike), BLOCK):
            pairs = alike.where(slice(at, at + BLOCK))
            pairs = pairs.where(clusters.apart(pairs.wide, pairs.close))
            same = pairs.where(_similarity(thumbnails, pairs) >= MIN_SIMILARITY)
            for i, j in zip(same.wide.tolist(), same.close.tolist(), strict=True):
                clusters.join(i, j)
    return sorted(clusters.joined)


def is_by_index(num_images: int, num_known: int = 0) -> bool:
    """Whether an index, which may miss some, looks for the pairs; else all are compared."""
    if num_known:
        return num_known * (num_images - num_known) > MOST_EACH_WITH_EACH**2
    return num_images > MOST_EACH_WITH_EACH


# Step 1: magnitudes


def _alike(
    thumbnails: NDArray[np.uint8],
    num_known: int,
    clusters: Clusters | None = None,
    progress: Progress = lambda _, __: None,
) -> Iterator[_Pairs]:
    """Pairs whose magnitudes correlate; turns are of ``_TURNS``."""
    magnitudes = {share: _in_blocks(thumbnails, share) for share in SHARES}
    if is_by_index(len(thumbnails), num_known):
        clusters = clusters or Clusters(len(thumbnails))
        yield from _alike_by_index(magnitudes, num_known, clusters, progress)
    else:
        yield from _alike_of_all(magnitudes, num_known)


def _alike_by_index(
    magnitudes: dict[float, Floats], num_known: int, clusters: Clusters, progress: Progress
) -> Iterator[_Pairs]:
    """Those among the likely pairs, each once; of images that are known to show the same none."""
    seen: dict[int, set[int]] = defaultdict(set)
    places, some = with_structure(magnitudes)

    def groups() -> Ints:
        sides = places >= num_known  # neither the known images nor the new ones meet each other
        return np.unique(sides if num_known else clusters.of(places), return_inverse=True)[1]

    for i, j in likely_pairs(some, _SECTIONS, progress, groups):
        first, second = places[i], places[j]
        keep = clusters.apart(first, second)
        keep &= (num_known == 0) | ((first < num_known) & (second >= num_known))
        fresh = []
        for a, b in zip(first[keep].tolist(), second[keep].tolist(), strict=True):
            if b not in seen[a]:
                seen[a].add(b)
                fresh.append((a, b))
        for at in range(0, len(fresh), BLOCK):
            yield _in_every_way(magnitudes, *np.array(fresh[at : at + BLOCK], np.int64).T)


def _in_every_way(magnitudes: dict[float, Floats], first: Ints, second: Ints) -> _Pairs:
    """Of these pairs every turn and share in which magnitudes correlate; all of one pair side by side."""
    found = []
    for share in SHARES:
        for wide, close in ((first, second),) if share == 1 else ((first, second), (second, first)):
            products = magnitudes[share][wide] * magnitudes[1.0][close]
            turned = np.add.reduceat(products, _SECTIONS[:-1], axis=1) @ np.array(SIGNS, np.float32).T
            row, turn = np.nonzero(turned >= MIN_MAGNITUDES)
            found.append((wide[row], close[row], np.array(_TURNS)[turn], np.full(len(row), share)))
    wide, close, turn, shares = (np.concatenate(parts) for parts in zip(*found, strict=True))
    pairs = _Pairs(wide, close, turn, shares.astype(np.float32))
    return pairs.where(np.lexsort(pairs.ends().T[::-1]))


def _alike_of_all(magnitudes: dict[float, Floats], num_known: int) -> Iterator[_Pairs]:
    """Those among all pairs, block of images by block."""
    blocks = range(0, len(magnitudes[1.0]), BLOCK)
    for here, there in combinations_with_replacement(blocks, 2):
        if num_known and (there + BLOCK <= num_known or here >= num_known):
            continue
        found = list(_between(magnitudes, here, there))
        wide, close, turn, share = (np.concatenate(parts) for parts in zip(*found, strict=True))
        keep = wide < close if here == there else wide != close
        keep |= (share < 1) & (wide != close)
        if num_known:
            keep &= (wide < num_known) != (close < num_known)
        pairs = _Pairs(wide, close, turn, share.astype(np.float32)).where(keep)
        if len(pairs):
            yield pairs.where(np.lexsort(pairs.ends().T[::-1]))  # all of the first image first


def _between(magnitudes: dict[float, Floats], here: int, there: int) -> Iterator[tuple[Ints, ...]]:
    """Indices, turn and share of the pairs between two blocks, either of which may show more."""
    for share in SHARES:
        ways = {(here, there)} if share == 1 else {(here, there), (there, here)}
        for wide, close in sorted(ways):
            shown, part = magnitudes[share][wide : wide + BLOCK], magnitudes[1.0][close : close + BLOCK]
            for turn, correlation in zip(_TURNS, correlations(shown, part, _SECTIONS), strict=True):
                first, second = np.nonzero(correlation >= MIN_MAGNITUDES)
                yield first + wide, second + close, np.full(len(first), turn), np.full(len(first), share)


def _in_blocks(thumbnails: NDArray[np.uint8], share: float) -> Floats:
    rows = scratch_array((len(thumbnails), _SECTIONS[-1]), np.float32)
    for at in range(0, len(thumbnails), BLOCK):
        rows[at : at + BLOCK] = _magnitudes(thumbnails[at : at + BLOCK], share)
    return rows


def _magnitudes(thumbnails: NDArray[np.uint8], share: float) -> Floats:
    """Square roots of the magnitudes of the middle ``share``, in vectors of length 1; 0 without structure.

    Of every ring of equal wavelength the mean is taken off: all photographs lose contrast alike towards short
    waves, and what is left is each one's own.
    """
    waves = np.abs(_central(thumbnails, share))[:, _BAND]
    structure = np.sqrt(np.mean(waves**2, axis=1, keepdims=True)) > NOISE
    roots = np.sqrt(waves)
    roots = (roots - (roots @ _RING_MEMBERS / _RING_MEMBERS.sum(axis=0)) @ _RING_MEMBERS.T) * _SLOPE
    length = np.linalg.norm(roots, axis=1, keepdims=True)
    return np.asarray(np.where(structure, roots / np.maximum(length, 1e-9), 0) @ _COORDINATES, np.float32)


# Step 2: phases, at the best shift


def _similarity(thumbnails: NDArray[np.uint8], pairs: _Pairs) -> Floats:
    """Mean correlation of detail and whole, which counts twice, over what both show; 0 where phases differ.

    Of one pair in several turns and shares only the likeliest is looked at; the others are 0.
    """
    similarity = np.zeros(len(pairs), np.float32)
    if not len(pairs):
        return similarity
    phases, shift, turn = _phases(thumbnails, pairs)
    likely = phases >= MIN_PHASES
    likely &= phases == _highest(phases, pairs.ends())
    if likely.any():
        chosen = replace(pairs, turn=turn).where(likely)
        similarity[likely] = _of_overlap(thumbnails, chosen, shift[likely])
    return similarity


def _highest(values: Floats, ends: Ints) -> Floats:
    """For every pair, the highest value of those with the same two images."""
    _, same = np.unique(ends, axis=0, return_inverse=True)
    highest = np.full(len(values), -np.inf, np.float32)
    np.maximum.at(highest, same.ravel(), values)
    return np.asarray(highest[same.ravel()], np.float32)


def _phases(thumbnails: NDArray[np.uint8], pairs: _Pairs) -> tuple[Floats, Floats, Ints]:
    """How well the phases of the middles agree at the best shift, that shift ``(n, 2)``, and the turn."""
    second = np.empty((len(pairs), FASTEST + 1, 2 * FASTEST + 1), np.complex64)
    for turn in np.unique(pairs.turn):
        there = pairs.turn == turn
        shown, place = np.unique(pairs.close[there], return_inverse=True)
        second[there] = _detail(_central(turned(thumbnails[shown], int(turn)), 1.0))[place]
    phases, shift = np.empty(len(pairs), np.float32), np.empty((len(pairs), 2), np.float32)
    turns = pairs.turn.copy()
    for share in np.unique(pairs.share):
        there = pairs.share == share
        shown, place = np.unique(pairs.wide[there], return_inverse=True)
        first, most = _detail(_central(thumbnails[shown], float(share)))[place], _reach(float(share))
        straight, by = _best_shift(first, second[there], most)
        over, over_by = _best_shift(first, second[there].conj(), most)  # half a turn more
        phases[there], better = np.maximum(straight, over), over > straight
        shift[there] = np.where(better[:, None], over_by, by)
        turns[there] += 2 * better
    return phases, shift, turns


def _reach(share: float) -> float:
    """How far from the middle a copy that shows ``share`` of an image can be, over the copy's size."""
    return ((1 - share) / 2 + SLACK) / share


# Step 3: the part that both show


def _of_overlap(thumbnails: NDArray[np.uint8], pairs: _Pairs, shift: Floats) -> Floats:
    wide, close = thumbnails[pairs.wide], thumbnails[pairs.close]
    for turn in np.unique(pairs.turn):
        close[pairs.turn == turn] = turned(close[pairs.turn == turn], int(turn))
    share = pairs.share[:, None]
    middle = 0.5 + shift * share  # of ``close`` within ``wide``
    for most in (SLACK, SLACK / 2):
        first, second, size = _overlap(wide, close, middle, share)
        _, rest = _best_shift(_detail(first), _detail(second), most)
        middle = middle + rest * size
    first, second, _ = _overlap(wide, close, middle, share)
    detail, _ = _best_shift(_detail(first), _detail(second), SLACK / 4)
    whole, _ = _best_shift(_whole(first), _whole(second), SLACK / 4)
    return np.asarray((detail + 2 * whole) / 3, np.float32)


def _overlap(
    wide: NDArray[np.uint8], close: NDArray[np.uint8], middle: Floats, share: Floats
) -> tuple[Transform, Transform, Floats]:
    """Transforms of what both show, from either image, and its size ``(n, 2)`` as a share of ``wide``."""
    low, high = np.maximum(middle - share / 2, 0), np.minimum(middle + share / 2, 1)
    place, size = (low + high) / 2, high - low
    first = _transform(wide, place, size, FASTEST_OF_ALL)
    return first, _transform(close, (place - middle) / share + 0.5, size / share, FASTEST_OF_ALL), size


# Fourier transforms of a part of an image that fades out towards its edges. As an image is real, half of the
# waves say all: 0 and more down the image, and any number across. Turned by half a turn, they are conjugates.


def _central(thumbnails: NDArray[np.generic], share: float) -> Transform:
    whole = np.full((1, 2), 1, np.float32)
    return _transform(thumbnails, whole / 2, whole * share, FASTEST)


def _transform(thumbnails: NDArray[np.generic], place: Floats, size: Floats, fastest: int) -> Transform:
    """Transforms ``(n, fastest + 1, 2 fastest + 1)`` of parts of images: middle and size ``(n, 2)``."""
    grey = thumbnails.astype(np.float32)
    grey -= grey.mean((1, 2), keepdims=True)
    down, across = (_waves(place[:, i], size[:, i], fastest) for i in (0, 1))
    rows = down.real @ grey + 1j * (down.imag @ grey)
    return np.asarray(
        np.concatenate(
            [rows @ across[:, :0:-1].conj().transpose(0, 2, 1), rows @ across.transpose(0, 2, 1)], axis=2
        ),
        np.complex64,
    )


def _waves(place: Floats, size: Floats, fastest: int) -> Transform:
    """Waves ``(n, fastest + 1, 64)`` over an interval of the unit length, weighted by a Hann window."""
    along = ((np.arange(THUMBNAIL_PX, dtype=np.float32) + 0.5) / THUMBNAIL_PX - place[:, None]) / size[
        :, None
    ]
    window = np.where(abs(along) < 0.5, np.cos(np.pi * along) ** 2, 0)
    window /= window.sum(axis=1, keepdims=True)
    angle = along[:, None] * np.arange(fastest + 1, dtype=np.float32)[:, None]
    return np.asarray(window[:, None] * np.exp((-2j * np.pi * angle).astype(np.complex64)), np.complex64)


def _detail(waves: Transform) -> Transform:
    """The waves from ``SLOWEST`` on, those of every ring brought to one strength."""
    rings = _rings(waves.shape[1] - 1)
    energy = waves.real**2 + waves.imag**2
    strength = np.ones_like(energy)
    for ring in range(SLOWEST, waves.shape[1]):
        there = rings == ring
        strength[:, there] = np.sqrt(energy[:, there].mean(axis=1, keepdims=True))
    return np.asarray(waves / np.maximum(strength, NOISE / 10) * (rings >= SLOWEST), np.complex64)


def _whole(waves: Transform) -> Transform:
    """All waves but the mean, as strong as they are."""
    return np.asarray(waves * (_rings(waves.shape[1] - 1) >= 1), np.complex64)


def _best_shift(first: Transform, second: Transform, most: float) -> tuple[Floats, Floats]:
    """The highest correlation ``(n,)`` at any shift up to ``most``, and that shift ``(n, 2)``."""
    fastest = first.shape[1] - 1
    shifts = np.linspace(-most, most, 13)
    back = np.exp(2j * np.pi * shifts[:, None] * np.arange(-fastest, fastest + 1)).astype(np.complex64)
    found = (back[:, fastest:] @ (first * second.conj()) @ back.T).real.reshape(len(first), -1)
    energy = [np.sum(waves.real**2 + waves.imag**2, axis=(1, 2)) for waves in (first, second)]
    best = found.argmax(axis=1)
    correlation = found[np.arange(len(found)), best] / np.maximum(np.sqrt(energy[0] * energy[1]), 1e-9)
    shift = np.stack([shifts[best // len(shifts)], shifts[best % len(shifts)]], axis=1)
    return np.asarray(correlation, np.float32), np.asarray(shift, np.float32)


@cache
def _rings(fastest: int) -> Ints:
    """Waves over the image, to the next whole number, of each place of a transform; 0 if not used."""
    down, across = np.arange(fastest + 1)[:, None], np.arange(-fastest, fastest + 1)
    length = np.hypot(down, across)
    used = ((down > 0) | (across > 0)) & (length <= fastest)
    return np.where(used, np.rint(length), 0).astype(np.int64)


def _coordinates() -> tuple[Floats, list[int]]:
    """Sums and differences of places of the band that turns exchange, in four sections; where each begins.

    The sections are of what keeps its sign at a quarter turn and at a mirror, at the turn, at the mirror, at
    neither. With them a product of two vectors is one of four numbers, and a turn changes signs of these.
    """
    half = np.full(_BAND.shape, -1)
    half[_BAND] = np.arange(_BAND.sum())
    plane = np.concatenate([half[:0:-1, ::-1], half])
    plane = np.maximum(plane, plane[::-1, ::-1])  # of two opposite places only one is in the band
    orders = [turned(plane, turn)[FASTEST:][_BAND] for turn in _TURNS]
    unit, sections = np.eye(int(_BAND.sum())), []
    for signs in SIGNS:
        sums = sum(sign * unit[order] for sign, order in zip(signs, orders, strict=True))
        length = np.linalg.norm(sums, axis=0)
        there = (np.min(orders, axis=0) == np.arange(len(unit))) & (length > 0)  # the first of each orbit
        sections.append(sums[:, there] / length[there])
    starts = np.cumsum([0, *(section.shape[1] for section in sections)])
    return np.concatenate(sections, axis=1).astype(np.float32), starts.tolist()


_BAND = _rings(FASTEST) >= SLOWEST
_RINGS = _rings(FASTEST)[_BAND]
_RING_MEMBERS = (_RINGS[:, None] == np.arange(SLOWEST, FASTEST + 1)).astype(np.float32)
_SLOPE = (_RINGS**0.75).astype(np.float32)  # photographs lose contrast about as the power -1.5
_TURNS = (0, 1, 4, 5)  # with half a turn more, the magnitudes are the same
_COORDINATES, _SECTIONS = _coordinates()
