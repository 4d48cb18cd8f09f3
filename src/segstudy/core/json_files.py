"""JSON files that a person may have edited: read with a message that helps."""

import json
from pathlib import Path
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.input_files import MB, read_text

REPAIR = "`segstudy verify DIR --repair` sets aside what is damaged, and the next `run` makes it again"


def read_json(file: Path, remedy: str = REPAIR) -> Any:
    """Return the content of a JSON file, as ``store.records.read_record`` does, with any fields."""
    try:
        return json.loads(read_text(file, MAX_RECORD_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{file}: is missing; {remedy}") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the permissions") from None
    except (ValueError, RecursionError):
        raise UserError(f"{file}: damaged (no JSON); {remedy}") from None


MAX_RECORD_BYTES = 64 * MB  # data.json and split.json of 100,000 samples have 15 to 30 MB
