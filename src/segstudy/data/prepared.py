"""Decode and resize once; afterwards every run and process reads the same arrays."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import PIL
from numpy.typing import NDArray

from segstudy.core.cache import ELSEWHERE, built, cache_folder, is_cached
from segstudy.core.errors import UserError, printable
from segstudy.core.intensity import COLOURS, FULL, Scale
from segstudy.core.interrupted_building import built_on, remove_unfinished
from segstudy.core.mask_rules import USUAL, MaskMeaning
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.parallel import in_order
from segstudy.core.windowing import Windowing
from segstudy.data.chunks import CHUNK
from segstudy.data.epoch_order import NetworkForward, Positions, shuffled
from segstudy.data.fingerprint import text_checksum
from segstudy.data.hashed_arrays import (
    BLOCK_BYTES,
    PreparedDataGoneError,
    StoredArray,
    StoredFile,
    verify,
    written,
)
from segstudy.data.packed_masks import unpacked_mask
from segstudy.data.prepared_writer import PreparedWriter
from segstudy.data.preprocess import (
    Resize,
    Size,
    numerics,
)
from segstudy.data.sample_files import FILES, SampleFiles, chunk_files, resized_files
from segstudy.data.samples import Sample
from segstudy.data.tiled import Tiled, tiled

__all__ = ["Positions", "Prepared", "Samples", "open_prepared", "prepare", "shuffled"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """All samples at network size, with the true masks at native size; what is indexed is read.

    Attributes:
        ids: N sample ids, sorted.
        images: ``(N, height, width, channels)`` uint8; three channels are RGB.
        masks: ``(N, height, width)``, of the type ``outputs.mask_dtype``.
        native_sizes: N pairs of height and width of the images as published.
        resize: how the images were brought to network size.
        outputs: what the masks hold.
    """

    ids: tuple[str, ...]
    images: StoredArray[np.uint8]
    masks: StoredArray[Any]
    native_sizes: tuple[Size, ...]
    resize: Resize
    _packed: StoredFile
    _starts: tuple[int, ...]
    outputs: Outputs = BINARY

    def native_mask(self, index: int) -> NDArray[Any]:
        """The true mask of one sample at the image's own size, ``(H, W)``, of the type of ``masks``."""
        bits = self._packed.read(self._starts[index], self._starts[index + 1])
        return unpacked_mask(bits, self.native_sizes[index], self.outputs)

    def network_mask(self, position: int) -> NDArray[Any]:
        """Return the true mask of one sample at network size, ``(height, width)``."""
        return np.asarray(self.masks[position])

    def num_inputs(self, positions: Positions) -> int:
        """Return how many inputs an epoch over these samples has."""
        return len(positions)

    def order_of_epoch(self, positions: Positions, seed: int, epoch: int) -> Positions:
        """Return the inputs of one epoch, the same for every architecture, loss and batch size."""
        return shuffled(positions, seed, epoch)

    def scoring_inputs(self, positions: Positions) -> Positions:
        """Return the inputs that these samples are scored from: of each sample one."""
        return np.asarray(positions)

    def inputs(self, order: Positions) -> NDArray[np.uint8]:
        """Return inputs of an epoch, ``(n, height, width, channels)``."""
        return self.images[order]

    def targets(self, order: Positions) -> NDArray[Any]:
        """Return their true masks, ``(n, height, width)``."""
        return self.masks[order]

    def predicted(self, position: int, forward: NetworkForward) -> NDArray[np.float32]:
        """Return what a network gives for one sample, ``outputs.prob_shape(height, width)``."""
        return np.asarray(forward(self.images[position : position + 1])[0])

    def names(self, order: Positions) -> list[str]:
        """Return a name of each input, which its augmentation depends on: the sample's id."""
        return [self.ids[position] for position in order]

    def positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Where these ids stand in the arrays."""
        place = {sample_id: i for i, sample_id in enumerate(self.ids)}
        return np.array([place[sample_id] for sample_id in ids], np.int64)


Samples = Prepared | Tiled


def prepare(  # noqa: PLR0913 (a setting each)
    samples: Sequence[Sample],
    data: str,
    size: Size,
    resize: Resize,
    meaning: MaskMeaning = USUAL,
    scale: Scale = FULL,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Bring all samples to network size, once; the folder returned is opened with ``open_prepared``.

    With ``tiles`` they keep their own size and lie in chunks, which are the same for every size of tiles.

    The folder's name is a hash of content and settings. It is built aside and renamed, so processes
    may share it and it may be deleted at any time. One that is there is checked, byte by byte; what is not
    as it was written is prepared again, and a warning is logged.

    Args:
        samples: what to prepare.
        data: their fingerprint.
        size: height and width in pixels.
        resize: ``squash``, ``pad`` or ``tiles``.
        meaning: of the masks' values.
        scale: of the images' values, and their number of channels.
        progress: called with the number of samples done.

    Many samples, or large ones, that a stopped or killed process has prepared are kept, and the next call
    goes on from there.

    Raises:
        UserError: an unreadable image or mask, or a cache that cannot be written.
    """
    version = numerics(sample.image for sample in samples)
    # With the version of Pillow: pixels come from the one that a run says it had.
    kept = ("chunks", CHUNK) if resize == "tiles" else size
    named: list[Any] = [version, data, kept, resize, str(meaning.rule), meaning.foreground, PIL.__version__]
    if scale.key != FULL.key:
        named.append(scale.key)
    if scale.channels != COLOURS:
        named.append({"channels": scale.channels})
    if meaning.outputs != BINARY:
        named.append({"classes": [str(each) for each in meaning.classes], "ignore": meaning.ignore})
    settings = json.dumps(named)
    folder = cache_folder() / "prepared" / _name(settings)
    if is_cached(folder):
        fault = _fault(folder)
        if fault is None:
            remove_unfinished(folder)
            return folder
        log.warning(printable(f"{fault}; the data are prepared again"))
        _remove(folder)
    ordered = sorted(samples, key=lambda sample: sample.id)
    writing = (chunk_files if resize == "tiles" else resized_files)(ordered, (size, resize, meaning, scale))
    with (built_on if writing.is_long else built)(folder) as building:
        index = _build(building, ordered, writing, progress)
        index = {"ids": [sample.id for sample in ordered], "resize": resize, **index}
        if meaning.outputs != BINARY:
            index["outputs"] = asdict(meaning.outputs)
        _write_index(building / "index.json", index | {"settings": settings})
    return folder


