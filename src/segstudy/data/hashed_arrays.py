"""Arrays in files with a hash of every block: read piece by piece, and altered ones are noticed.

Nothing is mapped into memory: when a mapped file is cut short the system ends the process (SIGBUS), and
nobody can write down why.
"""

import hashlib
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Generic, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from segstudy.core.errors import UserError
from segstudy.core.file_stamps import FileStamp, stamp_of
from segstudy.core.resources import allowed_cores

BLOCK_BYTES = 4 * 2**20  # hashed at once
# BLAKE2b: .9 GB/s on any 64-bit core. SHA-256 is as quick only where the processor has instructions for it.
HASH_BYTES = 16

Value = TypeVar("Value", bound=np.generic)


class PreparedDataGoneError(UserError):
    """Prepared data are gone, or not as they were written: caches may be emptied at any time.

    Attributes:
        detail: what is wrong, without the remedy.
    """

    def __init__(self, detail: str):
        self.detail = detail
        super().__init__(f"{detail}; run again: the data are prepared again")


class HashedWriter:
    """Writes to a stream and hashes what passes, block by block."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._hashes: list[str] = []
        self._hash, self._room = _new_hash(), BLOCK_BYTES

    def write(self, data: bytes | memoryview) -> int:
        """Write bytes; returns how many."""
        view = memoryview(data)
        for start in self._cuts(len(view)):
            piece = view[start : start + self._room]
            self._stream.write(piece)
            self._hash.update(piece)
            self._room -= len(piece)
            if not self._room:
                self._end_block()
        return len(view)

    def _cuts(self, length: int) -> Iterator[int]:
        start = 0
        while start < length:
            room = self._room
            yield start
            start += room

    def write_header(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Begin an ``.npy`` file."""
        description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self, description)

    def _end_block(self) -> None:
        self._hashes.append(self._hash.hexdigest())
        self._hash, self._room = _new_hash(), BLOCK_BYTES

    def hashes(self) -> list[str]:
        """Of all blocks; to be called once, at the end."""
        if self._room < BLOCK_BYTES:
            self._end_block()
        return self._hashes

    def mark(self) -> tuple[int, str]:
        """The number of bytes so far, all of them in the file, and a hash of the hashes of their blocks."""
        self._stream.flush()
        blocks = [*self._hashes, self._hash.hexdigest()]
        num_bytes = len(self._hashes) * BLOCK_BYTES + BLOCK_BYTES - self._room
        return num_bytes, hashlib.sha256("".join(blocks).encode()).hexdigest()

    def go_on(self, mark: tuple[int, str]) -> None:
        """Hash again what an interrupted writer left in this stream, up to its mark, and go on there.

        Raises:
            ValueError: it is not what was written.
        """
        left = mark[0]
        while left and (piece := self._stream.read(min(left, self._room))):
            self._hash.update(piece)
            self._room -= len(piece)
            left -= len(piece)
            if not self._room:
                self._end_block()
        if self.mark() != tuple(mark):
            raise ValueError("was altered, or cut short")
        self._stream.truncate(mark[0])
        self._stream.seek(mark[0])


def _new_hash() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=HASH_BYTES)


