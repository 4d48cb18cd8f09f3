"""The table of a folder of predictions, and the images that are done already."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from segstudy.core import file_stamps
from segstudy.core.atomic_files import DiskError, write_text
from segstudy.core.csv_cells import as_cell, of_cell
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.data.preprocess import Size
from segstudy.deploy.predict.measurements import Measures
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.predict.result_files import KINDS
from segstudy.deploy.predict.streamed_measures import StreamedMeasures

TABLE, SETTINGS, LOCK = "predictions.csv", "predictions.json", ".predict.lock"
NAMES = "names"  # of the models, for the reader
ARITHMETIC = "arithmetic"  # ``Network.arithmetic``; left out if it is 1, as older versions did
ANOTHER = "choose another folder with --out"
# Settings in messages; the others are options.
OTHER = {
    **{"models": "other models", "settings": "other settings"},
    **{"engine": "another engine", "threshold": "another threshold", "classes": "other classes"},
}
MEASURED = tuple(field.name for field in fields(Measures))

Row = dict[str, str]
Stamp = tuple[int, int]  # size in bytes and time of the last change in nanoseconds


def escaped(text: str) -> str:
    """Return text that can be written: bytes of a name that are not UTF-8 are escaped."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def name_of(image: Path) -> str:
    """Return an image's name in the table: its absolute path."""
    return escaped(str(image.absolute()))


def stamp_of(file: Path) -> Stamp:
    """Return the size and time of a file, by which an unchanged one is recognised."""
    try:
        found = file_stamps.stamp_of(file.stat())
    except OSError:
        return 0, 0
    return found.num_bytes, found.content_ns


def digest_of(result: Path | bytes) -> str:
    """Return the digest of a result, by which an unchanged one is recognised; empty if unreadable."""
    if isinstance(result, bytes):
        return hashlib.sha256(result).hexdigest()[:16]
    try:
        with result.open("rb") as stream:  # which may be larger than memory
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError:
        return "-"


@dataclass(frozen=True)
class ClassResult:
    """The mask of a class in one image.

    Attributes:
        mask: the file, relative to the folder.
        measures: of the class in it; of an image that is segmented by window some are missing.
        name: of the class; empty where there is one foreground.
    """

    mask: str
    measures: Measures | StreamedMeasures
    name: str = ""


@dataclass(frozen=True)
class Prediction:
    """The result of one image: a row of the table, of several classes one for each.

    Attributes:
        image: the file; of a file with several, the slice or frame as if it lay within.
        stamp: of the file, when it was read.
        size: height and width of the image in pixels.
        found: of each class but the background; nothing with an error.
        error: what was wrong with the image.
        results: the first 16 digits of each written result's SHA-256, by its folder; in the table, folders
            are written as in addresses, without spaces.
    """

    image: Path
    stamp: Stamp = (0, 0)
    size: Size | None = None
    found: tuple[ClassResult, ...] = ()
    error: str | None = None
    results: Mapping[str, str] = field(default_factory=dict)

    def rows(self, with_classes: bool = False) -> list[dict[str, str]]:
        """Return the rows as they are in the table, whose columns are ``columns(with_classes)``."""
        return [self._row(each, with_classes) for each in self.found or (None,)]

    def _row(self, found: ClassResult | None, with_classes: bool) -> dict[str, str]:
        height, width = self.size or (None, None)
        values = {
            "image": name_of(self.image),
            "mask": None if found is None else escaped(found.mask),
            **({"class": None if found is None else found.name} if with_classes else {}),
            "image_width_px": width,
            "image_height_px": height,
            **dict.fromkeys(MEASURED),
            **({} if found is None else asdict(found.measures)),
            "error": self.error,
            "file_bytes": self.stamp[0],
            "file_changed_ns": self.stamp[1],
            "results": " ".join(f"{quote(folder)}={digest}" for folder, digest in self.results.items()),
        }
        return {name: "" if value is None else str(value) for name, value in values.items()}


def columns(with_classes: bool = False) -> tuple[str, ...]:
    """Return the columns of the table."""
    return tuple(Prediction(Path()).rows(with_classes)[0])


TEXTS = ("image", "mask", "class", "error")
ADDED = ("results",)  # columns that tables of older versions lack: their images are done again when asked for


