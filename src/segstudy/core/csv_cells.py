"""Text in the cells of CSV files, written so that no spreadsheet computes it.

A spreadsheet reads a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end as a formula,
which may call programs or send data. So such text gets an apostrophe before it, which marks a cell as text.
Numbers, negative ones too, stay as they are.
"""

import re

# After any apostrophes; the last four are the full-width forms of the first four.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def as_cell(text: str) -> str:
    """Return text as a cell may hold it; ``of_cell`` is the inverse.

    >>> as_cell("=1+1"), as_cell("unet"), as_cell("'=x")
    ("'=1+1", 'unet', "''=x")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def of_cell(cell: str) -> str:
    """Return the text that ``as_cell`` was given.

    >>> of_cell("'=1+1"), of_cell("it's"), of_cell("'quoted'")
    ('=1+1', "it's", "'quoted'")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
