"""Prediction of files and folders of images: masks, measurements and a table."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatch
from itertools import islice
from math import prod
from pathlib import Path
from threading import Event
from typing import Any

from segstudy.core.atomic_files import DiskError
from segstudy.core.clutter import is_clutter_file, is_clutter_folder
from segstudy.core.errors import UserError, one_line, printable
from segstudy.core.network_outputs import OutputError
from segstudy.core.paths import reason_missing
from segstudy.core.quantities import counted
from segstudy.core.windowing import Place
from segstudy.data.channels import picture_of
from segstudy.data.image_formats import TITLES, holds_image, image_suffix, stem_of, why_unread
from segstudy.data.images import ImageError, image_size, read_image
from segstudy.data.pixel_budget import PixelBudget
from segstudy.data.preprocess import Size, read_for_network
from segstudy.deploy.predict.measurements import Measures, measured, measured_objects
from segstudy.deploy.predict.objects import OBJECTS, objects_csv, write_table_of_objects
from segstudy.deploy.predict.predictor import Predictor, Spread
from segstudy.deploy.predict.result_files import KINDS, PICTURES, ResultFolder, encoded, result_folders
from segstudy.deploy.predict.table import (
    SETTINGS,
    TABLE,
    ClassResult,
    Prediction,
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
    divided,
    values_in,
    volume_of,
    volumes,
)

TOGETHER = 100_000_000  # pixels in memory at a time, over all threads: one image of the largest size
AHEAD = 4  # images in progress for each thread, so that memory does not grow with their number


def find_images(
    inputs: Sequence[Path],
    match: str | None = None,
    of_data_set: Callable[[Path], Sequence[Path] | None] = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> list[Item]:
    """Return the images in files and folders, in order; hidden files are left out.

    Each slice of a volume and each frame of a DICOM file is one.

    Args:
        inputs: files and folders. Of a single folder the results keep the structure within it; of several
            inputs each folder's own name stands before.
        match: a pattern that paths within a folder have to match, such as ``*_Dermoscopic_Image/*.bmp``.
        of_data_set: the images of a folder that is a data set, None for any other; not asked with a pattern.
        notice: called with a line on the files of a folder that are not images.

    Raises:
        UserError: nothing there, no image, or two images whose results would have one name.
    """
    found: list[Item] = []
    given = list({each.resolve(): each for each in inputs}.values())
    for each in given:
        if each.is_dir():
            before = "" if len(given) == 1 else f"{each.resolve().name}/"
            files = of_data_set(each) if match is None else None
            if files is None:
                matching = [file for file in _walk(each) if _matches(file.relative_to(each), match)]
                files = [file for file in matching if _is_image(file)]
                _tell_of_others(each, matching, set(files), notice)
            found += [Item(file, before + _inside(file, each)) for file in files]
        elif each.exists():
            found.append(Item(each, each.name))
        else:
            raise UserError(f"{each}: no such file or folder{reason_missing(each)}; check the path")
    if not found:
        raise UserError(f"{', '.join(map(str, inputs))}: {_why_none(match)}")
    return divided(named_apart(found))


def _why_none(match: str | None) -> str:
    if match is None:
        return f"no image; {TITLES} files are read"
    return f"no image has a path that matches --match {match!r}; change the pattern, or leave it out"


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the visible files of a folder and its subfolders, without results of this command."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and not is_clutter_folder(name))
        if SETTINGS in files:  # results of this command are not images
            folders[:] = [name for name in folders if name not in KINDS]
        for name in sorted(set(files) - ({SETTINGS, TABLE, OBJECTS} if SETTINGS in files else set())):
            if name[0] != "." and not is_clutter_file(name):
                yield Path(place) / name


def _is_image(file: Path) -> bool:
    return bool(image_suffix(file.name)) or holds_image(file)


def _tell_of_others(
    folder: Path, files: Sequence[Path], images: set[Path], notice: Callable[[str], None]
) -> None:
    """Count the files that are not images, by suffix, and name the first with the reason."""
    others = [file for file in files if file not in images]
    if not others:
        return
    number = Counter(file.suffix.lower() or "without suffix" for file in others)
    kinds = ", ".join(f"{kind}: {count}" for kind, count in sorted(number.items()))
    first = f"{others[0].relative_to(folder).as_posix()}: {why_unread(others[0])}"
    notice(f"{folder}: {counted(len(others), 'file')} not read as images ({kinds}); {first}")


def _inside(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name


def _matches(inside: Path, pattern: str | None) -> bool:
    return (
        pattern is None or fnmatch(inside.as_posix(), pattern) or fnmatch(inside.as_posix(), f"*/{pattern}")
    )


def named_apart(items: Sequence[Item]) -> list[Item]:
    """Return names without suffixes, except where two images would get the same name.

    Raises:
        UserError: two results would still have one name.
    """
    stems = Counter(stem_of(item.name) for item in items)
    named: dict[str, Item] = {}
    for item in items:
        stem = stem_of(item.name)
        name = stem if stems[stem] == 1 else item.name
        if other := named.get(name):
            raise UserError(
                f"{item.file} and {other.file}: both results would have the name {name}; "
                "use another --out for each"
            )
        named[name] = Item(item.file, name)
    return list(named.values())


