"""Run lengths in a CSV file, as in Kaggle's competitions.

Layout: ``train.csv`` (or any other name) beside a folder of images::

    ImageId,EncodedPixels
    a.jpg,1 3 10 5
    a.jpg,40 2
    b.jpg,

A row holds pairs of a start, counted from 1, and a length. Pixels are counted down the columns, the first
column first, which is Kaggle's usual order. Several rows of an image are merged; an empty cell, ``-1`` or
``nan`` is no object. The size is that of the image. A column ``class``, ``label`` or ``ClassId`` tells
classes apart; so does the end of the id in ``ImageId_ClassId`` (``a.jpg_1``).

Quirks: some competitions count along the rows. ``rle_order`` finds it from the masks and the images; where
it is not clear, the data are refused, and a reader for either order can be chosen.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.data.datasets.annotation_files import folders_in, head_of, named, some_files
from segstudy.data.datasets.described import (
    class_names,
    numbered,
    refuse_without,
    unpaired_image,
    unpaired_mask,
    unusable,
)
from segstudy.data.datasets.pairing import image_files
from segstudy.data.datasets.rle_order import RunOrder, find_order
from segstudy.data.datasets.sample_order import dataset_of
from segstudy.data.datasets.tables import read_csv
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.shapes import Drawing, Runs, ShapeError, runs_of_pairs

DESCRIPTION = (
    "run lengths in a CSV file with columns such as ImageId and EncodedPixels, beside a folder of images"
)
COLUMNS, ROWS = (f"as rle, with pixels counted {way}" for way in ("down the columns", "along the rows"))
RUN_COLUMNS = ("encodedpixels", "rle", "rlemask", "maskrle", "rles", "rleencoding", "encoding", "encodedmask")
IMAGE_COLUMNS = (
    "imageid",
    "id",
    "img",
    "image",
    "imagename",
    "imgid",
    "filename",
    "file",
    "name",
    "imagefilename",
)
CLASS_COLUMNS = ("class", "classid", "label", "classname", "category")
BOTH_COLUMNS = ("imageidclassid", "imagelabel", "imageclass")  # a.jpg_1
NOTHING = ("", "-1", "nan", "none")
MAX_TABLES = 20


@dataclass(frozen=True)
class _Table:
    """The columns of a CSV file."""

    file: Path
    image: str
    runs: str
    label: str | None
    is_both: bool = False


def detect(root: Path) -> bool:
    """Whether there is a CSV file with a column of run lengths, and images beside it."""
    return bool(_tables(root)) and any(image_files(each) for each in (root, *_image_folders(root)))


def read(root: Path) -> Dataset:
    """One sample per image that the table lists.

    Raises:
        UserError: several such tables, most images not listed, or an order of pixels that is not clear.
    """
    return _read(root, "rle", _found_order)


def read_columns(root: Path) -> Dataset:
    """As ``read``, with pixels counted down the columns."""
    return _read(root, "rle_columns", lambda *_: RunOrder("columns", "as the reader says"))


def read_rows(root: Path) -> Dataset:
    """As ``read``, with pixels counted along the rows."""
    return _read(root, "rle_rows", lambda *_: RunOrder("rows", "as the reader says"))


def _read(root: Path, reader: str, order_of: Callable[[Path, Sequence[Sample]], RunOrder]) -> Dataset:
    table = _only_table(root)
    rows, labels = _rows(table)
    numbers = numbered(labels)
    images = _images(root)
    samples: list[Sample] = []
    problems: list[Problem] = []
    used: set[Path] = set()
    for name, cells in rows.items():
        image = _image_of(root, table, name, images)
        if image is None:
            problems.append(unpaired_mask(root, table.file, name))
            continue
        used.add(image)
        try:
            shapes = tuple(
                _runs(text, numbers[label]) for label, text in cells if text.lower() not in NOTHING
            )
        except ShapeError as error:
            problems.append(unusable(root, table.file, error, name[:80]))
            continue
        mask = Drawing(table.file, image.name, None, image, shapes)
        samples.append(Sample(image.stem, image, mask, group=image.stem))
    left = sorted({file for files in images.values() for file in files} - used)
    _refuse_few_rows(root, table, len(used), len(left))
    if not samples:
        raise refuse_without(
            root, problems, f"no run lengths in {table.file.name} can be used; write them again"
        )
    problems += [unpaired_image(root, image, f"no row in {table.file.name}") for image in left]
    order = order_of(table.file, samples)
    if order.order == "rows":
        samples = [_along_rows(sample) for sample in samples]
    way = "along the rows" if order.order == "rows" else "down the columns"
    detail = f"run lengths in {table.file.name}, read {way}, counted from 1: {order.why}"
    problems.append(Problem("note", "order of run lengths", root.resolve().name, detail))
    return dataset_of(root, reader, samples, problems, [*used, *left], class_names(numbers))


def _only_table(root: Path) -> _Table:
    tables = _tables(root)
    if len(tables) > 1:
        names = named([table.file.name for table in tables])
        raise UserError(f"{root}: run lengths in several tables, {names}; move all but one away")
    return tables[0]


def _refuse_few_rows(root: Path, table: _Table, num_used: int, num_left: int) -> None:
    if num_left > num_used:
        raise UserError(
            f"{root}: {table.file.name} has run lengths (RLE) of {num_used} of {num_used + num_left} images; "
            "write a row for each, with an empty cell where there is no object, or move the other images away"
        )


def _tables(root: Path) -> list[_Table]:
    files = [file for file, _ in zip(some_files(root, ".csv"), range(MAX_TABLES), strict=False)]
    return [table for file in files if (table := _table(file)) and "submission" not in file.name.lower()]


def _table(file: Path) -> _Table | None:
    """The columns of a file; None where it has no run lengths."""
    heading = head_of(file).lstrip("\ufeff").partition("\n")[0]
    names = [name.strip().strip('"') for name in re.split(r"[,;\t]", heading.strip())]
    by_name = {re.sub(r"[^a-z]", "", name.lower()): name for name in names}

    def first(known: Iterable[str]) -> str | None:
        return next((by_name[name] for name in known if name in by_name), None)

    runs, both = first(RUN_COLUMNS), first(BOTH_COLUMNS)
    image = both or first(IMAGE_COLUMNS)
    if runs is None or image is None:
        return None
    return _Table(file, image, runs, None if both else first(CLASS_COLUMNS), bool(both))


def _rows(table: _Table) -> tuple[dict[str, list[tuple[str, str]]], set[str]]:
    """The class and the text of every row, by the image's name; and the classes that have some object."""
    _, lines = read_csv(table.file, "write it as UTF-8 text with commas, a line for each image")
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in lines:
        cells = {name.strip().strip('"'): (cell or "").strip() for name, cell in line.items()}
        name, label = cells[table.image], cells[table.label] if table.label else ""
        if table.is_both:
            name, _, label = name.rpartition("_")
        if name:
            rows[name].append((label, cells[table.runs]))
    labels = {label for each in rows.values() for label, text in each if text.lower() not in NOTHING}
    return rows, labels


