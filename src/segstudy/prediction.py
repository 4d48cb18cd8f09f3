"""Files or folders of images in, masks and measurements out."""

import csv
import io
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudy.errors import UserError, printable
from segstudy.files import DiskError, make_folder, write_text
from segstudy.images import FORMATS, ImageError, read_image
from segstudy.measures import Measures, measured, outline
from segstudy.predictor import Predictor
from segstudy.preprocess import Size, read_for_network

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm", ".pgm")
KINDS = ("masks", "probability", "overlay", "outline")  # folders of results; the first is always made
TABLE, SETTINGS = "predictions.csv", "predictions.json"
COLOUR = (0, 214, 232)  # of overlays and outlines, RGB: no skin and no organ has it
TINT = 0.35
AHEAD = 4  # images in work for each thread, so that memory does not grow with their number


@dataclass(frozen=True, slots=True)
class Item:
    """An image to be segmented.

    Attributes:
        file: the image.
        name: where its results go, without suffix, relative to each folder of results.
    """

    file: Path
    name: str


def find_images(inputs: Sequence[Path], match: str | None = None) -> list[Item]:
    """The images that files and folders stand for, in order; hidden files are left out.

    Args:
        inputs: files and folders. Of a single folder the results keep the structure within it; of several
            inputs each folder's own name stands before.
        match: a pattern that paths within a folder have to match, such as ``*_Dermoscopic_Image/*.bmp``.

    Raises:
        UserError: nothing there, no image, or two images whose results would have one name.
    """
    found: list[Item] = []
    for each in inputs:
        if each.is_dir():
            before = "" if len(inputs) == 1 else f"{each.resolve().name}/"
            inside = [file for file in _walk(each) if _matches(file.relative_to(each), match)]
            found += [Item(file, before + file.relative_to(each).as_posix()) for file in inside]
        elif each.exists():
            found.append(Item(each, each.name))
        else:
            raise UserError(f"{each}: no such file or folder; check the path")
    if not found:
        raise UserError(f"{', '.join(map(str, inputs))}: no image; {', '.join(FORMATS)} files are read")
    return named_apart(found)


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(place) / name


def _matches(inside: Path, pattern: str | None) -> bool:
    return (
        pattern is None or fnmatch(inside.as_posix(), pattern) or fnmatch(inside.as_posix(), f"*/{pattern}")
    )


def named_apart(items: Sequence[Item]) -> list[Item]:
    """Names without suffixes, but where that would give two images the same.

    Raises:
        UserError: two results would still have one name.
    """
    stems = Counter(item.name.rpartition(".")[0] or item.name for item in items)
    named: dict[str, Item] = {}
    for item in items:
        stem = item.name.rpartition(".")[0] or item.name
        name = stem if stems[stem] == 1 else item.name
        if other := named.get(name):
            raise UserError(
                f"{item.file} and {other.file}: both results would be called {name}; give them one at a time"
            )
        named[name] = Item(item.file, name)
    return list(named.values())


@dataclass(frozen=True)
class Prediction:
    """What became of one image: a row of ``predictions.csv``.

    Attributes:
        image: the file.
        mask: of the result, relative to the folder of results; None where there is none.
        size: height and width of the image in pixels.
        measures: of the mask.
        error: what was wrong with the image.
    """

    image: str
    mask: str | None = None
    size: Size | None = None
    measures: Measures | None = None
    error: str | None = None

    def row(self) -> dict[str, Any]:
        height, width = self.size or (None, None)
        numbers = asdict(self.measures) if self.measures else dict.fromkeys(MEASURED)
        return {
            "image": self.image,
            "mask": self.mask,
            "image_width_px": width,
            "image_height_px": height,
            **numbers,
            "error": self.error,
        }


MEASURED = tuple(field.name for field in fields(Measures))
COLUMNS = tuple(Prediction("").row())


