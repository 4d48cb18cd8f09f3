"""Decode and resize once; afterwards every run and process maps the same arrays into memory."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import platformdirs
from numpy.typing import NDArray

from segstudy.data.samples import Sample
from segstudy.errors import UserError
from segstudy.files import DiskError, make_folder, write_text
from segstudy.images import read_mask
from segstudy.preprocess import (
    Resize,
    Size,
    image_to_network,
    mask_to_network,
    numerics,
    read_for_network,
)
from segstudy.resources import allowed_cores

UNSETTLED_NS = 2_000_000_000  # a file changed so lately may change again within the same tick of its clock


class PreparedDataGoneError(UserError):
    """Prepared data cannot be opened: caches may be emptied at any time."""


@dataclass(frozen=True)
class Prepared:
    """All samples at network size, with the true masks at native size; arrays are read-only maps.

    Attributes:
        ids: N sample ids, sorted.
        images: ``(N, height, width, 3)`` uint8, RGB.
        masks: ``(N, height, width)`` bool.
        native_sizes: N pairs of height and width of the images as published.
        resize: how the images were brought to network size.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    native_sizes: tuple[Size, ...]
    resize: Resize
    _packed: NDArray[np.uint8]
    _starts: tuple[int, ...]

    def native_mask(self, index: int) -> NDArray[np.bool_]:
        """The true mask of one sample at the image's own size, ``(H, W)``."""
        height, width = self.native_sizes[index]
        bits = self._packed[self._starts[index] : self._starts[index + 1]]
        return np.unpackbits(bits, count=height * width).view(np.bool_).reshape(height, width)

    def positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Where these ids stand in the arrays."""
        place = {sample_id: i for i, sample_id in enumerate(self.ids)}
        return np.array([place[sample_id] for sample_id in ids], np.int64)


def cache_folder() -> Path:
    """Where derived data may be kept and deleted: SEGSTUDY_CACHE, or the system's place for caches."""
    return Path(os.environ.get("SEGSTUDY_CACHE") or platformdirs.user_cache_path("segstudy"))


