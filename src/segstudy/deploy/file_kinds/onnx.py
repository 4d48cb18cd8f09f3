"""Graphs of ``.onnx`` files."""

from collections.abc import Iterator

from segstudy.deploy.file_kinds.graph import DEEPEST, MAX_READ, Graph, MalformedError

# A Protocol Buffers message. Of each kind of message the fields that are followed, by number
# (onnx.proto, which never changes them).
_FOLLOWED = {
    "model": {7: "graph", 25: "function", 14: "entry"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
_OP_TYPE, _KEY, _VALUE, _LOCATION = 4, 1, 2, 14


def read_graph(content: bytes, metadata: str) -> Graph:
    """Read the contents of a file; ``metadata`` names the text that is wanted.

    Raises:
        MalformedError: the format is another one.
    """
    found = Graph()
    _walk(memoryview(content), "model", found, metadata, 0)
    return found


def _walk(message: memoryview, kind: str, found: Graph, metadata: str, depth: int) -> None:
    if depth > DEEPEST:
        raise MalformedError("graphs that are nested too deeply")
    if kind in ("entry", "external"):
        _take_entry(message, kind, found, metadata)
        return
    if kind == "node":
        found.num_nodes += 1
        if found.num_nodes > MAX_READ:
            return
    for number, value in _fields(message):
        if isinstance(value, int):
            if kind == "tensor" and number == _LOCATION and value == 1:
                found.external = found.external or "unnamed"
        elif kind == "node" and number == _OP_TYPE:
            found.kinds.add(bytes(value).decode("utf-8", "replace"))
        elif (inner := _FOLLOWED[kind].get(number)) is not None:
            _walk(value, inner, found, metadata, depth + 1)


def _take_entry(message: memoryview, kind: str, found: Graph, metadata: str) -> None:
    entry = {n: bytes(v).decode("utf-8", "replace") for n, v in _fields(message) if not isinstance(v, int)}
    key, value = entry.get(_KEY, ""), entry.get(_VALUE, "")
    if kind == "external" and key == "location":
        found.external = value or "unnamed"
    if kind == "entry" and key == metadata:
        found.text = value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message: integers as they are, all else as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
            case 1 | 5 as form:
                at += 8 if form == 1 else 4
            case 2:
                length, at = _varint(message, at)
                if at + length > len(message):
                    raise MalformedError("cut short")
                yield tag >> 3, message[at : at + length]
                at += length
            case _:
                raise MalformedError("not an ONNX file")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise MalformedError("cut short" if shift <= 63 else "not an ONNX file")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
