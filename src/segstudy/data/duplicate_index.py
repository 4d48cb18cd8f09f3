"""An index of unit vectors: pairs that may correlate are found without comparing each with each.

Cross-polytope hashing (Andoni et al. 2015, "Practical and optimal LSH for angular distance"): a vector is
turned at random, and its hash is the axis that it is then nearest to, with the sign. Vectors that correlate
are often nearest to the same axis, others seldom. A table joins four hashes; of one of two vectors the next
nearest axes are looked up too. Pairs that meet in any table are compared by the signs of all coordinates, and
what is left is compared exactly by the caller.

Pairs that meet in no table are missed: .6 % of those that correlate with .8, and none of 4,000 that correlate
with .85, .9 or .95 (simulated as in ``tests/data/test_duplicate_index.py``). The turns are fixed for all data
sets, so equal data have equal pairs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.resources import allowed_cores
from segstudy.core.scratch import scratch_array

TABLES, TABLES_AT_ONCE = 32, 8
HASHES, AXES, NEAREST = 4, 32, 3  # of a table; of a hash; axes of a hash that may be looked up
# Which of the nearest axes of each hash are looked up together: the likeliest combinations.
PROBES = tuple(ranks for ranks in product(range(NEAREST), repeat=HASHES) if sum(ranks) <= 2)
ROWS = 1024  # vectors hashed at once
MOST_MEETINGS = 2**20  # looked at together: some 60 MB
BUCKET_BITS = 22  # a few vectors of other hashes share a bucket
CROWDED = 64  # vectors of a bucket, above which the first one is met before the others
# Signs of a quarter turn and a mirror, for what keeps both, the turn alone, the mirror alone, none.
SIGNS = ((1, 1, 1, 1), (1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1))
# Of the bits that differ: .225 at a correlation of .76. Few are missed: 3.7 deviations above.
FEW_WORDS, MOST_OF_FEW, MOST_BITS = 2, 0.36, 0.305

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


@dataclass(frozen=True)
class _Table:
    """Hashes of all vectors in one table.

    Attributes:
        axes: for each share ``(N, HASHES, NEAREST)``, the nearest first.
        buckets: ``(N, turns)``, those of the vectors in every turn.
    """

    axes: Mapping[float, NDArray[np.uint8]]
    buckets: NDArray[np.uint32]


@dataclass(frozen=True)
class _Order:
    """Vectors in turns (``vector * turns + turn``), by bucket and, within a bucket, by group.

    Attributes:
        places: those vectors.
        starts: where each bucket begins in ``places``, and the end.
        groups: of each vector.
        keys: of each place, bucket and group as one number.
    """

    places: Ints
    starts: NDArray[np.int32]
    groups: Ints
    keys: Ints


@dataclass(frozen=True)
class _Signs:
    """Signs of all coordinates, in words of 64.

    Attributes:
        wide: for each share ``(words, N)``.
        close: ``(words, N * turns)``.
        num_bits: of a vector.
    """

    wide: Mapping[float, Words]
    close: Words
    num_bits: int


def likely_pairs(
    vectors: Mapping[float, Floats],
    sections: Sequence[int],
    progress: Callable[[int, int], None] = lambda _, __: None,
    groups: Callable[[], Ints] | None = None,
) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs ``i < j`` of which one correlates with the other, in some turn; many more than once.

    Many vectors that are almost equal share a bucket. In a bucket of more than ``CROWDED`` vectors, each
    first meets one of them. Then the caller may have put many into one group; these do not meet each other.

    Args:
        vectors: by share, ``(N, D)`` of length 1 or 0; those of share 1 are also taken in all turns.
        sections: where the four sections begin whose signs turns change, and the end.
        progress: called with the number of tables done, and of all.
        groups: returns the number of each vector's group, from 0 to ``N - 1``. Pairs within a group are not
            needed: crowded buckets leave them out.
    """
    rng = np.random.default_rng(0)
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        signs = _all_signs(vectors, sections, rng, pool)
        for first in range(0, TABLES, TABLES_AT_ONCE):
            for done, table in enumerate(_tables(vectors, sections, rng, pool), first + 1):
                yield from _pairs_of(table, signs, pool, groups or partial(np.arange, len(vectors[1.0])))
                progress(done, TABLES)


def with_structure(vectors: Mapping[float, Floats]) -> tuple[Ints, dict[float, Floats]]:
    """Return which images have a vector that is not 0, and the vectors of these.

    Blank images correlate with none. They would all be in one bucket, so that each pair of them would meet.
    """
    places = np.flatnonzero(np.any([rows.any(axis=1) for rows in vectors.values()], axis=0))
    some = {}
    for share, rows in vectors.items():
        some[share] = scratch_array((len(places), rows.shape[1]), np.float32)
        np.take(rows, places, axis=0, out=some[share], mode="clip")
    return places, some


