"""What ``check`` saw of a large data set, kept in the cache block by block: an interrupted check goes on.

A block is found by the names of its samples' files. It holds for the size and times of all of them, and the
versions of what decodes them; when one differs, the new block replaces the old one. It holds only what plain
image files show; of other data nothing is kept.
"""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.atomic_files import DiskError, make_folder, write_bytes
from segstudy.core.cache import cache_folder
from segstudy.core.file_stamps import UNSETTLED_NS, stamp_of
from segstudy.core.intensity import Scale
from segstudy.core.version import __version__
from segstudy.data.image_values import Levels
from segstudy.data.mask_looks import MaskLook
from segstudy.data.mask_tables import MaskTable
from segstudy.data.samples import Problem, Sample
from segstudy.data.sources import Merged

FEWEST = 2048  # samples of a data set, below which a check is over in seconds
SEAL_BYTES = 64

Written = dict[str, Any]


class StoredBlock:
    """One block of samples and its place in the cache."""

    def __init__(self, root: Path, samples: Sequence[Sample], scale: Scale, number: int):
        """Note the state of all files.

        Args:
            root: the folder of the data set.
            samples: of the block.
            scale: of the images' values.
            number: raised when what is seen changes.
        """
        self._place = [str(root), f"{scale} {scale.channels}"]
        self._versions = [number, *_decoders()]
        self._samples = samples
        self._stamps = _stamps(samples)

    @property
    def file(self) -> Path | None:
        """Where it is kept; None for samples of which nothing is."""
        if self._stamps is None:
            return None
        name = _hash([self._place, [stamp[:2] for stamp in self._stamps]])[:32]
        return cache_folder() / "checks" / name[:2] / f"{name}.json"

    @property
    def _made_from(self) -> str:
        return _hash([self._versions, self._stamps])

    def read(self) -> list[Written] | None:
        """Return what was kept; None where nothing is as it was written, or of other files or versions."""
        file = self.file
        if file is None:
            return None
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = file.read_bytes()
            if hashlib.sha256(content[SEAL_BYTES:]).hexdigest().encode() == content[:SEAL_BYTES]:
                kept = json.loads(content[SEAL_BYTES:])
                if kept["made_from"] == self._made_from:
                    found: list[Written] = kept["looks"]
                    return found
        return None

    def write(self, looks: Sequence[Written]) -> None:
        """Keep what was seen, unless a file was changed meanwhile or a moment ago."""
        file, stamps = self.file, self._stamps
        if file is None or stamps is None or stamps != _stamps(self._samples):
            return
        latest = max(stamp[-1][i] for stamp in stamps for i in (1, 2))
        if latest >= time.time_ns() - UNSETTLED_NS:
            return
        kept = {"made_from": self._made_from, "looks": looks}
        content = json.dumps(kept, default=_plain).encode()
        with suppress(DiskError):  # it only saves time
            make_folder(file.parent)
            write_bytes(file, hashlib.sha256(content).hexdigest().encode(), content)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _stamps(samples: Sequence[Sample]) -> list[Any] | None:
    """Names and states of all files; None where a sample is more than plain files, or a file is gone."""
    found = []
    for sample in samples:
        files = [sample.image, *(sample.mask.files if isinstance(sample.mask, Merged) else [sample.mask])]
        for file in files:
            if not isinstance(file, Path):
                return None
            try:
                found.append([sample.id, str(file), stamp_of(file.stat())])
            except OSError:
                return None
    return found


@cache
def _decoders() -> tuple[str, ...]:
    packages = ("pillow", "numpy", "opencv-python-headless")
    found = [__version__]
    for name in packages:
        with suppress(Exception):
            found.append(version(name))
    return tuple(found)


# Values as JSON


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)


def written_array(values: NDArray[Any] | None) -> Any:
    """An array of any type and shape."""
    if values is None:
        return None
    content = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
    return [values.dtype.str, list(values.shape), content]


def read_array(written: Any) -> Any:
    """Return what ``written_array`` was called with."""
    if written is None:
        return None
    dtype, shape, content = written
    return np.frombuffer(base64.b64decode(content), np.dtype(dtype)).reshape(shape)


def written_mask(look: MaskLook | None) -> Any:
    """What a mask shows."""
    if look is None:
        return None
    table = look.table
    arrays = (table.values, table.counts, table.colours, look.border, look.steady)
    rest = [str(table.path), table.kind, table.lossy]
    rest += [list(look.shape), look.flat_frac, look.mode, look.turned, look.is_white_zero]
    return [*rest, *map(written_array, arrays)]


def read_mask_look(written: Any) -> MaskLook | None:
    """Return what ``written_mask`` was called with."""
    if written is None:
        return None
    path, kind, lossy, shape, flat_frac, mode, turned, is_white_zero, *arrays = written
    values, counts, colours, border, steady = map(read_array, arrays)
    table = MaskTable(Path(path), kind, lossy, values, counts, colours)
    return MaskLook(table, border, tuple(shape), flat_frac, mode, turned, is_white_zero, steady)


def written_levels(levels: Levels | None) -> Any:
    """What an image's values are."""
    return None if levels is None else asdict(levels)


def read_levels(written: Any) -> Levels | None:
    """Return what ``written_levels`` was called with."""
    if written is None:
        return None
    extents = tuple((low, high) for low, high in written["extents"])
    return Levels(**{**written, "inner": tuple(written["inner"]), "extents": extents})


def read_problem(written: Any) -> Problem:
    """A finding, of which ``asdict`` was written."""
    return Problem(**{**written, "samples": tuple(written["samples"])})