def predict_files(
    predictor: Predictor,
    items: Sequence[Item],
    out: Path,
    kinds: Sequence[str] = (),
    threads: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[dict[str, Any]]:
    """Segment images into a folder; results of the same model and settings are kept.

    Writes ``masks/<name>.png`` at native size and on request ``probability/<name>.png`` (0 to 255),
    ``overlay/<name>.jpg``, ``outline/<name>.jpg`` and ``objects/<name>.csv``, and ``predictions.csv`` with a
    row per image. An image that cannot be used is a row with its error and stops nothing. The masks and
    probabilities of a NIfTI volume are written as ``<name>.nii.gz`` too, when there are those of all slices.

    Masks of one foreground are 0 and 255, and those of exclusive classes the numbers of the classes, with a
    palette. Of overlapping classes each has masks in ``masks/<class>/``. Of several classes each has
    probabilities in ``probability/<class>/`` and a row of each image in the table.

    Args:
        predictor: the model.
        items: the images.
        out: the folder of results.
        kinds: of ``KINDS``, beside the masks.
        threads: images at a time.
        progress: called with the number of images done and of all images.

    Returns:
        The rows of all these images, as in the table.

    Raises:
        UserError: the folder holds results of another model or other settings.
        DiskError: something cannot be written.
    """
    outputs = predictor.outputs
    wanted = result_folders(kinds, outputs)
    classes = () if outputs.task == "binary" else [outputs.names[number] for number in outputs.scored]
    with results_in(out, identity(predictor), classes) as results:
        places = {item.image: {each.path: each.place(item.name) for each in wanted} for item in items}
        masks = [each.path for each in wanted if each.kind == "masks"]
        results.refuse_others({places[item.image][mask]: item.image for item in items for mask in masks})
        missing = [
            item for item in items if not results.has(item.image, places[item.image], stamp_of(item.file))
        ]
        progress(len(items) - len(missing), len(items))

        budget = PixelBudget(TOGETHER)
        stop, before = Event(), len(items) - len(missing)
        with ThreadPoolExecutor(threads) as pool:
            means = (budget, _over(pool, stop))

            def one(item: Item) -> Prediction:
                return _predict_file(predictor, item, out, wanted, means)

            for done, prediction in enumerate(_in_order(one, missing, threads, stop), before + 1):
                results.add(prediction)
                progress(done, len(items))
        rows = {item.image: results.rows(item.image) for item in items}
        for name, slices in volumes(items).items():
            whole = not any(rows[each.image][0]["error"] for each in slices)
            for folder in (each for each in wanted if each.kind in VOLUME_KINDS):
                _write_volume(out, name, slices, folder, whole)
        if "objects" in kinds:
            write_table_of_objects(out)
        return [row for rows_of_image in rows.values() for row in rows_of_image]


def _over(pool: ThreadPoolExecutor, stop: Event) -> Spread:
    """Return a ``map`` over threads for the windows of images; once it shall stop it takes no more of them.

    The images of an interrupted command end with it then, however many windows they have.
    """

    def spread(work: Callable[[Sequence[Place]], Any], parts: list[Sequence[Place]]) -> Iterator[Any]:
        if stop.is_set():
            raise InterruptedError
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


def _predict_file(
    predictor: Predictor,
    item: Item,
    out: Path,
    wanted: Sequence[ResultFolder],
    means: tuple[PixelBudget, Spread],
) -> Prediction:
    """Segment one file when there is memory for it, and return its row; an error is in the row."""
    (budget, spread), stamp = means, stamp_of(item.file)
    try:
        with budget.take(prod(image_size(item.source))):
            native, found, contents = _segmented(predictor, item, wanted, spread)
    except ImageError as error:
        return Prediction(item.image, stamp, error=printable(error.detail))
    except OutputError as error:
        return Prediction(item.image, stamp, error=printable(str(error)))
    except Exception as error:  # decoders, engines and memory have each their own
        reason = one_line(error, 200)
        return Prediction(item.image, stamp, error=printable(f"{type(error).__name__}: {reason}"))
    for each in wanted:
        _write(out / each.place(item.name), contents[each.path])
    digests = {each.path: digest_of(contents[each.path]) for each in wanted}
    return Prediction(item.image, stamp, native, found, results=digests)


def _segmented(
    predictor: Predictor, item: Item, wanted: Sequence[ResultFolder], spread: Spread
) -> tuple[Size, tuple[ClassResult, ...], dict[str, bytes]]:
    """Return size, measurements and results of an image, the latter by their folders."""
    native, pixels = read_for_network(item.source, predictor.size, predictor.resize, predictor.scale)
    probabilities, outputs = predictor.native(pixels, native, spread), predictor.outputs
    mask = predictor.mask(probabilities)
    if pixels.shape[:2] != native and any(each.kind in PICTURES for each in wanted):
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
            place = next(e for e in wanted if e.kind == "masks" and e.number in (None, number)).place(
                item.name
            )
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
