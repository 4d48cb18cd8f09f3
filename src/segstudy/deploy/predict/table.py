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

from segstudy.core import file_stamps
from segstudy.core.atomic_files import DiskError, write_text
from segstudy.core.csv_cells import as_cell, of_cell
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.data.preprocess import Size
from segstudy.deploy.predict.measurements import Measures
from segstudy.deploy.predict.predictor import Predictor

KINDS = ("masks", "probability", "overlay", "outline")  # folders of results; the first is always made
TABLE, SETTINGS, LOCK = "predictions.csv", "predictions.json", ".predict.lock"
NAMES = "names"  # of the models, for the reader
ARITHMETIC = "arithmetic"  # ``Network.arithmetic``; left out if it is 1, as older versions did
ANOTHER = "choose another folder with --out"
# Settings in messages; the others are options.
OTHER = {
    **{"models": "other models", "settings": "other settings"},
    **{"engine": "another engine", "threshold": "another threshold"},
}
MEASURED = tuple(field.name for field in fields(Measures))

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
    try:
        content = result.read_bytes() if isinstance(result, Path) else result
    except OSError:
        return "-"
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Prediction:
    """The result of one image: a row of the table.

    Attributes:
        image: the file; of a file with several, the slice or frame as if it lay within.
        stamp: of the file, when it was read.
        mask: of the result, relative to the folder; None where there is none.
        size: height and width of the image in pixels.
        measures: of the mask.
        error: what was wrong with the image.
        results: the first 16 digits of each written result's SHA-256, by kind.
    """

    image: Path
    stamp: Stamp = (0, 0)
    mask: str | None = None
    size: Size | None = None
    measures: Measures | None = None
    error: str | None = None
    results: Mapping[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, str]:
        """Return the row as it is in the table."""
        height, width = self.size or (None, None)
        numbers = asdict(self.measures) if self.measures else dict.fromkeys(MEASURED)
        values = {
            "image": name_of(self.image),
            "mask": None if self.mask is None else escaped(self.mask),
            "image_width_px": width,
            "image_height_px": height,
            **numbers,
            "error": self.error,
            "file_bytes": self.stamp[0],
            "file_changed_ns": self.stamp[1],
            "results": " ".join(f"{kind}={digest}" for kind, digest in self.results.items()),
        }
        return {name: "" if value is None else str(value) for name, value in values.items()}


COLUMNS = tuple(Prediction(Path()).row())
TEXTS = ("image", "mask", "error")
ADDED = ("results",)  # columns that tables of older versions lack: their images are done again when asked for


class Results:
    """The rows of a folder of results; only for the process that holds its lock."""

    def __init__(self, folder: Path, rows: dict[str, dict[str, str]], stream: io.TextIOBase):
        self.folder, self.rows, self._stream = folder, rows, stream
        self._table = csv.DictWriter(stream, COLUMNS)  # whose rows are cells

    def row(self, image: Path) -> dict[str, str]:
        return self.rows[name_of(image)]

    def add(self, prediction: Prediction) -> None:
        """Add a row, on the disk too."""
        row = self.rows[name_of(prediction.image)] = prediction.row()
        try:
            self._table.writerow(_cells(row))
            self._stream.flush()
        except OSError as error:
            raise DiskError(self.folder / TABLE, error) from None

    def has(self, image: Path, places: Sequence[str], stamp: Stamp) -> bool:
        """Whether all these results of an image exist unchanged and were made from the file of this stamp.

        After a power failure a row may be there whose masks are empty.
        """
        row = self.rows.get(name_of(image))
        if row is None or row["error"] or row["mask"] != escaped(places[0]):
            return False
        unchanged = (row["file_bytes"], row["file_changed_ns"]) == tuple(map(str, stamp))
        written = dict(each.partition("=")[::2] for each in row["results"].split())
        return unchanged and all(
            digest_of(self.folder / each) == written.get(each.partition("/")[0], "") for each in places
        )

    def refuse_others(self, masks: Mapping[str, Path]) -> None:
        """Refuse to replace a mask that belongs to another image.

        Raises:
            UserError: naming both.
        """
        wanted = {escaped(mask): name_of(image) for mask, image in masks.items()}
        for row in self.rows.values():
            if wanted.get(row["mask"], row["image"]) != row["image"]:
                raise UserError(
                    f"{self.folder}: {row['mask']} is the mask of {row['image']}, and would be that of "
                    f"{wanted[row['mask']]}; {ANOTHER}"
                )


def identity(predictor: Predictor) -> dict[str, Any]:
    """Return everything that decides the results: models, settings, engine."""
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
def results_in(folder: Path, made_by: Mapping[str, Any]) -> Iterator[Results]:
    """Lock a folder of results and yield its rows; the table is complete at the end.

    Raises:
        UserError: results of another model or other settings, a table of another origin, or another process
            at work.
        DiskError: something cannot be written.
    """
    with hold(folder / LOCK, "these predictions"):
        rows = _before(folder, made_by)
        write_text(folder / SETTINGS, json.dumps(made_by, indent=1) + "\n")
        _write(folder / TABLE, rows.values())  # without what a power failure left half written
        try:
            with (folder / TABLE).open("a", encoding="utf-8", newline="") as stream:
                results = Results(folder, rows, stream)
                yield results
        finally:
            _write(folder / TABLE, rows.values())


def _before(folder: Path, made_by: Mapping[str, Any]) -> dict[str, dict[str, str]]:
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
                rows = [_texts({name: row[name] for name in COLUMNS}) for row in read if _is_whole(row)]
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
    return {row["image"]: row for row in rows}


def _decisive(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without the names, which decide nothing and are missing in older versions."""
    named = {name: value for name, value in made_by.items() if name != NAMES}
    return named | {ARITHMETIC: made_by.get(ARITHMETIC, 1)}


def _cells(row: Mapping[str, str]) -> dict[str, str]:
    return {name: as_cell(value) if name in TEXTS else value for name, value in row.items()}


def _texts(row: Mapping[str, str]) -> dict[str, str]:
    return {name: of_cell(value) if name in TEXTS else value for name, value in row.items()}


def _is_whole(row: Mapping[str | Any, str | None]) -> bool:
    return set(row) == set(COLUMNS) and None not in row.values() and row["image"] != "image"


def _write(file: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write the whole table, in the order of the images' names."""
    stream = io.StringIO(newline="")
    table = csv.DictWriter(stream, COLUMNS)
    table.writeheader()
    table.writerows(_cells(row) for row in sorted(rows, key=lambda row: row["image"]))
    write_text(file, stream.getvalue())
