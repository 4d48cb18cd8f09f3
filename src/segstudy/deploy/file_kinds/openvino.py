"""Graphs of OpenVINO's ``.xml`` files."""

import re
from xml.parsers import expat

from segstudy.deploy.file_kinds.graph import DEEPEST, Graph, MalformedError


def read_graph(content: bytes, metadata: str) -> Graph:
    """Read the layers of a file; ``metadata`` names the text that is wanted. The weights are in another file.

    Raises:
        MalformedError: the format is another one.
    """
    found = Graph()
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        if len(path) > 2 * DEEPEST:
            raise MalformedError("graphs that are nested too deeply")
        if name == "layer":
            found.num_nodes += 1
            found.kinds.add(re.sub(r"[^\w.-]", "", attributes.get("type", ""))[:50])
        if name == metadata and path[-2:-1] in (["rt_info"], ["framework"]):
            found.text = attributes.get("value", "")

    def end(_: str) -> None:
        path.pop()

    def declared(*_: object) -> None:
        raise MalformedError("declares entities")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = start, end, declared
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise MalformedError(str(error)) from None
    return found