def fingerprint(samples: Sequence[Sample], progress: Callable[[int], None] = lambda _: None) -> str:
    """A hash of ids, image files and mask files: equal data, equal fingerprint, wherever it lies.

    Args:
        samples: what to hash.
        progress: told how many samples are hashed.

    Raises:
        UserError: a file that cannot be read.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    files = [file for sample in ordered for file in (sample.image, sample.mask)]
    hashes = _hashes(files, lambda count: progress(count // 2))
    rows = [[s.id, hashes[2 * i], hashes[2 * i + 1]] for i, s in enumerate(ordered)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _hashes(files: Sequence[Path], progress: Callable[[int], None]) -> list[str]:
    """Of every file; what was hashed before, and is the same by size and times, is not read again."""
    names = [os.fspath(file) for file in files]
    name = hashlib.sha256("\n".join(names).encode(errors="surrogatepass")).hexdigest()[:16]
    memory = cache_folder() / "fingerprints" / f"{name}.json"
    past = time.time_ns() - UNSETTLED_NS
    stamps = {name: _stamp(file) for name, file in zip(names, files, strict=True)}
    known = {name: h for name, (stamp, h) in _remembered(memory).items() if stamps.get(name) == stamp}
    fresh = [name for name in names if name not in known]
    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        for name, hashed in zip(fresh, pool.map(_hash_file, map(Path, fresh)), strict=True):
            known[name] = hashed
            progress(len(known))
    if fresh:
        lasting = {name: (stamp, known[name]) for name, stamp in stamps.items() if max(stamp[1:3]) < past}
        with suppress(DiskError):  # it only saves time
            make_folder(memory.parent)
            write_text(memory, json.dumps(lasting))
    return [known[name] for name in names]


def _remembered(memory: Path) -> dict[str, tuple[list[int], str]]:
    """Hashes by file, each with the stamp it was made at; nothing where nothing can be read."""
    try:
        entries = json.loads(memory.read_text(encoding="utf-8")).items()
        return {file: (list(map(int, stamp)), str(hashed)) for file, (stamp, hashed) in entries}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _stamp(file: Path) -> list[int]:
    """What changes when a file does: size, times of its content and its entry in ns, and inode."""
    try:
        status = file.stat()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check that it is still there") from None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _hash_file(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "blake2b").hexdigest()[:32]
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check that it is still there") from None


def prepare(
    samples: Sequence[Sample],
    data: str,
    size: Size,
    resize: Resize,
    foreground: tuple[int, ...] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Bring all samples to network size, once; the folder returned is opened with ``open_prepared``.

    The folder's name is a hash of content and settings. It is built aside and renamed, so processes
    may share it and it may be deleted at any time.

    Args:
        samples: what to prepare.
        data: their fingerprint.
        size: height and width in pixels.
        resize: ``squash`` or ``pad``.
        foreground: values of a multi-class mask that count as foreground.
        progress: told the number of samples done.

    Raises:
        UserError: an unreadable image or mask.
    """
    version = numerics(sample.image for sample in samples)
    settings = json.dumps([version, data, size, resize, foreground])
    folder = cache_folder() / "prepared" / hashlib.sha256(settings.encode()).hexdigest()[:16]
    if folder.is_dir():
        if _is_whole(folder):
            return folder
        shutil.rmtree(folder, ignore_errors=True)  # half emptied, or cut short by a power failure
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(
            f"{folder.parent}: cannot be written ({error.strerror}); point SEGSTUDY_CACHE elsewhere"
        ) from None
    try:
        _build(building, sorted(samples, key=lambda s: s.id), (size, resize, foreground), progress)
        _rename(building, folder)
    except OSError as error:
        raise UserError(
            f"{folder.parent}: no room or no right ({error.strerror}); point SEGSTUDY_CACHE elsewhere"
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _build(
    folder: Path,
    samples: Sequence[Sample],
    settings: tuple[Size, Resize, tuple[int, ...] | None],
    progress: Callable[[int], None],
) -> None:
    size, resize, foreground = settings

    def load(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Size, NDArray[np.uint8]]:
        native, image = read_for_network(sample.image, size, resize)
        mask = read_mask(sample.mask, foreground)
        if native != mask.shape:
            raise UserError(f"{sample.id}: image and mask differ in size; `segstudy check` says more")
        small = image_to_network(image, size, resize, native), mask_to_network(mask, size, resize)
        return *small, native, np.packbits(mask)

    shape = (len(samples), *size)
    sizes: list[Size] = []
    starts = [0]
    with (
        ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool,
        _written(folder / "images.npy") as images,
        _written(folder / "masks.npy") as masks,
        _written(folder / "native.bits") as native,
    ):
        # Written, not mapped: a full disk then is an error and not the end of the process (SIGBUS).
        _write_header(images, np.dtype(np.uint8), (*shape, 3))
        _write_header(masks, np.dtype(np.bool_), shape)
        for i, (image, mask, native_size, bits) in enumerate(pool.map(load, samples)):
            images.write(np.ascontiguousarray(image).data)
            masks.write(np.ascontiguousarray(mask).data)
            sizes.append(native_size)
            starts.append(starts[-1] + native.write(bits.data))
            progress(i + 1)
    index = {"ids": [s.id for s in samples], "native_sizes": sizes, "starts": starts, "resize": resize}
    with _written(folder / "index.json") as stream:
        stream.write(json.dumps(index).encode())


@contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """A new file, on the disk when the block ends."""
    with file.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _write_header(stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, description)


def _is_whole(folder: Path) -> bool:
    try:
        prepared = open_prepared(folder)
    except PreparedDataGoneError:
        return False
    lengths = {len(prepared.ids), len(prepared.images), len(prepared.masks), len(prepared._starts) - 1}
    return len(lengths) == 1 and prepared._starts[-1] == len(prepared._packed)


def _rename(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same content
            raise


def open_prepared(folder: Path) -> Prepared:
    """Map a prepared folder into memory.

    Raises:
        PreparedDataGoneError: it is not there any more, or not whole.
    """
    try:
        return _open(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PreparedDataGoneError(f"{folder}: prepared data that cannot be read ({error})") from error


def _open(folder: Path) -> Prepared:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return Prepared(
        ids=tuple(index["ids"]),
        images=np.load(folder / "images.npy", mmap_mode="r"),
        masks=np.load(folder / "masks.npy", mmap_mode="r"),
        native_sizes=tuple((height, width) for height, width in index["native_sizes"]),
        resize=index["resize"],
        _packed=np.memmap(folder / "native.bits", np.uint8, "r"),
        _starts=tuple(index["starts"]),
    )
