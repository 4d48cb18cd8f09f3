"""SHA-256 of models, written when they are made and checked when they are opened. Needs no PyTorch.

An exported file carries its own at its end: an ``.onnx`` file as a last entry of its metadata, an ``.xml``
file as a last comment that also covers the ``.bin`` beside it. So metadata are covered too: an altered
threshold or way to resize gives wrong masks as altered weights do.
"""

import hashlib
import json
import logging
from pathlib import Path

from segstudy.core.errors import UserError, printable
from segstudy.core.input_files import open_regular

KEY = b"segstudy_sha256"
# An entry of metadata as ONNX's protocol buffers have it: field 14 of the model, with a key and a value.
ONNX_ENTRY = b"\x72\x53\x0a\x0f" + KEY + b"\x12\x40"
XML_COMMENT = (b"\n<!-- " + KEY + b" ", b" -->\n")
DIGITS = 64
PIECE_BYTES = 1 << 20

log = logging.getLogger("segstudy")  # without a handler, warnings are lines on standard error


def with_onnx_checksum(model: bytes) -> bytes:
    """Return a serialized ONNX model with its checksum as the last entry of its metadata."""
    return model + ONNX_ENTRY + hashlib.sha256(model).hexdigest().encode()


def with_xml_checksum(graph: bytes, weights: bytes) -> bytes:
    """Return OpenVINO's ``.xml`` with the checksum of it and of its ``.bin`` as the last comment."""
    digest = hashlib.sha256(graph + weights).hexdigest().encode()
    return graph + XML_COMMENT[0] + digest + XML_COMMENT[1]


def has_right_checksum(file: Path) -> bool:
    """Whether an exported file has a checksum; a wrong one is an error.

    Raises:
        UserError: the checksum is not that of the content, or the file cannot be read.
    """
    before, after = (ONNX_ENTRY, b"") if file.suffix.lower() == ".onnx" else XML_COMMENT
    length = len(before) + DIGITS + len(after)
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            stream.seek(max(0, size - length))
            end = stream.read(length)
        if not (len(end) == length and end.startswith(before) and end.endswith(after)):
            return False
        found = _sha256(file, size - length, *([file.with_suffix(".bin")] if after else []))
    except OSError as error:
        raise UserError(
            f"{error.filename}: cannot be read ({error.strerror}); export the model again"
        ) from None
    if found != end[len(before) : len(before) + DIGITS].decode("ascii", "replace"):
        raise altered(file)
    return True


def is_sound(file: Path) -> bool:
    """Whether an exported file is as it was written."""
    try:
        return has_right_checksum(file)
    except UserError:
        return False


def refuse_altered(file: Path, record: Path) -> None:
    """Refuse a file of a run whose checksum is not the one in the ``run.json`` beside it, if there is one.

    Raises:
        UserError: it was altered, or cannot be read.
    """
    wanted = _recorded(record).get(file.name)
    try:
        if wanted is not None and _sha256(file, file.stat().st_size) != wanted:
            raise _not_as_written(file, record.name)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); copy it again from its run") from None


def altered(file: Path) -> UserError:
    """Return the error for an exported file that is not as it was written."""
    weights = " or its .bin" if file.suffix.lower() == ".xml" else ""
    return UserError(
        f"{file}: it{weights} was altered after the export (its SHA-256 is another); export the model again"
    )


def say_unchecked(file: Path) -> None:
    """Warn that a file has no checksum, so that an alteration would not be noticed."""
    log.warning(
        "%s: unchecked: it is of an older version and carries no checksum, so an alteration goes unnoticed",
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
    recorded = _recorded(card.with_name("run.json"))
    found = {}
    for file in (weights, card):
        try:
            found[file.name] = _sha256(file, file.stat().st_size)
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
        "again from where it was trained; there, `segstudy verify DIR --repair` sets it aside"
    )


def _recorded(record: Path) -> dict[str, object]:
    """Return the checksums in a ``run.json``; none if it is missing or unreadable."""
    try:
        content = json.loads(record.read_bytes())
        checksums = content["sha256"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return {}
    return checksums if isinstance(checksums, dict) else {}


def _sha256(file: Path, num_bytes: int, *more: Path) -> str:
    """Return the SHA-256 of the first bytes of a file, followed by all bytes of others."""
    digest = hashlib.sha256()
    with open_regular(file) as stream:
        while num_bytes > 0 and (piece := stream.read(min(PIECE_BYTES, num_bytes))):
            digest.update(piece)
            num_bytes -= len(piece)
    for other in more:
        with open_regular(other) as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
    return digest.hexdigest()
