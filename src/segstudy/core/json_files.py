"""JSON files that a person may have edited: read with a message that helps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.input_files import MB, read_bytes, read_text

REPAIR = "`segstudy verify DIR --repair` moves damaged files aside, and the next `run` writes them again"


def read_json(file: Path, remedy: str = REPAIR) -> Any:
    """As ``read_record``, whatever its fields. A record is UTF-8: other bytes mean that it is damaged."""
    return _parsed(file, lambda: read_bytes(file, MAX_RECORD_BYTES).decode(), remedy)


def read_json_by_hand(file: Path, remedy: str) -> Any:
    """A JSON file that a user wrote, in any encoding that ``read_text`` knows."""
    return _parsed(file, lambda: read_text(file, MAX_RECORD_BYTES), f"{remedy}, in UTF-8")


def _parsed(file: Path, read: Callable[[], str], remedy: str) -> Any:
    try:
        return json.loads(read())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{file}: is missing; {remedy}") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the permissions") from None
    except UserError:  # no text
        raise
    except (ValueError, RecursionError) as error:
        escape = '; a backslash within "..." begins an escape: write /' if "escape" in str(error) else ""
        raise UserError(f"{file}: damaged (not JSON){escape}; {remedy}") from None


MAX_RECORD_BYTES = 64 * MB  # data.json and split.json of 100,000 samples have 15 to 30 MB
