"""Prediction of files and folders of images: masks, measurements and a table."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from math import prod
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from segstudy.core.atomic_files import DiskError
from segstudy.core.errors import one_line, printable
from segstudy.core.network_outputs import OutputError
from segstudy.core.windowing import Place
from segstudy.data.channels import picture_of
from segstudy.data.images import ImageError, image_size, read_image
from segstudy.data.large_tiff import is_large_tiff
from segstudy.data.pixel_budget import PixelBudget
from segstudy.data.preprocess import Size, read_for_network
from segstudy.deploy.predict.by_window import segmented_by_window
from segstudy.deploy.predict.measurements import Measures, measured, measured_objects
from segstudy.deploy.predict.objects import objects_csv, write_table_of_objects
from segstudy.deploy.predict.predictor import Predictor, Spread
from segstudy.deploy.predict.result_files import (
    PICTURES,
    ResultFolder,
    encoded,
    mask_folder,
    result_folders,
)
from segstudy.deploy.predict.table import (
    ClassResult,
    Prediction,
    Stamp,
    digest_of,
    identity,
    name_of,
    results_in,
    stamp_of,
)
from segstudy.deploy.predict.volumes import (
    SUFFIX,
    VOLUME_KINDS,
    Item,
    values_in,
    volume_of,
    volumes,
)

NOT_MEASURED = "perimeter and number of components are not measured"
TOGETHER = 100_000_000  # pixels in memory at a time, over all threads: one image of the largest size
AHEAD = 4  # images in progress for each thread, so that memory does not grow with their number


def predict_files(  # noqa: PLR0913 (an option each)
    predictor: Predictor,
    items: Sequence[Item],
    out: Path,
    kinds: Sequence[str] = (),
    threads: int = 1,
    *,
    progress: Callable[[int, int], None] = lambda *_: None,
    part: Callable[[str, float], None] = lambda *_: None,
    notice: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Segment images into a folder; results of the same model and settings are kept.

    Writes ``masks/<name>.png`` at native size and on request ``probability/<name>.png`` (0 to 255),
    ``overlay/<name>.jpg``, ``outline/<name>.jpg`` and ``objects/<name>.csv``, and ``predictions.csv`` with a
    row per image. An image that cannot be used is a row with its error and stops nothing. The masks and
    probabilities of a NIfTI volume are written as ``<name>.nii.gz`` too, when there are those of all slices.

    Masks of one foreground are 0 and 255, and those of exclusive classes the numbers of the classes, with a
    palette. Of overlapping classes each has masks in ``masks/<class>/``. Of several classes each has
    probabilities in ``probability/<class>/`` and a row of each image in the table.

    By a model whose images are not resized, a TIFF that is too large for memory is segmented some rows at a
    time, and its masks and probabilities are ``<name>.tif``.

    Args:
        predictor: the model.
        items: the images.
        out: the folder of results.
        kinds: of ``KINDS``, beside the masks.
        threads: images at a time.
        progress: called with the number of images done and of all images.
        part: called with a name and the share that is done of an image that is too large for memory.
        notice: called with a line on what is not measured of such an image.

    Returns:
        The rows of all these images, as in the table.

    Raises:
        UserError: the folder holds results of another model or other settings.
        DiskError: something cannot be written.
    """
    outputs = predictor.outputs
    wanted = result_folders(kinds, outputs)
    classes = () if outputs.task == "binary" else [outputs.names[number] for number in outputs.scored]
    if predictor.windowing is not None:
        items = [replace(item, by_window=item.index is None and is_large_tiff(item.file)) for item in items]
    with results_in(out, identity(predictor), classes) as results:
        places = {
            item.image: {each.path: each.place(item.name, item.by_window) for each in wanted}
            for item in items
        }
        masks = [each.path for each in wanted if each.kind == "masks"]
        results.refuse_others({places[item.image][mask]: item.image for item in items for mask in masks})
        missing = [
            item for item in items if not results.has(item.image, places[item.image], stamp_of(item.file))
        ]
        before, stop = len(items) - len(missing), Event()
        progress(before, len(items))
        with ThreadPoolExecutor(threads) as pool:
            work = _Work(predictor, out, wanted, PixelBudget(TOGETHER), _over(pool, stop), part)
            for done, prediction in enumerate(_in_order(work.one, missing, threads, stop), before + 1):
                results.add(prediction)
                progress(done, len(items))
        rows = {item.image: results.rows(item.image) for item in items}
        for name, slices in volumes(items).items():
            whole = not any(rows[each.image][0]["error"] for each in slices)
            for folder in (each for each in wanted if each.kind in VOLUME_KINDS):
                _write_volume(out, name, slices, folder, whole)
        if "objects" in kinds:
            write_table_of_objects(out)
        for item in items:
            if item.by_window and not rows[item.image][0]["error"]:
                notice(f"{item.file.name}: {NOT_MEASURED}, as it was segmented by window")
        return [row for rows_of_image in rows.values() for row in rows_of_image]


def _over(pool: ThreadPoolExecutor, stop: Event) -> Spread:
    """Return a ``map`` over threads for the windows of images; once it shall stop it takes no more of them.

    The images of an interrupted command end with it then, however many windows they have.
    """

    def spread(work: Callable[[Sequence[Place]], Any], parts: list[Sequence[Place]]) -> Iterator[Any]:
        if stop.is_set():
            raise CancelledError
        return pool.map(work, parts)

    return spread


