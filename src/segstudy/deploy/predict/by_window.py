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
from segstudy.data.images import STRIP_PIXELS
from segstudy.data.large_tiff import LargeTiff, open_large_tiff
from segstudy.data.windows import Forward, bands, in_windows
from segstudy.deploy.predict.predictor import Predictor, Spread
from segstudy.deploy.predict.result_files import ResultFolder, palette_of, values_of
from segstudy.deploy.predict.streamed_measures import MeasuredRows, StreamedMeasures
from segstudy.deploy.predict.tiled_tiff import TiledTiff

KINDS = ("masks", "probability")  # that are written row by row
ROW_BYTES = 2**31  # of a row of windows, with all that is made of it
BYTES_A_PIXEL = 12  # probabilities of a row of windows: they are blended from two, and the rest is left over


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
        rows = _Rows(predictor, image, results, files)
        windows = windowing.of(image.native)
        for top, band in bands(windows, _forward(predictor, image, windowing, spread)):
            rows.write(top, band)
            part((top + band.shape[-2]) / image.native[0])
        image.say_what_is_odd()
        return image.native, rows.finished()


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


class _Rows:
    """The results of an image, of which some rows at a time are decided, measured and written."""

    def __init__(
        self,
        predictor: Predictor,
        image: LargeTiff,
        results: Mapping[ResultFolder, Path],
        files: ExitStack,
    ):
        self._outputs, self._threshold = predictor.outputs, predictor.threshold
        self._measured = {number: MeasuredRows(image.native) for number in self._outputs.scored}
        self._step = max(1, STRIP_PIXELS // image.native[1])
        self._written: dict[ResultFolder, tuple[Path, TiledTiff]] = {}
        for folder, file in results.items():
            has_palette = folder.kind == "masks" and folder.number is None
            palette = palette_of(self._outputs) if has_palette else None
            stream = files.enter_context(_new(file))
            with _disk_errors(file):
                tiff = TiledTiff(stream, image.native, palette, image.place_tags)
            self._written[folder] = file, tiff

    def write(self, top: int, prob: NDArray[np.float32]) -> None:
        """Take the probabilities ``(..., n, W)`` of the next rows."""
        for at in range(0, prob.shape[-2], self._step):
            self._write_some(top + at, prob[..., at : at + self._step, :])

    def _write_some(self, top: int, prob: NDArray[np.float32]) -> None:
        outputs = self._outputs
        mask: NDArray[Any] = (
            outputs.decide(prob) if self._threshold is None else outputs.decide(prob, self._threshold)
        )
        for number, rows in self._measured.items():
            rows.add(top, outputs.plane(mask, number), outputs.prob_of(prob, number))
        for folder, (file, tiff) in self._written.items():
            values = values_of(folder, mask, lambda number: outputs.prob_of(prob, number), outputs)
            with _disk_errors(file):
                tiff.write(values)

    def finished(self) -> dict[int, StreamedMeasures]:
        """Complete the files, and return the measurements."""
        for file, tiff in self._written.values():
            with _disk_errors(file):
                tiff.finish()
        return {number: rows.measures() for number, rows in self._measured.items()}


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