def predict_files(
    predictor: Predictor,
    items: Sequence[Item],
    out: Path,
    kinds: Sequence[str] = (),
    threads: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[dict[str, Any]]:
    """Segment images into a folder; what is there already from the same model and settings is left alone.

    Writes ``masks/<name>.png`` (0 and 255, native size) and on request ``probability/<name>.png`` (0 to 255),
    ``overlay/<name>.jpg`` and ``outline/<name>.jpg``, and ``predictions.csv`` with a row per image. An image
    that cannot be used is a row with its error and stops nothing.

    Args:
        predictor: the model.
        items: the images.
        out: the folder of results.
        kinds: of ``KINDS``, beside the masks.
        threads: images at a time.
        progress: told how many of all images are done.

    Returns:
        The rows of all these images, as in the table.

    Raises:
        UserError: the folder holds results of another model or other settings.
        DiskError: something cannot be written.
    """
    wanted = [kind for kind in KINDS if kind == "masks" or kind in kinds]
    make_folder(out)
    rows = _resumed(out, _identity(predictor))
    missing = [item for item in items if not _is_done(rows.get(str(item.file)), item, out, wanted)]
    progress(len(items) - len(missing), len(items))

    def one(item: Item) -> Prediction:
        return _predict_file(predictor, item, out, wanted)

    with (out / TABLE).open("a", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS)
        if not rows:
            table.writeheader()
        for done, prediction in enumerate(_in_order(one, missing, threads), len(items) - len(missing) + 1):
            rows[prediction.image] = prediction.row()
            table.writerow(rows[prediction.image])
            stream.flush()
            progress(done, len(items))
    ordered = [_as_text(rows[str(item.file)]) for item in items]
    _write_table(out / TABLE, rows.values())
    return ordered


def _predict_file(predictor: Predictor, item: Item, out: Path, wanted: Sequence[str]) -> Prediction:
    try:
        native, pixels = read_for_network(item.file, predictor.size, predictor.resize)
        mask, probability = predictor.of_pixels(pixels, native)
        if pixels.shape[:2] != native and {"overlay", "outline"} & set(wanted):
            pixels = read_image(item.file)
    except ImageError as error:
        return Prediction(str(item.file), error=printable(error.detail))
    for kind in wanted:
        _write(out / place(kind, item), encoded(kind, pixels, mask, probability))
    return Prediction(str(item.file), place("masks", item), native, measured(mask, probability))


def place(kind: str, item: Item) -> str:
    """Where a result of this kind lies, relative to the folder of results."""
    return f"{kind}/{item.name}.{'png' if kind in ('masks', 'probability') else 'jpg'}"


def encoded(
    kind: str, pixels: NDArray[np.uint8], mask: NDArray[np.bool_], probability: NDArray[np.float32]
) -> bytes:
    """A result as a file: masks and probabilities as PNG, pictures as JPEG."""
    if kind == "masks":
        return _png(mask.view(np.uint8) * np.uint8(255))
    if kind == "probability":
        return _png(np.rint(probability * 255).astype(np.uint8))
    shown = pixels.copy()
    if kind == "overlay":
        shown[mask] = np.rint((1 - TINT) * shown[mask] + TINT * np.array(COLOUR)).astype(np.uint8)
    shown[outline(mask, max(1, round(min(mask.shape) / 300)))] = COLOUR
    found, content = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert found
    return content.tobytes()


def _png(grey: NDArray[np.uint8]) -> bytes:
    # Every row by its difference from the one above: a third of the default's time, and no larger.
    quick = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    found, content = cv2.imencode(".png", grey, quick)
    assert found
    return content.tobytes()


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all; not forced to the disk, as a lost result is made again in no time."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.new")
        aside.write_bytes(content)
        aside.replace(file)
    except OSError as error:
        raise DiskError(file, error) from None


def _in_order(
    work: Callable[[Item], Prediction], items: Sequence[Item], threads: int
) -> Iterator[Prediction]:
    """Carry out work for all items, some at a time; results come in the order of the items."""
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
            for future in waiting:
                future.cancel()


def _identity(predictor: Predictor) -> dict[str, Any]:
    """What decides the results, whatever engine computes them."""
    networks = [
        {"key": network.card.key, "precision": network.package.precision if network.package else "float32"}
        for network in predictor.networks
    ]
    return {
        "models": networks,
        **asdict(predictor.settings),
        "threshold": predictor.threshold,
        "engine": predictor.networks[0].engine,
    }


def _resumed(out: Path, identity: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows that are there from before, by image.

    Raises:
        UserError: they are of another model or other settings.
    """
    settings, table = out / SETTINGS, out / TABLE
    try:
        before = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else None
    except (OSError, ValueError):
        raise UserError(
            f"{settings}: cannot be read; delete {out} or choose another folder with --out"
        ) from None
    if before is not None and before != identity:
        odd = next(name for name in identity if before.get(name) != identity[name])
        raise UserError(
            f"{out}: holds results with other {odd} ({before.get(odd)}); choose another folder with --out"
        )
    write_text(settings, json.dumps(identity, indent=1) + "\n")
    if before is None or not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [
            row for row in csv.DictReader(stream) if set(row) == set(COLUMNS) and None not in row.values()
        ]
    return {row["image"]: row for row in rows}


def _is_done(row: Mapping[str, Any] | None, item: Item, out: Path, wanted: Sequence[str]) -> bool:
    """Whether an image's results are there, and no older than the image."""
    if row is None or row["error"]:
        return False
    try:
        made = [(out / place(kind, item)).stat().st_mtime for kind in wanted]
        return min(made) >= item.file.stat().st_mtime
    except OSError:
        return False


def _as_text(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as it reads in the table."""
    return {name: "" if value is None else str(value) for name, value in row.items()}


def _write_table(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """The whole table in the order of the images' names: after resuming, some rows were replaced."""
    stream = io.StringIO(newline="")
    table = csv.DictWriter(stream, COLUMNS)
    table.writeheader()
    table.writerows(sorted(rows, key=lambda row: str(row["image"])))
    write_text(file, stream.getvalue())
