"""SHA-256 of files, and the check of a model's files against those recorded when they were made.

Needs no PyTorch. ``deploy.file_kinds`` has the checksums that exported files carry themselves.
"""

import hashlib
import json
import logging
import sys
from pathlib import Path

from segstudy.core.errors import UserError, printable
from segstudy.core.input_files import open_regular

PIECE_BYTES = 1 << 20

log = logging.getLogger("segstudy")  # without a handler, warnings are lines on standard error


def refuse_altered(file: Path, record: Path) -> None:
    """Refuse a file of a run whose checksum is not the one in the ``run.json`` beside it, if there is one.

    Raises:
        UserError: it was altered, or cannot be read.
    """
    try:
        if is_altered(file, _content(record)):
            raise _not_as_written(file, record.name)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); copy it again from its run") from None


def is_altered(file: Path, record: object) -> bool:
    """Whether a file's checksum differs from the one in a ``run.json``; early versions wrote none.

    Args:
        file: of a run.
        record: the content of the run's ``run.json``.

    Raises:
        OSError: the file is missing or unreadable.
    """
    wanted = _checksums(record).get(file.name)
    return wanted is not None and sha256_of(file) != wanted


def say_unchecked(file: Path) -> None:
    """Warn that a file has no checksum, so that an alteration would not be noticed."""
    log.warning(
        "%s: unchecked: an older version wrote it without a checksum, so a change cannot be detected",
        printable(str(file)),
    )


def check_weights(weights: Path, card: Path, wanted: str | None) -> str:
    """Compare a model's weights, and its card, with the checksums recorded when they were made.

    Args:
        weights: the file of weights.
        card: ``model.json``.
        wanted: the weights' SHA-256 as the card has it. The ``run.json`` of a run has both files'.

    Returns:
        The weights' SHA-256. A line warns where no checksum is known.

    Raises:
        UserError: one of the two was altered, or cannot be read.
    """
    recorded = _checksums(_content(card.with_name("run.json")))
    found = {}
    for file in (weights, card):
        try:
            found[file.name] = sha256_of(file)
        except OSError as error:
            raise UserError(
                f"{file}: cannot be read ({error.strerror}); a model is model.json and model.safetensors"
            ) from None
        if found[file.name] != recorded.get(file.name, found[file.name]):
            raise _not_as_written(file, "run.json")
    if wanted is not None and found[weights.name] != wanted:
        raise _not_as_written(weights, card.name)
    if wanted is None and weights.name not in recorded:
        say_unchecked(weights)
    return found[weights.name]


def _not_as_written(file: Path, by: str) -> UserError:
    return UserError(
        f"{file}: was altered after the training (its SHA-256 is not the one in {by}); copy the model "
        "again from where it was trained; there, `segstudy verify DIR --repair` moves it aside"
    )


def _content(record: Path) -> object:
    """Return what a ``run.json`` holds; nothing if it is missing or unreadable."""
    try:
        return json.loads(record.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _checksums(record: object) -> dict[str, object]:
    checksums = record.get("sha256") if isinstance(record, dict) else None
    return checksums if isinstance(checksums, dict) else {}


def sha256_of(file: Path, *more: Path, num_bytes: int | None = None) -> str:
    """Return the SHA-256 of a file followed by others, read piece by piece.

    Args:
        file: a regular file; a pipe or a device would never end.
        more: all of their bytes count.
        num_bytes: of the first file only so many bytes count.

    Raises:
        OSError: one is missing, unreadable, or no regular file.
    """
    digest = hashlib.sha256()
    for each, limit in ((file, num_bytes), *((other, None) for other in more)):
        rest = sys.maxsize if limit is None else limit
        with open_regular(each) as stream:
            while piece := stream.read(min(PIECE_BYTES, rest)):
                digest.update(piece)
                rest -= len(piece)
    return digest.hexdigest()
