"""What a data set contains, as one hash: of ids, images and masks."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segstudy.core.atomic_files import DiskError, make_folder, write_text
from segstudy.core.cache import cache_folder
from segstudy.core.errors import UserError
from segstudy.core.file_stamps import UNSETTLED_NS, FileStamp, stamp_of
from segstudy.core.parallel import in_order
from segstudy.core.resources import allowed_cores
from segstudy.core.version import __version__
from segstudy.data.images import opened
from segstudy.data.samples import Sample
from segstudy.data.sources import (
    Described,
    Frame,
    ImageSource,
    MaskSource,
    Merged,
    PerClass,
    files_of,
    first_file,
)

KEEP_EVERY_S = 60.0  # an interrupted call loses no more than that


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
    stored = [each for sample in samples for each in (*_stored(sample.image), *_stored(sample.mask))]
    hashes = dict(zip(stored, _hashes(stored, lambda count: progress(count // 2)), strict=True))

    def hash_of(source: MaskSource) -> str:
        match source:
            case PerClass():
                named = (f"{name} {hash_of(mask)}" for name, mask in source.masks)
                return text_checksum("\n".join(named))[:32]
            case Merged():
                return text_checksum("\n".join(hashes[file] for file in source.files))[:32]
            case Described():
                return _hash_pixels(source.draw())
        return hashes[source]

    return {sample.id: (hash_of(sample.image), hash_of(sample.mask)) for sample in samples}


def _hash_pixels(pixels: NDArray[np.generic]) -> str:
    content = np.ascontiguousarray(pixels).tobytes() + str(pixels.shape).encode()
    return hashlib.blake2b(content).hexdigest()[:32]


def _stored(source: MaskSource) -> tuple[ImageSource, ...]:
    """What is hashed as it is stored: files, and images in files. Shapes are hashed as masks."""
    match source:
        case PerClass():
            return tuple(each for _, mask in source.masks for each in _stored(mask))
        case Described():
            return ()
        case Frame():
            return (source,)
    return files_of(source)


def _hashes(sources: Sequence[ImageSource], progress: Callable[[int], None]) -> list[str]:
    """Of every source; what was hashed before, and is the same by size and times, is not read again."""
    names = [_name(source) for source in sources]
    source_of = dict(zip(names, sources, strict=True))
    name = hashlib.sha256("\n".join(names).encode(errors="surrogatepass")).hexdigest()[:16]
    memory = cache_folder() / "fingerprints" / f"{name}.json"
    past = time.time_ns() - UNSETTLED_NS
    stamps = {name: _stamp(first_file(source)) for name, source in source_of.items()}
    known = {name: h for name, (stamp, h) in _remembered(memory).items() if stamps.get(name) == stamp}
    lasting = {name: stamp for name, stamp in stamps.items() if stamp.latest_ns < past}
    fresh = [name for name in names if name not in known]
    hashes = in_order(_hash, (source_of[name] for name in fresh), allowed_cores(hyperthreads=True))
    kept_s = time.monotonic()
    for name, hashed in zip(fresh, hashes, strict=True):
        known[name] = hashed
        progress(len(known))
        if time.monotonic() - kept_s > KEEP_EVERY_S:
            _remember(memory, lasting, known)
            kept_s = time.monotonic()
    if fresh:
        _remember(memory, lasting, known)
    return [known[name] for name in names]


def _remember(memory: Path, stamps: Mapping[str, FileStamp], known: Mapping[str, str]) -> None:
    """Keep the hashes of these files, as far as they are known."""
    files = {name: (stamp, known[name]) for name, stamp in stamps.items() if name in known}
    with suppress(DiskError):  # it only saves time
        make_folder(memory.parent)
        write_text(memory, json.dumps({"sha256": text_checksum(json.dumps(files)), "files": files}))


def _remembered(memory: Path) -> dict[str, tuple[FileStamp, str]]:
    """Hashes by file, each with the stamp it was made at; nothing where nothing is as it was written."""
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        if text_checksum(json.dumps(content["files"])) != content["sha256"]:
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


def _name(source: ImageSource) -> str:
    """What a hash is stored by; that of a decoded image with the versions that decoded it."""
    if isinstance(source, Frame):
        return "\0".join((os.fspath(source.file), str(source.index), _decoders()))
    return os.fspath(source)


@cache
def _decoders() -> str:
    packages = ("pydicom", "nibabel", "numpy")
    installed = [name for name in packages if find_spec(name)]
    return " ".join((__version__, *(f"{name} {version(name)}" for name in installed)))


def _hash(source: ImageSource) -> str:
    if isinstance(source, Frame):
        with opened(source) as image:
            return _hash_pixels(np.asarray(image))
    return _hash_file(source)


def _hash_file(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "blake2b").hexdigest()[:32]
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check that it is still there") from None


def text_checksum(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