def _write_volume(out: Path, name: str, slices: Sequence[Item], folder: ResultFolder, whole: bool) -> None:
    """Write the results of all slices as one file; without one of them there is no such file."""
    file = out / folder.path / f"{name}{SUFFIX}"
    if not whole:
        file.unlink(missing_ok=True)
        return
    content = volume_of(slices[0].file, [out / folder.place(each.name) for each in slices], values_in(folder))
    if not file.is_file() or file.read_bytes() != content:
        _write(file, content)


@dataclass(frozen=True)
class _Work:
    """What the images of a folder of results have in common."""

    predictor: Predictor
    out: Path
    wanted: Sequence[ResultFolder]
    budget: PixelBudget
    spread: Spread
    part: Callable[[str, float], None]

    def one(self, item: Item) -> Prediction:
        """Segment one file when there is memory for it, and return its row; an error is in the row.

        Raises:
            DiskError: a result cannot be written.
        """
        stamp = stamp_of(item.file)
        try:
            return self._by_window(item, stamp) if item.by_window else self._whole(item, stamp)
        except DiskError:
            raise
        except ImageError as error:
            return Prediction(item.image, stamp, error=printable(_detail(error, self.predictor)))
        except OutputError as error:
            return Prediction(item.image, stamp, error=printable(str(error)))
        except Exception as error:  # decoders, engines and memory have each their own
            reason = one_line(error, 200)
            return Prediction(item.image, stamp, error=printable(f"{type(error).__name__}: {reason}"))

    def _whole(self, item: Item, stamp: Stamp) -> Prediction:
        with self.budget.take(prod(image_size(item.source))):
            native, found, contents = _segmented(self.predictor, item, self.wanted, self.spread)
        for each in self.wanted:
            _write(self.out / each.place(item.name), contents[each.path])
        digests = {each.path: digest_of(contents[each.path]) for each in self.wanted}
        return Prediction(item.image, stamp, native, found, results=digests)

    def _by_window(self, item: Item, stamp: Stamp) -> Prediction:
        windowing, outputs = self.predictor.windowing, self.predictor.outputs
        assert windowing is not None
        places = {each: each.place(item.name, by_window=True) for each in self.wanted}
        results = {each: self.out / place for each, place in places.items()}
        with self.budget.take(TOGETHER / 2):  # two at a time, with smaller ones beside
            native, measures = segmented_by_window(
                self.predictor,
                windowing,
                item.file,
                results,
                self.spread,
                lambda share: self.part(item.file.name, share),
            )
        found = tuple(
            ClassResult(places[mask_folder(self.wanted, number)], each, outputs.names[number])
            for number, each in measures.items()
        )
        digests = {each.path: digest_of(file) for each, file in results.items()}
        return Prediction(item.image, stamp, native, found, results=digests)


def _detail(error: ImageError, predictor: Predictor) -> str:
    """Return what is wrong with an image; of one that is too large with what segments larger ones."""
    if error.kind != "oversized":
        return error.detail
    if predictor.windowing is None:
        return f"{error.detail}, or take a model trained with --resize tiles: it segments TIFFs of any size"
    return f"{error.detail.partition(';')[0]}; save it as a TIFF, which is segmented by window at any size"


def _segmented(
    predictor: Predictor, item: Item, wanted: Sequence[ResultFolder], spread: Spread
) -> tuple[Size, tuple[ClassResult, ...], dict[str, bytes]]:
    """Return size, measurements and results of an image, the latter by their folders."""
    native, pixels = read_for_network(item.source, predictor.size, predictor.resize, predictor.scale)
    probabilities, outputs = predictor.native(pixels, native, spread), predictor.outputs
    mask = predictor.mask(probabilities)
    if not any(each.kind in PICTURES for each in wanted):
        pixels = np.zeros((1, 1, 3), np.uint8)  # which nothing shows; those of the image are given up
    elif pixels.shape[:2] != native:
        pixels = read_image(item.source, scale=predictor.scale)
    pixels = picture_of(pixels)
    found: list[ClassResult] = []
    objects: list[tuple[str, Measures]] = []
    contents: dict[str, bytes] = {}
    listed = any(each.kind == "objects" for each in wanted)
    # By class and not by folder, as the probabilities of one class at a time are in memory.
    for number, name in enumerate(outputs.names):
        if number in outputs.scored:
            plane, prob = outputs.plane(mask, number), probabilities.of(number)
            place = mask_folder(wanted, number).place(item.name)
            found.append(ClassResult(place, measured(plane, prob), name))
            objects += [(name, each) for each in measured_objects(plane, prob)] if listed else []
        for each in (each for each in wanted if each.number == number):
            contents[each.path] = encoded(each, pixels, mask, probabilities)
    for each in (each for each in wanted if each.number is None):
        is_table = each.kind == "objects"
        contents[each.path] = (
            objects_csv(name_of(item.image), objects, with_classes=outputs.task != "binary")
            if is_table
            else encoded(each, pixels, mask, probabilities)
        )
    return native, tuple(found), contents


def _write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, without flushing it, as a lost result is quickly made again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.new")
        aside.write_bytes(content)
        aside.replace(file)
    except OSError as error:
        raise DiskError(file, error) from None


def _in_order(
    work: Callable[[Item], Prediction], items: Sequence[Item], threads: int, stop: Event
) -> Iterator[Prediction]:
    """Process all items, some at a time, and yield results in their order; at the end set ``stop``."""
    waiting: deque[Future[Prediction]] = deque()
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                waiting.extend(
                    pool.submit(work, item) for item in islice(rest, AHEAD * threads - len(waiting))
                )
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()
