"""The process in which an exported file is tried.

``python -m segstudy.deploy.engines.sandbox_process FILE ENGINE PRECISION`` prints
``{"problem": "..."}``, with nothing in it when the file passed.
"""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from segstudy.core.errors import UserError, typed_line
from segstudy.core.resources import allowed_memory
from segstudy.deploy.engines.base import METADATA, Precision
from segstudy.deploy.engines.exported import open_untried
from segstudy.deploy.engines.sandbox import REMEDY
from segstudy.deploy.file_kinds import read_graph
from segstudy.deploy.file_kinds.graph import Graph
from segstudy.store.card import Package, parse_package

# For one image: this much, and as much again for every megapixel of the network's size.
MEMORY_BYTES, MEMORY_PER_MPX_BYTES = 2 * 2**30, 8 * 2**30
CPU_S, CPU_PER_MPX_S = 10, 60
WALL_TIMES = 10  # as long by the clock, as other programs may be at work too
LOOPS = ("Loop", "Scan", "SequenceMap", "TensorIterator")
MAX_NODES = 100_000


def main(arguments: Sequence[str]) -> None:
    """Try the file, and print the result."""
    file, engine, precision = Path(arguments[0]), arguments[1], arguments[2]
    _limit(CPU_S, MEMORY_BYTES)
    try:
        package = parse_package(_checked(file, read_graph(file, METADATA)), file)
        _limit(*_limits(package))
        network = open_untried(file, engine, 1, cast("Precision", precision))
        height, width = package.card.image_size
        black = np.zeros((1, height, width, package.card.num_channels), np.uint8)
        _ = np.asarray(network.forward(black))
        problem = ""
    except UserError as error:
        problem = str(error)
    except MemoryError:
        problem = f"{file}: needs more than {MEMORY_BYTES / 2**30:g} GB of memory; {REMEDY}"
    except Exception as error:  # of whatever class each engine raises
        reason = typed_line(error, 200)
        problem = f"{file}: cannot be run ({reason}); {REMEDY}"
    print(json.dumps({"problem": problem}), flush=True)


def _checked(file: Path, graph: Graph) -> str:
    """The package's text in a graph, if nothing in it is refused unseen.

    Raises:
        UserError: loops, whose number of rounds may depend on the image; weights in other files; too large.
    """
    if loops := sorted({kind for kind in graph.kinds if kind in LOOPS}):
        raise UserError(f"{file}: holds a loop ({loops[0]}), which no model of segstudy does; {REMEDY}")
    if graph.external:
        raise UserError(f"{file}: reads weights from another file ({graph.external[:100]}); {REMEDY}")
    if graph.num_nodes > MAX_NODES:
        raise UserError(f"{file}: has more than {MAX_NODES} operations; {REMEDY}")
    return graph.text


def _limits(package: Package) -> tuple[int, int]:
    height, width = package.card.image_size
    megapixels = height * width / 1e6
    memory = min(MEMORY_BYTES + int(megapixels * MEMORY_PER_MPX_BYTES), allowed_memory())
    return CPU_S + int(megapixels * CPU_PER_MPX_S), max(memory, MEMORY_BYTES)


def _limit(cpu_s: int, memory_bytes: int) -> None:
    """Set the limits of this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows: the caller's limit of time holds
        return
    for kind, most in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_DATA, memory_bytes)):
        hard = resource.getrlimit(kind)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (soft, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, WALL_TIMES * cpu_s)  # its signal ends the process


if __name__ == "__main__":
    main(sys.argv[1:])
