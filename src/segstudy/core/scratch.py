"""Large arrays that are needed for one call only: in a file without a name, so that memory stays small."""

import os
import tempfile
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segstudy.core.cache import ELSEWHERE, cache_folder, writable_folder
from segstudy.core.errors import UserError

MOST_BYTES_IN_MEMORY = 64 * 2**20

Value = TypeVar("Value", bound=np.generic)


def scratch_array(shape: tuple[int, ...], dtype: type[Value]) -> NDArray[Value]:
    """An array of zeros; a large one lies in a file of the cache that the system removes with this process.

    The pages of that file are the system's to take back. Its space is reserved before it is mapped: a full
    disk is an error here, and not the end of the process (SIGBUS) later.

    Raises:
        UserError: there is no space for it.
    """
    num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if num_bytes <= MOST_BYTES_IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        folder = writable_folder("scratch")
        with tempfile.TemporaryFile(dir=folder) as stream:
            _reserve(stream, num_bytes)
            return np.memmap(stream, dtype, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"{cache_folder()}: no space for {num_bytes / 1e6:.0f} MB of arrays ({error.strerror}); free "
            f"some, or {ELSEWHERE}"
        ) from None


def _reserve(stream: Any, num_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(stream.fileno(), 0, num_bytes)
        return
    zeros = bytes(2**20)
    for start in range(0, num_bytes, len(zeros)):
        stream.write(zeros[: num_bytes - start])
    stream.flush()
