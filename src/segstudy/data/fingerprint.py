"""What a data set contains, as one hash: of ids, images and masks."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segstudy.core.atomic_files import DiskError, make_folder, write_text
from segstudy.core.cache import cache_folder
from segstudy.core.errors import UserError
from segstudy.core.file_stamps import FileStamp, stamp_of
from segstudy.core.resources import allowed_cores
from segstudy.data.images import opened
from segstudy.data.samples import Sample
from segstudy.data.sources import Described, Frame, MaskSource, Merged, files_of

UNSETTLED_NS = 2_000_000_000  # a file changed so lately may change again within the same tick of its clock


def fingerprint(samples: Sequence[Sample], progress: Callable[[int], None] = lambda _: None) -> str:
    """A hash of ids, image files and mask files: equal data, equal fingerprint, wherever it lies.

    Args:
        samples: what to hash.
        progress: called with the number of samples hashed.

    Raises:
        UserError: a file that cannot be read.
    """
    return fingerprint_of(contents(samples, progress))


def fingerprint_of(hashes: Mapping[str, tuple[str, str]]) -> str:
    """The same of what ``contents`` found."""
    rows = [[sample_id, *hashes[sample_id]] for sample_id in sorted(hashes)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def contents(
    samples: Sequence[Sample], progress: Callable[[int], None] = lambda _: None
) -> dict[str, tuple[str, str]]:
    """Hashes of each sample's image file and of its mask, by its id; as ``fingerprint``."""
    files = [file for sample in samples for file in (*_plain_files(sample.image), *_plain_files(sample.mask))]
    hashes = dict(zip(files, _hashes(files, lambda count: progress(count // 2)), strict=True))

    def hash_of(source: MaskSource) -> str:
        match source:
            case Merged():
                return _seal("\n".join(hashes[file] for file in source.files))[:32]
            case Described():
                return _hash_pixels(source.draw())
            case Frame():
                with opened(source) as image:
                    return _hash_pixels(np.asarray(image))
        return hashes[source]

    return {sample.id: (hash_of(sample.image), hash_of(sample.mask)) for sample in samples}


def _hash_pixels(pixels: NDArray[np.generic]) -> str:
    content = np.ascontiguousarray(pixels).tobytes() + str(pixels.shape).encode()
    return hashlib.blake2b(content).hexdigest()[:32]


def _plain_files(source: MaskSource) -> tuple[Path, ...]:
    """The files whose bytes are the content of a source; others are hashed as they look."""
    return () if isinstance(source, Described | Frame) else files_of(source)


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
        lasting = {name: (stamp, known[name]) for name, stamp in stamps.items() if stamp.latest_ns < past}
        with suppress(DiskError):  # it only saves time
            make_folder(memory.parent)
            write_text(memory, json.dumps({"sha256": _seal(json.dumps(lasting)), "files": lasting}))
    return [known[name] for name in names]


def _remembered(memory: Path) -> dict[str, tuple[FileStamp, str]]:
    """Hashes by file, each with the stamp it was made at; nothing where nothing is as it was written."""
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        if _seal(json.dumps(content["files"])) != content["sha256"]:
            return {}
        entries = content["files"].items()
        return {file: (FileStamp(*map(int, stamp)), str(hashed)) for file, (stamp, hashed) in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _stamp(file: Path) -> FileStamp:
    try:
        return stamp_of(file.stat())
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check that it is still there") from None


def _hash_file(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "blake2b").hexdigest()[:32]
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check that it is still there") from None


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
