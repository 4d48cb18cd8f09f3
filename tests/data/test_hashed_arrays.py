"""Arrays in files: read as NumPy would index them, and no altered byte is used."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segstudy.data import hashed_arrays
from segstudy.data.hashed_arrays import (
    HashedWriter,
    PreparedDataGoneError,
    StoredArray,
    StoredFile,
    verify,
    written,
)

SHAPE = (23, 5, 7, 3)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch) -> None:
    monkeypatch.setattr(hashed_arrays, "BLOCK_BYTES", 256)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


def stored(path: Path, values: np.ndarray) -> tuple[Path, list[str]]:
    with written(path) as stream:
        writer = HashedWriter(stream)
        writer.write_header(values.dtype, values.shape)
        for row in values:
            writer.write(row.tobytes())
    return path, writer.hashes()


@pytest.fixture
def file(tmp_path, values) -> StoredFile:
    return StoredFile(*stored(tmp_path / "a.npy", values))


def test_it_is_an_ordinary_npy_file(file, tmp_path, values):
    assert np.array_equal(np.load(tmp_path / "a.npy"), values)


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int64(7),
        slice(None),
        slice(3, 9),
        slice(None, None, -2),
        slice(5, 5),
        np.array([4, 5, 6, 7]),
        np.array([9, 2, 2, 22, -3]),
        np.array([], np.int64),
        [1, 0],
    ],
)
def test_indexing_is_that_of_numpy(file, values, index):
    array = StoredArray(file, np.dtype(np.uint8))
    assert np.array_equal(array[index], values[index])
    assert array[index].shape == values[index].shape


def test_whole_and_one_by_one(file, values):
    array = StoredArray(file, np.dtype(np.uint8))
    assert np.array_equal(np.array(array), values)
    assert all(np.array_equal(a, b) for a, b in zip(array, values, strict=True))
    assert (len(array), array.shape, array.nbytes) == (23, SHAPE, values.nbytes)


def test_truth_values_come_back_as_such(tmp_path):
    values = np.random.default_rng(0).random((4, 3, 5)) < 0.5
    array = StoredArray(StoredFile(*stored(tmp_path / "m.npy", values)), np.dtype(np.bool_))
    assert array[1].dtype == bool
    assert np.array_equal(array[np.array([3, 0])], values[[3, 0]])


def test_there_is_no_place_beyond_the_last(file):
    with pytest.raises(IndexError):
        StoredArray(file, np.dtype(np.uint8))[23]


def test_another_type_is_refused(file):
    with pytest.raises(ValueError, match="uint8 where bool"):
        StoredArray(file, np.dtype(np.bool_))


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 2542), bit=st.integers(0, 7))
def test_any_altered_bit_is_found(tmp_path_factory, at, bit):
    values = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    path, hashes = stored(tmp_path_factory.mktemp("f") / "a.npy", values)
    content = bytearray(path.read_bytes())
    assert len(content) == 2543
    content[at] ^= 1 << bit
    path.write_bytes(bytes(content))
    with pytest.raises(PreparedDataGoneError, match=rf"altered \(block {at // 256 + 1} of 10\)"):
        verify([StoredFile(path, hashes)])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 2542, 2544, 3000])
def test_any_other_length_is_found(tmp_path, values, size):
    path, hashes = stored(tmp_path / "a.npy", values)
    os.truncate(path, size)
    with pytest.raises(PreparedDataGoneError, match=r"altered|cut short"):
        verify([StoredFile(path, hashes)])


def test_a_file_cut_short_after_it_was_checked_is_an_error_and_no_signal(file, tmp_path):
    """Mapped into memory it would be SIGBUS."""
    array = StoredArray(file, np.dtype(np.uint8))
    file.check()
    os.truncate(tmp_path / "a.npy", 200)
    for index in (22, slice(None), np.array([3, 9])):
        with pytest.raises(PreparedDataGoneError, match="cut short"):
            array[index]


def test_what_is_altered_after_it_was_checked_is_not_used(file, tmp_path):
    array = StoredArray(file, np.dtype(np.uint8))
    file.check()
    assert array[0].size
    with (tmp_path / "a.npy").open("r+b") as stream:
        stream.seek(1000)
        before = stream.read(1)[0]
        stream.seek(1000)
        stream.write(bytes([before ^ 1]))
    status = (tmp_path / "a.npy").stat()
    os.utime(tmp_path / "a.npy", ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))
    with pytest.raises(PreparedDataGoneError, match="altered"):
        array[0]  # whichever place is asked for
    with pytest.raises(PreparedDataGoneError, match="altered"):
        array[0]  # and not only once


def test_a_file_that_only_lost_its_name_serves_on(file, tmp_path, values):
    array = StoredArray(file, np.dtype(np.uint8))
    file.check()
    (tmp_path / "a.npy").unlink()
    assert np.array_equal(array[:], values)


def test_threads_read_side_by_side(file, values):
    array, wrong = StoredArray(file, np.dtype(np.uint8)), []

    def read(seed: int) -> None:
        places = np.random.default_rng(seed).integers(0, 23, 300)
        wrong.extend(place for place in places if not np.array_equal(array[place], values[place]))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("sizes", [[1] * 600, [600], [255, 2, 255, 256, 1], [256, 256], []])
def test_hashes_are_those_of_the_blocks_however_they_are_written(tmp_path, sizes):
    content = np.random.default_rng(1).integers(0, 256, sum(sizes), np.uint8).tobytes()
    with written(tmp_path / "f") as stream:
        writer, start = HashedWriter(stream), 0
        for size in sizes:
            start += writer.write(content[start : start + size])
    assert (tmp_path / "f").read_bytes() == content
    hashes = writer.hashes()
    assert len(hashes) == -(-len(content) // 256)
    verify([StoredFile(tmp_path / "f", hashes)])