@contextmanager
def written(file: Path, *, go_on: bool = False) -> Iterator[BinaryIO]:
    """A new file, or one to go on with, on the disk when the block ends."""
    with file.open("r+b" if go_on else "wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


class StoredFile:
    """A file to read from, of which the hashes of all blocks are known.

    Once checked, it is checked again as soon as its size or times are others than they were.
    """

    def __init__(self, path: Path, hashes: Sequence[str]):
        self._path, self._hashes = path, tuple(hashes)
        stream = path.open("rb", buffering=0)
        weakref.finalize(self, stream.close)
        self._stream = stream
        self._reading, self._checking = threading.Lock(), threading.Lock()
        self._stamp: FileStamp | None = None

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The bytes of a range.

        Raises:
            PreparedDataGoneError: they are not there any more, or the file was altered.
        """
        found = np.empty(stop - start, np.uint8)
        self.read_into(found, start)
        self.refuse_altered()
        return found

    def read_into(self, target: NDArray[np.uint8], start: int) -> None:
        """Fill an array of bytes; ``refuse_altered`` is to follow before they are used."""
        view, done = target.data, 0
        with self._reading:
            self._stream.seek(start)
            while done < len(view):
                count = self._stream.readinto(view[done:])
                if not count:
                    self._refuse("was cut short")
                done += count

    def refuse_altered(self) -> None:
        """Check the file again if its size or times have changed since it was checked.

        Raises:
            PreparedDataGoneError: it was altered.
        """
        if self._stamp is None or self._stamp == self.stamp():
            return
        with self._checking:
            if self._stamp != self.stamp():
                self.check()

    def check(self) -> None:
        """Compare every block with its hash.

        Raises:
            PreparedDataGoneError: a block was altered, or is missing.
        """
        verify([self])

    def num_blocks(self) -> int:
        """By the file's size, which is to fit its hashes.

        Raises:
            PreparedDataGoneError: it does not.
        """
        size = os.fstat(self._stream.fileno()).st_size
        if -(-size // BLOCK_BYTES) != len(self._hashes):
            self._refuse("was cut short or grew")
        return len(self._hashes)

    def stamp(self) -> FileStamp:
        """The numbers that change when the file does."""
        return stamp_of(os.fstat(self._stream.fileno()))

    def rely_on(self, stamp: FileStamp) -> None:
        """Read without a check as long as the file has this stamp."""
        self._stamp = stamp

    def check_block(self, number: int) -> None:
        """Compare one block with its hash.

        Raises:
            PreparedDataGoneError: it was altered.
        """
        start = number * BLOCK_BYTES
        size = os.fstat(self._stream.fileno()).st_size
        block = np.empty(max(0, min(BLOCK_BYTES, size - start)), np.uint8)
        self.read_into(block, start)
        found = _new_hash()
        found.update(block.data)
        if found.hexdigest() != self._hashes[number]:
            self._refuse(f"was altered (block {number + 1} of {len(self._hashes)})")

    def header(self) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        """Of an ``.npy`` file: shape, type, and where the values begin.

        Raises:
            ValueError: it is none, or not in C order.
        """
        with self._reading:
            self._stream.seek(0)
            np.lib.format.read_magic(self._stream)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(self._stream)
            if fortran:
                raise ValueError(f"{self._path.name} is in Fortran order")
            return shape, dtype, self._stream.tell()

    def _refuse(self, reason: str) -> NoReturn:
        raise PreparedDataGoneError(f"{self._path}: {reason}")


def verify(files: Sequence[StoredFile]) -> None:
    """Compare every block of these files with its hash, side by side.

    Raises:
        PreparedDataGoneError: a block was altered, or is missing.
    """
    before = [file.stamp() for file in files]  # what is altered while it is checked is checked again
    blocks = [(file, number) for file in files for number in range(file.num_blocks())]
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        futures = [pool.submit(file.check_block, number) for file, number in blocks]
        try:
            for future in futures:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)
    for file, stamp in zip(files, before, strict=True):
        file.rely_on(stamp)


class StoredArray(Generic[Value]):
    """An array in an ``.npy`` file, along whose first axis it can be indexed; what is indexed is read.

    Attributes:
        shape: of all of it.
        dtype: of its values.
    """

    def __init__(self, file: StoredFile, dtype: np.dtype[Value]):
        """Open it.

        Raises:
            ValueError: no ``.npy`` file, or one of another type.
        """
        self._file = file
        self.shape, found, self._offset = file.header()
        if found != dtype:
            raise ValueError(f"values of type {found} where {dtype} was expected")
        self.dtype = dtype
        self._row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * dtype.itemsize
        self._places = np.arange(self.shape[0])

    @property
    def nbytes(self) -> int:
        """Of all values."""
        return len(self) * self._row_bytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: "int | slice | NDArray[np.int64]") -> NDArray[Value]:
        """Read what NumPy's indexing of the first axis means.

        Raises:
            IndexError: there is no such place.
            PreparedDataGoneError: the file was cut short or altered.
        """
        places = self._places[index]
        found = np.empty((places.size, self._row_bytes), np.uint8)
        if places.size > 1 and places[-1] - places[0] == places.size - 1 and (np.diff(places) == 1).all():
            self._file.read_into(found.reshape(-1), self._offset + int(places[0]) * self._row_bytes)
        else:
            for row, place in zip(found, np.atleast_1d(places).tolist(), strict=True):
                self._file.read_into(row, self._offset + place * self._row_bytes)
        self._file.refuse_altered()
        return found.view(self.dtype).reshape(*places.shape, *self.shape[1:])

    def __setitem__(self, index: object, value: object) -> NoReturn:
        raise ValueError("prepared data are read-only")

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an array in a file is read, which makes a copy")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)
