"""The model.onnx that a run of a user's own network keeps."""

from pathlib import Path

from segstudy.core.checksums import refuse_altered
from segstudy.core.errors import UserError
from segstudy.deploy.engines import EngineName
from segstudy.deploy.engines.base import Network, Precision
from segstudy.deploy.engines.exported import open_exported
from segstudy.store.card import Card
from segstudy.store.records import STORED_ONNX


def stored_network(
    folder: Path, card: Card, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """Open the ``model.onnx`` that a run of a user's own network keeps: the model without its code.

    Args:
        folder: of the run.
        card: of the run, as its ``model.json`` has it.
        engine: as of ``engines.open_exported``.
        threads: as of ``engines.open_exported``.
        precision: as of ``engines.open_exported``.

    Raises:
        UserError: as ``engines.open_exported``; it was altered or is of another run.
    """
    file = folder / STORED_ONNX
    refuse_altered(file, folder / "run.json")
    network = open_exported(file, engine, threads, precision)
    if network.card != card:
        raise UserError(
            f"{file}: belongs to another run than model.json; copy the folder again from its study"
        )
    return network
