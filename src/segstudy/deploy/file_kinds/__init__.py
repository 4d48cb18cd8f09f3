"""The table of kinds of exported files: what has to be known of a file before a library loads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

from segstudy.core.errors import UserError
from segstudy.core.input_files import MB
from segstudy.deploy.file_kinds.graph import Graph, MalformedError

__all__ = ["CHECKSUM", "FILE_KINDS", "FileKind", "kind_of", "read_graph"]

CHECKSUM = b"segstudy_sha256"  # the name of the checksum in a file


@dataclass(frozen=True, slots=True)
class FileKind:
    """An entry of the table.

    Attributes:
        suffix: of the file.
        graph: where the function that reads its graph stands, as ``package.module:name``; imported when it is
            used. It maps the file's bytes and the name of a text in its metadata to a ``Graph``, and raises
            ``MalformedError``.
        checksum: the bytes before and after the SHA-256 at the end of the file.
        max_bytes: a larger file is no model.
        beside: suffixes of further files of the same name, which its checksum covers, with the ``max_bytes``
            of each.
    """

    suffix: str
    graph: str
    checksum: tuple[bytes, bytes]
    max_bytes: int
    beside: Mapping[str, int] = field(default_factory=dict)

    def files(self, file: Path) -> dict[Path, int]:
        """Return a file and those beside it, with the largest size of each."""
        return {file: self.max_bytes} | {file.with_suffix(each): most for each, most in self.beside.items()}


FILE_KINDS: dict[str, FileKind] = {
    kind.suffix: kind
    for kind in (
        FileKind(
            suffix=".onnx",
            graph="segstudy.deploy.file_kinds.onnx:read_graph",
            # A last entry of the metadata, as ONNX's protocol buffers have it: field 14 of the model, with a
            # key and a value.
            checksum=(b"\x72\x53\x0a\x0f" + CHECKSUM + b"\x12\x40", b""),
            max_bytes=2**31,  # the format's own limit
        ),
        FileKind(
            suffix=".xml",
            graph="segstudy.deploy.file_kinds.openvino:read_graph",
            checksum=(b"\n<!-- " + CHECKSUM + b" ", b" -->\n"),  # a last comment
            max_bytes=64 * MB,
            beside={".bin": 2**33},
        ),
    )
}


def kind_of(file: Path) -> FileKind:
    """Return the kind of an exported file, by its suffix."""
    return FILE_KINDS[file.suffix.lower()]


def read_graph(file: Path, metadata: str) -> Graph:
    """Read the contents of an exported file's graph.

    Args:
        file: of one of the kinds.
        metadata: name of the text that is wanted from its metadata.

    Raises:
        UserError: the file has another format than its suffix says.
    """
    try:
        graph: Graph = resolve_name(kind_of(file).graph)(file.read_bytes(), metadata)
    except MalformedError as error:
        raise UserError(f"{file}: cannot be loaded ({error}); export the model again") from None
    return graph