def _name(settings: str) -> str:
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


def _fault(folder: Path) -> str | None:
    """What is wrong with a prepared folder; None for nothing."""
    try:
        with _readable(folder):
            _files(folder, check=True)
    except PreparedDataGoneError as error:
        return error.detail
    return None


def _remove(folder: Path) -> None:
    """Make room for a new one.

    Raises:
        UserError: it belongs to another user.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if is_cached(folder) and _fault(folder):  # else another process has made it again already
        raise UserError(
            f"{folder}: is damaged and cannot be removed: have it removed by its owner, or {ELSEWHERE}"
        )


def _build(
    folder: Path, samples: Sequence[Sample], writing: SampleFiles, progress: Callable[[int], None]
) -> dict[str, Any]:
    with PreparedWriter(folder, writing.files) as writer:
        left = samples[writer.num_done :]
        for native, pieces in in_order(writing.load, left, writing.threads, writing.ahead):
            writer.add(native, pieces)
            progress(writer.num_done)
        return writer.finished()


def _write_index(file: Path, index: dict[str, Any]) -> None:
    index["block_bytes"] = BLOCK_BYTES
    text = json.dumps(index)
    with written(file) as stream:
        stream.write(json.dumps({"sha256": text_checksum(text), "index": index}).encode())


@overload
def open_prepared(folder: Path, windowing: None = None, *, check: bool = True) -> Prepared: ...


@overload
def open_prepared(folder: Path, windowing: Windowing, *, check: bool = True) -> Tiled: ...


@overload
def open_prepared(folder: Path, windowing: Windowing | None, *, check: bool = True) -> Samples: ...


def open_prepared(folder: Path, windowing: Windowing | None = None, *, check: bool = True) -> Samples:
    """Open a prepared folder.

    Args:
        folder: as ``prepare`` returned it.
        windowing: how images are cut into windows, for ``tiles``, and only for them.
        check: compare all of it with its hashes; some seconds for ten gigabytes. Without, only what changes
            from now on is noticed.

    Raises:
        PreparedDataGoneError: it is not there any more, or not as it was written.
    """
    with _readable(folder):
        index, files = _files(folder, check)
        assert (index["resize"] == "tiles") == (windowing is not None), "windows are of tiles"
        outputs = _outputs(index)
        images = StoredArray(files[0], np.dtype(np.uint8))
        masks = StoredArray(files[1], np.dtype(outputs.mask_dtype))
        if windowing is not None:
            counts = StoredArray(files[2], np.dtype(np.uint16))
            return tiled(index, outputs, windowing, images, masks, counts)
        return Prepared(
            ids=tuple(index["ids"]),
            images=images,
            masks=masks,
            native_sizes=tuple((height, width) for height, width in index["native_sizes"]),
            resize=index["resize"],
            _packed=files[2],
            _starts=tuple(index["starts"]),
            outputs=outputs,
        )


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Raise what goes wrong inside the block as PreparedDataGoneError."""
    try:
        yield
    except PreparedDataGoneError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PreparedDataGoneError(f"{folder}: prepared data that cannot be read ({error})") from error


def _files(folder: Path, check: bool) -> tuple[dict[str, Any], list[StoredFile]]:
    """Return the index of a folder and its files, checked or relied on as they are."""
    index = _read_index(folder)
    files = [StoredFile(folder / name, index["hashes"][name]) for name in FILES[index["resize"]]]
    if check:
        verify(files)
    else:
        for file in files:
            file.rely_on(file.stamp())
    return index, files


def _outputs(index: dict[str, Any]) -> Outputs:
    """Of the masks; not written for plain binary ones."""
    written = index.get("outputs")
    return BINARY if written is None else Outputs(**{**written, "names": tuple(written["names"])})


def _read_index(folder: Path) -> dict[str, Any]:
    """What ``_write_index`` wrote, if it is whole and of this folder.

    Raises:
        PreparedDataGoneError: altered, of other data, or without hashes.
    """
    content = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    if "sha256" not in content:
        raise PreparedDataGoneError(f"{folder}: has no hashes, as older versions wrote it")
    index: dict[str, Any] = content["index"]
    if text_checksum(json.dumps(index)) != content["sha256"] or index["block_bytes"] != BLOCK_BYTES:
        raise PreparedDataGoneError(f"{folder / 'index.json'}: was altered")
    if _name(index["settings"]) != folder.name:
        raise PreparedDataGoneError(f"{folder}: holds other data than its name says")
    return index
