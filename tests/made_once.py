"""What is made once for all test workers, and read by many: files of a folder, and exported graphs."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from torch import nn


def made_once(name: str, make: Callable[[Path], object], factory: pytest.TempPathFactory) -> Path:
    """Return a folder that ``make`` has filled, in this worker or in another; for reading only."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    shared.mkdir(exist_ok=True)
    folder, done = shared / name, shared / f"{name}.done"
    with FileLock(shared / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def network_key(deployed: nn.Module) -> str:
    """All that a graph of one of our networks depends on: its modules, its options and its weights."""
    network = deployed.network
    options = {name: value for name, value in vars(network).items() if isinstance(value, int | float | str)}
    found = hashlib.sha256(repr((type(network), network, options)).encode())
    for name, tensor in network.state_dict().items():
        found.update(name.encode() + tensor.cpu().numpy().tobytes())
    return found.hexdigest()[:16]


@contextmanager
def traced_once(factory: pytest.TempPathFactory) -> Iterator[None]:
    """PyTorch's exporter takes seconds, and gives the same graph for the same network: it runs once.

    Networks that are not ours are traced each time, and so is everything in other processes.
    """
    from segstudy.deploy.export import onnx as exporter

    real = exporter._traced

    def traced(deployed: Any, size: tuple[int, ...], free: dict[int, Any]) -> bytes:
        if not type(deployed.network).__module__.startswith("segstudy."):
            return real(deployed, size, free)

        def make(folder: Path) -> None:
            (folder / "graph.onnx").write_bytes(real(deployed, size, free))

        name = f"graph-{network_key(deployed)}-{len(free)}"
        return (made_once(name, make, factory) / "graph.onnx").read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "_traced", traced)
        yield
