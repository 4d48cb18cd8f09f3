"""Segmentation of a TIFF that is too large for memory: some rows at a time, into tiled TIFFs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segstudy.core.atomic_files import DiskError, make_folder, replacing
from segstudy.core.windowing import Place, Size, Windowing
from segstudy.data.image_errors import ImageError
from segstudy.data.large_tiff import LargeTiff, open_large_tiff
from segstudy.data.windows import Forward, blocks, in_windows
from segstudy.deploy.predict.predictor import Predictor, Spread
from segstudy.deploy.predict.result_files import ResultFolder, palette_of, values_of
from segstudy.deploy.predict.streamed_measures import MeasuredBlocks, StreamedMeasures
from segstudy.deploy.predict.tiled_tiff import TiledTiff

KINDS = ("masks", "probability")  # that are written row by row
ROW_BYTES = 2**31  # of a row of windows, with all that is made of it
BYTES_A_PIXEL = 6  # for each class: rows that windows share, twice, and those of its results


def segmented_by_window(
    predictor: Predictor,
    windowing: Windowing,
    file: Path,
    results: Mapping[ResultFolder, Path],
    spread: Spread,
    part: Callable[[float], None],
) -> tuple[Size, dict[int, StreamedMeasures]]:
    """Write masks and probabilities of an image; each file is whole, or not there.

    Args:
        predictor: the model.
        windowing: of the model.
        file: of the image.
        results: the files to write, by their folders.
        spread: the windows of a row over threads.
        part: called with the share of the image that is done.

    Returns:
        The height and width of the image, and the measurements of each class that is scored.

    Raises:
        ImageError: the image cannot be read by rows, or what is asked for needs all of it.
        DiskError: a result cannot be written.
    """
    _refuse_unfit(predictor, file, results)
    with ExitStack() as files, open_large_tiff(file, predictor.scale) as image:
        _refuse_too_wide(predictor, windowing, file, image.native)
        written = _Results(predictor, image, results, files)
        windows, (height, width) = windowing.of(image.native), image.native
        for top, left, block in blocks(windows, _forward(predictor, image, windowing, spread)):
            written.take(top, left, block)
            rows, columns = block.shape[-2:]
            part((top + rows * (left + columns) / width) / height)
        image.say_what_is_odd()
        return image.native, written.finished()


def _refuse_unfit(predictor: Predictor, file: Path, results: Mapping[ResultFolder, Path]) -> None:
    """Refuse what needs all pixels of an image at a time.

    Raises:
        ImageError: naming the options.
    """
    asked = dict.fromkeys(f"--{each.kind}" for each in results if each.kind not in KINDS)
    for name in ("largest_component", "fill_holes"):
        if getattr(predictor.settings, name):
            asked[f"--{name.replace('_', '-')}"] = None
    if asked:
        detail = f"is too large for memory, so it is segmented by window; leave out {' and '.join(asked)}"
        raise ImageError(file, "by-window", detail)


def _refuse_too_wide(predictor: Predictor, windowing: Windowing, file: Path, native: Size) -> None:
    """Refuse an image whose rows of windows do not fit in memory.

    Raises:
        ImageError: naming the width.
    """
    classes = predictor.outputs.num_channels
    num_bytes = windowing.tile[0] * native[1] * (predictor.scale.channels + BYTES_A_PIXEL * classes)
    if num_bytes > ROW_BYTES:
        detail = (
            f"{native[1]:,} pixels wide: a row of its windows needs {num_bytes / 1e9:.1f} GB; cut it into "
            "images that are less wide"
        )
        raise ImageError(file, "by-window", detail)


def _forward(predictor: Predictor, image: LargeTiff, windowing: Windowing, spread: Spread) -> Forward:
    """Return the function that gives the probabilities of windows in one row of windows."""
    height, tile = image.native[0], windowing.tile

    def forward(places: Sequence[Place]) -> NDArray[np.float32]:
        top = places[0][0]
        cut = in_windows(image.rows(top, min(height, top + tile[0])), tile)
        return predictor.of_windows(cut, spread)([(0, left) for _, left in places])

    return forward


class _Results:
    """The results of an image, which are decided, measured and written block by block."""

    def __init__(
        self,
        predictor: Predictor,
        image: LargeTiff,
        results: Mapping[ResultFolder, Path],
        files: ExitStack,
    ):
        self._outputs, self._threshold = predictor.outputs, predictor.threshold
        self._width = image.native[1]
        self._measured = {number: MeasuredBlocks(image.native) for number in self._outputs.scored}
        self._files: dict[ResultFolder, tuple[Path, TiledTiff]] = {}
        self._rows: dict[ResultFolder, NDArray[np.uint8]] = {}  # until all their blocks are there
        for folder, file in results.items():
            has_palette = folder.kind == "masks" and folder.number is None
            palette = palette_of(self._outputs) if has_palette else None
            stream = files.enter_context(_new(file))
            with _disk_errors(file):
                tiff = TiledTiff(stream, image.native, palette, image.place_tags)
            self._files[folder] = file, tiff

    def take(self, top: int, left: int, prob: NDArray[np.float32]) -> None:
        """Take the probabilities ``(..., rows, columns)`` of a block, as ``blocks`` yields them."""
        outputs, (rows, columns) = self._outputs, prob.shape[-2:]
        if not left:
            self._rows = {folder: np.empty((rows, self._width), np.uint8) for folder in self._files}
        mask: NDArray[Any] = (
            outputs.decide(prob) if self._threshold is None else outputs.decide(prob, self._threshold)
        )
        for number, measured in self._measured.items():
            measured.add(top, left, outputs.plane(mask, number), outputs.prob_of(prob, number))
        for folder, values in self._rows.items():
            values[:, left : left + columns] = values_of(
                folder, mask, lambda number: outputs.prob_of(prob, number), outputs
            )
        if left + columns == self._width:
            self._write()

    def _write(self) -> None:
        for folder, (file, tiff) in self._files.items():
            with _disk_errors(file):
                tiff.write(self._rows.pop(folder))

    def finished(self) -> dict[int, StreamedMeasures]:
        """Complete the files, and return the measurements."""
        for file, tiff in self._files.values():
            with _disk_errors(file):
                tiff.finish()
        return {number: measured.measures() for number, measured in self._measured.items()}


@contextmanager
def _new(file: Path) -> Iterator[BinaryIO]:
    make_folder(file.parent)
    with replacing(file) as aside, aside.open("wb") as stream:
        yield stream


@contextmanager
def _disk_errors(file: Path) -> Iterator[None]:
    """Name the file that cannot be written, and not the image that is read at the same time."""
    try:
        yield
    except OSError as error:
        raise DiskError(file, error) from None
