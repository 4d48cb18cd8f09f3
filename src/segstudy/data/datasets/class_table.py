"""``_classes.csv``: the names of the numbers in masks, as Roboflow writes them and ``check --write`` too.

Pixel Value, Class
0, background
1, disc
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from segstudy.core.csv_cells import as_cell, of_cell
from segstudy.core.errors import UserError
from segstudy.data.datasets.tables import read_csv

CLASS_TABLE = "_classes.csv"


def class_tables(folders: Iterable[Path]) -> list[Path]:
    """The tables of classes that lie in some folders."""
    return [folder / CLASS_TABLE for folder in folders if (folder / CLASS_TABLE).is_file()]


def names_in(files: Sequence[Path]) -> tuple[tuple[int | str, str], ...]:
    """The numbers and names in tables of classes.

    Raises:
        UserError: a table that is none, or tables that differ.
    """
    found: dict[int | str, str] = {}
    for file in files:
        columns, rows = read_csv(file, "export the data set again, or remove it")
        for row in rows:
            cells = [of_cell(row[column].strip()) for column in columns[:2]]
            if len(cells) < 2 or not cells[0].isdecimal():
                continue
            if found.setdefault(int(cells[0]), cells[1]) != cells[1]:
                raise UserError(
                    f"{file}: number {cells[0]} is {cells[1]} here and {found[int(cells[0])]} in "
                    "another part; "
                    "export all parts together"
                )
    return tuple(found.items())


def class_table(names: Iterable[tuple[int, str]]) -> str:
    """The text of a table; ``names_in`` is the inverse."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("Pixel Value", "Class"))
    table.writerows((number, as_cell(name)) for number, name in names)
    return stream.getvalue()
