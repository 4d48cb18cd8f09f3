"""The table of objects: the measurements of every connected component of every class."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from segstudy.core.atomic_files import write_text
from segstudy.core.csv_cells import as_cell
from segstudy.deploy.predict.measurements import Measures

OBJECTS, FOLDER = "objects.csv", "objects"
MEASURED = tuple(field.name for field in fields(Measures) if field.name != "num_parts")  # which is 1


def objects_csv(image: str, objects: Iterable[tuple[str, Measures]], with_classes: bool) -> bytes:
    """Return the objects of an image as a table, with a row for each.

    Args:
        image: its name in tables.
        objects: of each the name of its class, and its measurements.
        with_classes: whether there are several classes.
    """
    stream = io.StringIO(newline="")
    names = ("image", *(("class",) if with_classes else ()), "object", *MEASURED)
    table = csv.DictWriter(stream, names, extrasaction="ignore")
    table.writeheader()
    number: dict[str, int] = {}
    for name, measures in objects:
        number[name] = number.get(name, 0) + 1
        about = {"image": as_cell(image), "class": as_cell(name), "object": number[name]}
        table.writerow(about | asdict(measures))
    return stream.getvalue().encode()


def write_table_of_objects(out: Path) -> None:
    """Write the objects of all images of a folder of results as one table.

    Raises:
        DiskError: it cannot be written.
    """
    header, lines = "", list[str]()
    for file in sorted((out / FOLDER).rglob("*.csv")):
        header, *of_image = file.read_text(encoding="utf-8").splitlines(keepends=True)
        lines += of_image
    write_text(out / OBJECTS, header + "".join(lines))