class Results:
    """The rows of a folder of results; only for the process that holds its lock.

    Args:
        folder: of the results.
        rows: of each image, one for each class if there are several.
        stream: to which further rows are written.
        classes: the names of several classes, but the background.
    """

    def __init__(
        self, folder: Path, rows: dict[str, list[Row]], stream: io.TextIOBase, classes: Sequence[str] = ()
    ):
        self.folder, self.images, self._stream = folder, rows, stream
        self._classes = tuple(classes)
        self._table = csv.DictWriter(stream, columns(bool(classes)))  # whose rows are cells

    def rows(self, image: Path) -> list[Row]:
        return self.images[name_of(image)]

    def add(self, prediction: Prediction) -> None:
        """Add the rows of an image, on the disk too."""
        rows = self.images[name_of(prediction.image)] = prediction.rows(bool(self._classes))
        try:
            self._table.writerows(map(_cells, rows))
            self._stream.flush()
        except OSError as error:
            raise DiskError(self.folder / TABLE, error) from None

    def has(self, image: Path, places: Mapping[str, str], stamp: Stamp) -> bool:
        """Whether all these results of an image exist unchanged and were made from the file of this stamp.

        After a power failure a row may be there whose masks are empty.

        Args:
            image: that was asked for.
            places: the file in each folder of results, relative to that of all.
            stamp: of the image's file.
        """
        rows = self.images.get(name_of(image), [])
        masks = set(map(escaped, places.values()))
        if not rows or rows[0]["error"] or any(row["mask"] not in masks for row in rows):
            return False
        if self._classes and tuple(row["class"] for row in rows) != self._classes:
            return False
        unchanged = (rows[0]["file_bytes"], rows[0]["file_changed_ns"]) == tuple(map(str, stamp))
        pairs = (each.partition("=") for each in rows[0]["results"].split())
        written = {unquote(folder): digest for folder, _, digest in pairs}
        return unchanged and all(
            digest_of(self.folder / place) == written.get(folder, "") for folder, place in places.items()
        )

    def refuse_others(self, masks: Mapping[str, Path]) -> None:
        """Refuse to replace a mask that belongs to another image.

        Raises:
            UserError: naming both.
        """
        wanted = {escaped(mask): name_of(image) for mask, image in masks.items()}
        for row in (row for rows in self.images.values() for row in rows):
            if wanted.get(row["mask"], row["image"]) != row["image"]:
                raise UserError(
                    f"{self.folder}: {row['mask']} is the mask of {row['image']}, and would be that of "
                    f"{wanted[row['mask']]}; {ANOTHER}"
                )


def identity(predictor: Predictor) -> dict[str, Any]:
    """Return everything that decides the results: models, settings, engine; and what the masks hold."""
    outputs = predictor.outputs
    return {
        "models": [
            {
                "key": network.card.key,
                "precision": network.package.precision if network.package else "float32",
            }
            for network in predictor.networks
        ],
        **asdict(predictor.settings),
        "threshold": predictor.threshold,
        "engine": predictor.networks[0].engine,
        **({} if (version := predictor.networks[0].arithmetic) == 1 else {ARITHMETIC: version}),
        **({} if outputs.task == "binary" else {"task": outputs.task, "classes": list(outputs.names)}),
        NAMES: [network.name for network in predictor.networks],
    }


def names_in(folder: Path) -> list[str]:
    """Return the names of the models that made a folder of results; none in one of an older version."""
    return list(json.loads((folder / SETTINGS).read_text(encoding="utf-8")).get(NAMES, []))


def engine_in(folder: Path) -> str:
    """Return the engine that made a folder of results, as it calls itself; empty if there is none."""
    try:
        made_by = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what is wrong is said when the folder is opened
        return ""
    return str(made_by.get("engine", "")) if isinstance(made_by, dict) else ""


def refuse_place(folder: Path, inputs: Iterable[Path]) -> None:
    """Refuse to begin results in a folder that holds something else; results that are there are continued.

    Raises:
        UserError: it is in a study's folder, is one of the inputs, or has a table or masks of another origin.
    """
    place = folder.resolve()
    if (folder / SETTINGS).is_file():
        return
    for each in (place, *place.parents):
        if (each / "study.toml").is_file() and (each / "runs").is_dir():
            raise UserError(f"--out {folder}: is in the folder of a study, {each}; {ANOTHER}")
    if any(each.resolve() == place for each in set(inputs)):
        raise UserError(f"--out {folder}: contains the images, and results would lie among them; {ANOTHER}")
    _refuse_foreign(folder)