def correlations(first: Floats, second: Floats, sections: Sequence[int]) -> tuple[Floats, ...]:
    """The correlations of all pairs in each of the turns of ``SIGNS``, for little more than the price of one.

    Coordinates are sorted by what a quarter turn and a mirror do to them: each keeps or changes its sign.
    """
    both, turn, mirror, neither = (
        first[:, start:stop] @ second[:, start:stop].T for start, stop in pairwise(sections)
    )
    # ``turn`` is of what keeps its sign at a turn alone, ``mirror`` at a mirror alone
    kept, changed = both + turn, mirror + neither
    kept_less, changed_less = both - turn, mirror - neither
    return kept + changed, kept - changed, kept_less + changed_less, kept_less - changed_less


def _rotation(size: int, columns: int, rng: np.random.Generator) -> Floats:
    """Orthonormal columns in random directions."""
    found = np.linalg.qr(rng.standard_normal((size, columns)))[0]
    return np.asarray(found, np.float32)


def _turned(parts: Sequence[Floats]) -> Iterator[Floats]:
    """Sums of what each section contributes, in every turn."""
    for signs in SIGNS:
        yield sum(sign * part for sign, part in zip(signs[1:], parts[1:], strict=True)) + parts[0]


def _parts(rows: Floats, rotation: Floats, sections: Sequence[int]) -> list[Floats]:
    return [rows[:, start:stop] @ rotation[start:stop] for start, stop in pairwise(sections)]


# Signs


