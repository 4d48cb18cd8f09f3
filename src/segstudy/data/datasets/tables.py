"""Tables of a data set, as CSV or as a workbook: read within bounds of memory and time."""

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import Any
from xml.parsers import expat

from python_calamine import CalamineWorkbook

from segstudy.core.errors import UserError, one_line
from segstudy.core.input_files import MB, open_regular, read_text

MAX_CSV_BYTES = 16 * MB
MAX_CSV_ROWS = 500_000
MAX_CSV_CELLS = 2_000_000

# A workbook of as many cells has some 10 MB unpacked; PH2's, of 213 rows, has 0.1 MB.
MAX_PARTS = 200
MAX_UNPACKED_BYTES = 16 * MB
MAX_SHEET_CELLS = 200_000
WORKBOOK_PARTS = re.compile(r"\[Content_Types\]\.xml|_rels/\.rels|xl/.*\.(xml|rels)", re.IGNORECASE)
BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError)

Row = dict[str, str]


def read_csv(file: Path, remedy: str) -> tuple[list[str], list[Row]]:
    """Names of the columns and the rows of a CSV file, with commas, semicolons or tabs.

    Raises:
        UserError: unreadable, no table, or larger than any table of samples.
    """
    try:
        text = read_text(file, MAX_CSV_BYTES)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); {remedy}") from None
    text, delimiter = _delimited(text)
    table = csv.DictReader(
        text.removesuffix("\n").split("\n"), delimiter=delimiter, restval="", skipinitialspace=True
    )
    try:
        names = list(table.fieldnames or [])
        num_rows = text.count("\n")
        if num_rows > MAX_CSV_ROWS or num_rows * len(names) > MAX_CSV_CELLS:
            raise UserError(f"{file}: {num_rows} rows of {len(names)} columns are too many; {remedy}")
        rows = [{name: cell for name, cell in row.items() if isinstance(name, str)} for row in table]
    except csv.Error as error:
        raise UserError(f"{file}: is no table ({error}); {remedy}") from None
    return names, rows


def _delimited(text: str) -> tuple[str, str]:
    """The text of a table and what stands between its cells.

    Spreadsheets write semicolons where the comma is decimal, tabs as "Unicode text", and read ``sep=;``.
    """
    heading, _, rest = text.partition("\n")
    if named := re.fullmatch(r'"?sep=([,;\t|])"?', heading.strip(" "), re.IGNORECASE):
        return rest, named[1]
    return text, max(",;\t", key=heading.count)


def read_sheet(file: Path) -> list[list[Any]]:
    """The cells of a workbook's first sheet.

    What is unpacked is what the archive says, and no more; of that only the parts of a workbook are handed
    on. A sheet becomes a full rectangle in memory, so the position of its last cell is bounded too.

    Raises:
        ValueError: what is wrong with it.
        OSError: it cannot be read.
    """
    content = _unpacked(file)
    try:
        return list(CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python())
    except OSError:
        raise
    except Exception as error:  # its errors have no common class
        raise ValueError(one_line(error, 100)) from None


def read_sheet_as_table(file: Path) -> tuple[list[str], list[Row]]:
    """Names of the columns and the rows of a workbook's first sheet, as ``read_csv``.

    Raises:
        UserError: unreadable, or larger than any table of samples.
    """
    try:
        cells = [[_as_text(cell) for cell in row] for row in read_sheet(file)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{file}: cannot be read ({reason}); save the sheet with the table as CSV") from None
    cells = [row for row in cells if any(row)]
    names = cells[0] if cells else []
    return names, [dict(zip(names, row, strict=False)) for row in cells[1:]]


def _as_text(cell: object) -> str:
    """A cell as a person reads it: workbooks keep every number as a fraction."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _unpacked(file: Path) -> bytes:
    """The archive again, with the parts of a workbook only, not packed."""
    plain = io.BytesIO()
    try:
        with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
                raise ValueError(f"more than {MAX_UNPACKED_BYTES / MB:g} MB or {MAX_PARTS} parts, unpacked")
            with zipfile.ZipFile(plain, "w") as copy:
                for part in parts:
                    if WORKBOOK_PARTS.fullmatch(part.filename):
                        content = archive.read(part)
                        _check_cells(part.filename, content)
                        copy.writestr(part.filename, content)
    except BROKEN as error:
        raise ValueError(f"no workbook: {one_line(error, 100)}") from None
    return plain.getvalue()


def _check_cells(name: str, content: bytes) -> None:
    """Whether a sheet's rectangle is of a size that a table of samples may have.

    Raises:
        ValueError: it is not, or is no XML.
    """
    last = [1, 1]

    def start(_: str, attributes: dict[str, str]) -> None:
        place = re.fullmatch(r"([A-Z]*)([0-9]*)", attributes.get("r", "").upper())
        if place:
            column = sum(26**i * (ord(c) - 64) for i, c in enumerate(reversed(place[1][:8])))
            last[0], last[1] = max(last[0], int(place[2][:12] or 1)), max(last[1], column)

    def declared(*_: object) -> None:
        raise ValueError("declares entities")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EntityDeclHandler = start, declared
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"{name}: {error}") from None
    if last[0] * last[1] > MAX_SHEET_CELLS:
        raise ValueError(f"a sheet of {last[0]} rows and {last[1]} columns")