def _image_folders(root: Path) -> list[Path]:
    return [folder for folder in folders_in(root) if "mask" not in folder.name.lower()]


def _images(root: Path) -> dict[str, list[Path]]:
    """Images by name without suffix."""
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in (root, *_image_folders(root)):
        for file in image_files(folder):
            found[file.stem].append(file)
    return found


def _image_of(root: Path, table: _Table, name: str, images: Mapping[str, list[Path]]) -> Path | None:
    """The image that a row names, with or without suffix.

    Raises:
        UserError: there are several of that name.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    found = images.get(last) or [
        file for file in images.get(last.rpartition(".")[0], []) if file.name == last
    ]
    if len(found) > 1:
        where = " and ".join(file.relative_to(root).as_posix() for file in found[:2])
        raise UserError(f"{table.file}: {name} may mean {where}; move one of them away")
    return found[0] if found else None


def _runs(text: str, number: int) -> Runs:
    try:
        numbers = [int(cell) for cell in re.split(r"[\s,]+", text.strip("[] "))]
    except ValueError:
        raise ShapeError(f"run lengths must be whole numbers, got {text[:40]!r}; write them again") from None
    return runs_of_pairs(number, numbers)


def _found_order(file: Path, samples: Sequence[Sample]) -> RunOrder:
    """The order that the masks and images show.

    Raises:
        UserError: it is not clear.
    """
    found = find_order(samples)
    if found.order != "unclear":
        return found
    raise UserError(
        f"{file}: its run lengths (RLE) may go down the columns or along the rows: {found.why}; choose "
        "--reader rle_columns (Kaggle's usual order) or --reader rle_rows (run: --set reader=rle_columns or "
        "--set reader=rle_rows), and look at check --html"
    )


def _along_rows(sample: Sample) -> Sample:
    assert isinstance(sample.mask, Drawing)
    shapes = tuple(replace(shape, along_rows=True) for shape in sample.mask.shapes if isinstance(shape, Runs))
    return replace(sample, mask=replace(sample.mask, shapes=shapes))
