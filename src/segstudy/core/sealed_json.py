"""JSON with its checksum, for derived files: one that is damaged or of another version has no content."""

import hashlib
import json
from contextlib import suppress
from typing import Any


def sealed(version: int, content: Any) -> str:
    """Return the text of a file with this content: a line with version and SHA-256, and a line of JSON."""
    text = json.dumps(content, separators=(",", ":"))
    return f"{seal_of(version, text.encode())}\n{text}\n"


def unsealed(version: int, file: bytes) -> bytes | None:
    """Return the JSON of a file that ``sealed`` made; None if it is not as this version wrote it."""
    with suppress(ValueError):
        seal, text = file.rstrip(b"\n").split(b"\n")
        if seal.decode() == seal_of(version, text):
            return text
    return None


def seal_of(version: int, text: bytes) -> str:
    """Return the first line of a file with this JSON."""
    return f"{version} {hashlib.sha256(text).hexdigest()}"
