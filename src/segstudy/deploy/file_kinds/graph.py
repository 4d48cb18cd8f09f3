"""The contents of an exported file's graph, read from its bytes without the library that would run it."""

from dataclasses import dataclass, field

DEEPEST = 60  # graphs within graphs
MAX_READ = 200_000  # nodes; a caller that allows fewer need not read more


@dataclass
class Graph:
    """The contents of a graph.

    Attributes:
        kinds: of operations, in all graphs within.
        num_nodes: operations.
        external: the name of another file that holds weights.
        text: the metadata asked for; empty without.
    """

    kinds: set[str] = field(default_factory=set)
    num_nodes: int = 0
    external: str = ""
    text: str = ""


class MalformedError(ValueError):
    """The bytes are not a graph of their format."""