def _all_signs(
    vectors: Mapping[float, Floats], sections: Sequence[int], rng: np.random.Generator, pool: Executor
) -> _Signs:
    size = sections[-1]
    rotation = _rotation(size, size, rng)
    num, words = len(vectors[1.0]), -(-size // 64)
    wide = {share: np.empty((words, num), np.uint64) for share in vectors}
    close = np.empty((words, num, len(SIGNS)), np.uint64)

    def fill(start: int) -> None:
        rows = slice(start, start + ROWS)
        for share, each in vectors.items():
            wide[share][:, rows] = _words(each[rows] @ rotation)
        for turn, values in enumerate(_turned(_parts(vectors[1.0][rows], rotation, sections))):
            close[:, rows, turn] = _words(values)

    list(pool.map(fill, range(0, num, ROWS)))
    return _Signs(wide, close.reshape(words, -1), size)


def _words(values: Floats) -> Words:
    """The signs ``(words, n)`` of ``(n, D)`` values."""
    padded = np.zeros((len(values), -(-values.shape[1] // 64) * 64), np.bool_)
    padded[:, : values.shape[1]] = values > 0
    return np.ascontiguousarray(np.packbits(padded, axis=1).view(np.uint64).T)


def _differing(signs: _Signs, share: float, wide: Ints, close: Ints, words: range) -> NDArray[np.uint16]:
    """How many signs differ, of each pair."""
    total = np.zeros(len(wide), np.uint16)
    for word in words:
        total += np.bitwise_count(signs.wide[share][word][wide] ^ signs.close[word][close])
    return total


# Tables


def _tables(
    vectors: Mapping[float, Floats], sections: Sequence[int], rng: np.random.Generator, pool: Executor
) -> list[_Table]:
    """So many as are made in one pass over the vectors."""
    num, columns = len(vectors[1.0]), HASHES * AXES
    rotation = np.concatenate([_rotation(sections[-1], columns, rng) for _ in range(TABLES_AT_ONCE)], axis=1)
    tables = [
        _Table(
            {share: np.empty((num, HASHES, NEAREST), np.uint8) for share in vectors},
            np.empty((num, len(SIGNS)), np.uint32),
        )
        for _ in range(TABLES_AT_ONCE)
    ]

    def fill(start: int) -> None:
        rows = slice(start, start + ROWS)
        turned = list(_turned(_parts(vectors[1.0][rows], rotation, sections)))
        for share, each in vectors.items():
            found = _nearest(turned[0] if share == 1 else each[rows] @ rotation, NEAREST)
            for i, table in enumerate(tables):
                table.axes[share][rows] = found[:, i]
        for turn, values in enumerate(turned):
            nearest = _nearest(values, 1)[..., 0].astype(np.uint32)
            for i, table in enumerate(tables):
                table.buckets[rows, turn] = _bucket(nearest[:, i])

    list(pool.map(fill, range(0, num, ROWS)))
    return tables


def _nearest(values: Floats, number: int) -> NDArray[np.uint8]:
    """The nearest axes ``(n, tables, HASHES, number)``; from ``AXES`` on they are the negative ones."""
    values = values.reshape(len(values), -1, HASHES, AXES)
    found, left = np.empty((*values.shape[:3], number), np.uint8), abs(values)
    for i in range(number):
        axis = left.argmax(axis=3)[..., None]
        negative = np.take_along_axis(values, axis, 3) < 0
        found[..., i] = (axis + AXES * negative)[..., 0]
        np.put_along_axis(left, axis, -1, 3)
    return found


def _bucket(axes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The buckets ``(n,)`` of axes ``(n, HASHES)``, mixed by Knuth's multiplication."""
    joined = np.zeros(len(axes), np.uint32)
    for i in range(HASHES):
        joined = joined * np.uint32(2 * AXES) + axes[:, i]
    return np.asarray((joined * np.uint32(2654435761)) >> np.uint32(32 - BUCKET_BITS))


# Pairs that meet


def _pairs_of(
    table: _Table, signs: _Signs, pool: Executor, groups: Callable[[], Ints]
) -> Iterator[tuple[Ints, Ints]]:
    """Pairs that meet in a table and have most signs alike."""
    order = _ordered(table.buckets, groups())
    if np.diff(order.starts).max() > CROWDED:
        for share, axes in table.axes.items():
            yield from _alike(_with_first(axes, order), signs, share, pool)
        order = _ordered(table.buckets, groups())
    for share, axes in table.axes.items():
        yield from _alike(_with_others(axes, order), signs, share, pool)


def _alike(
    meetings: Iterator[tuple[Ints, Ints]], signs: _Signs, share: float, pool: Executor
) -> Iterator[tuple[Ints, Ints]]:
    while several := list(islice(meetings, allowed_cores(hyperthreads=True))):
        yield from pool.map(partial(_alike_in_signs, signs, share), several)


def _ordered(buckets: NDArray[np.uint32], groups: Ints) -> _Order:
    keys = (buckets.astype(np.int64) * len(groups) + groups[:, None]).ravel()
    places = np.argsort(keys, kind="stable")
    starts = np.zeros(2**BUCKET_BITS + 1, np.int32)
    np.cumsum(np.bincount(buckets.ravel(), minlength=2**BUCKET_BITS), out=starts[1:])
    return _Order(places, starts, groups, keys[places])


def _looked_up(axes: NDArray[np.uint8]) -> Iterator[tuple[Ints, NDArray[np.uint32]]]:
    """Vectors and the buckets that each looks up, block of vectors by block."""
    for row in range(0, len(axes), ROWS):
        near = axes[row : row + ROWS].astype(np.uint32)
        keys = np.stack([_bucket(near[:, range(HASHES), ranks]) for ranks in PROBES], axis=1).reshape(-1)
        yield np.repeat(np.arange(row, row + len(near)), len(PROBES)), keys


def _with_first(axes: NDArray[np.uint8], order: _Order) -> Iterator[tuple[Ints, Ints]]:
    """Indices of wide vectors and of the first turned close one of each crowded bucket that they look up."""
    for wide, keys in _looked_up(axes):
        starts = order.starts[keys]
        crowded = order.starts[keys + np.uint32(1)] - starts > CROWDED
        yield wide[crowded], order.places[starts[crowded]]


def _with_others(axes: NDArray[np.uint8], order: _Order) -> Iterator[tuple[Ints, Ints]]:
    """Indices of wide vectors and of turned close ones that meet, not too many at once."""
    for wide, keys in _looked_up(axes):
        starts, counts = (each.ravel() for each in _ranges(wide, keys, order))
        there = np.flatnonzero(counts)
        for part in _cut(there, counts[there]):
            number = counts[part]
            first = np.repeat(starts[part] - np.cumsum(number) + number, number)
            yield np.repeat(wide[part // 2], number), order.places[first + np.arange(len(first))]


def _ranges(wide: Ints, keys: NDArray[np.uint32], order: _Order) -> tuple[Ints, Ints]:
    """Starts and counts ``(n, 2)`` of places to meet: of crowded buckets before and after the own group."""
    starts = order.starts[keys].astype(np.int64)
    stops = order.starts[keys + np.uint32(1)].astype(np.int64)
    own_starts, own_stops = stops.copy(), stops.copy()
    crowded = np.flatnonzero(stops - starts > CROWDED)
    own = keys[crowded].astype(np.int64) * len(order.groups) + order.groups[wide[crowded]]
    own_starts[crowded] = np.searchsorted(order.keys, own)
    own_stops[crowded] = np.searchsorted(order.keys, own, side="right")
    return np.stack([starts, own_stops], 1), np.stack([own_starts - starts, stops - own_stops], 1)


def _cut(places: Ints, counts: Ints) -> Iterator[Ints]:
    """Places in groups whose counts are at most ``MOST_MEETINGS``, or in groups of one."""
    group = (np.cumsum(counts) - counts) // MOST_MEETINGS
    yield from np.split(places, np.flatnonzero(np.diff(group)) + 1)


def _alike_in_signs(signs: _Signs, share: float, meeting: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    wide, close = meeting
    words = range(signs.wide[share].shape[0])
    other = wide != close // len(SIGNS)
    wide, close = wide[other], close[other]
    few = _differing(signs, share, wide, close, words[:FEW_WORDS]) <= MOST_OF_FEW * 64 * FEW_WORDS
    wide, close = wide[few], close[few]
    few = _differing(signs, share, wide, close, words) <= MOST_BITS * signs.num_bits
    first, second = wide[few], close[few] // len(SIGNS)
    return np.minimum(first, second), np.maximum(first, second)