def _refuse_foreign(folder: Path) -> None:
    for name in (TABLE, *KINDS):
        there = folder / name
        if there.is_file() or (there.is_dir() and any(there.iterdir())):
            raise UserError(f"{there}: exists already and was not written by segstudy; {ANOTHER}")


def refuse_other_engine(folder: Path, title: str) -> None:
    """Refuse results of another engine than the one of this title, before a network is converted for it.

    Raises:
        UserError: naming the engine that made them.
    """
    made_by = engine_in(folder)
    if made_by and made_by.partition(",")[0] != title:
        raise _other(folder, "engine", made_by)


def _other(folder: Path, setting: str, before: object) -> UserError:
    what = OTHER.get(setting) or f"another --{setting.replace('_', '-')}"
    return UserError(f"{folder}: holds results with {what} ({before}); {ANOTHER}")


@contextmanager
def results_in(folder: Path, made_by: Mapping[str, Any], classes: Sequence[str] = ()) -> Iterator[Results]:
    """Lock a folder of results and yield its rows; the table is complete at the end.

    Args:
        folder: of the results.
        made_by: their ``identity``.
        classes: the names of several classes, but the background.

    Raises:
        UserError: results of another model or other settings, a table of another origin, or another process
            at work.
        DiskError: something cannot be written.
    """
    with hold(folder / LOCK, "these predictions"):
        rows = _before(folder, made_by, columns(bool(classes)))
        write_text(folder / SETTINGS, json.dumps(made_by, indent=1) + "\n")
        _write(folder / TABLE, rows, bool(classes))  # without what a power failure left half written
        try:
            with (folder / TABLE).open("a", encoding="utf-8", newline="") as stream:
                yield Results(folder, rows, stream, classes)
        finally:
            _write(folder / TABLE, rows, bool(classes))


def _before(folder: Path, made_by: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[Row]]:
    settings, table = folder / SETTINGS, folder / TABLE
    if not settings.is_file():
        _refuse_foreign(folder)
        return {}
    try:
        before = json.loads(settings.read_text(encoding="utf-8"))
        rows = []
        if table.is_file():
            with table.open(encoding="utf-8", newline="") as stream:
                read = [dict.fromkeys(ADDED, "") | row for row in csv.DictReader(stream)]
                rows = [_texts({name: row[name] for name in names}) for row in read if _is_whole(row, names)]
    except (OSError, ValueError, csv.Error):
        before, rows = None, []
    if not isinstance(before, dict):
        raise UserError(f"{settings} or {table}: cannot be read; choose another folder with --out")
    old, new = _decisive(before), _decisive(made_by)
    if old != new:
        odd = next((name for name in new if old.get(name) != new[name]), "settings")
        if odd == ARITHMETIC:
            raise UserError(
                f"{folder}: its results of {new['engine']} were rounded in another way, by another version "
                "of segstudy or on another device: about one pixel in a thousand may differ; complete it "
                f"with that version on that device, or {ANOTHER}"
            )
        raise _other(folder, odd, before.get(odd))
    return _by_image(rows, "class" in names)


def _by_image(rows: Iterable[Row], with_classes: bool) -> dict[str, list[Row]]:
    """Return the rows of each image; of an image that was done again the last ones, in each class."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["image"], {})[row["class"] if with_classes else ""] = row
    return {image: list(by_class.values()) for image, by_class in found.items()}


def _decisive(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without the names, which decide nothing and are missing in older versions."""
    named = {name: value for name, value in made_by.items() if name != NAMES}
    return named | {ARITHMETIC: made_by.get(ARITHMETIC, 1)}


def _cells(row: Mapping[str, str]) -> Row:
    return {name: as_cell(value) if name in TEXTS else value for name, value in row.items()}


def _texts(row: Mapping[str, str]) -> Row:
    return {name: of_cell(value) if name in TEXTS else value for name, value in row.items()}


def _is_whole(row: Mapping[str | Any, str | None], names: Sequence[str]) -> bool:
    return set(row) == set(names) and None not in row.values() and row["image"] != "image"


def _write(file: Path, rows: Mapping[str, Iterable[Row]], with_classes: bool) -> None:
    """Write the whole table, in the order of the images' names."""
    stream = io.StringIO(newline="")
    table = csv.DictWriter(stream, columns(with_classes))
    table.writeheader()
    table.writerows(_cells(row) for _, rows_of_image in sorted(rows.items()) for row in rows_of_image)
    write_text(file, stream.getvalue())
