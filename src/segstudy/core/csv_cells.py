"""Text in the cells of CSV files, as spreadsheets would not compute it.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line's end for a formula,
which may call programs or send data; so such text gets an apostrophe before it, which they take for "text".
Numbers, negative ones too, are no text and stay as they are.
"""

import re

# After apostrophes of its own; the last four are the wide forms of the first.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def as_cell(text: str) -> str:
    """Text as it may stand in a cell; ``of_cell`` gives it back.

    >>> as_cell("=1+1"), as_cell("unet"), as_cell("'=x")
    ("'=1+1", 'unet', "''=x")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def of_cell(cell: str) -> str:
    """The text that ``as_cell`` was given.

    >>> of_cell("'=1+1"), of_cell("it's"), of_cell("'quoted'")
    ('=1+1', "it's", "'quoted'")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
