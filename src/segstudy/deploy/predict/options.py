"""Options of running a model."""

from dataclasses import dataclass

from segstudy.deploy.engines import EngineName
from segstudy.deploy.engines.base import Precision


@dataclass(frozen=True)
class PredictOptions:
    """Options of running a model; see ``load.open_model``.

    Attributes:
        engine: that is wanted.
        precision: of the arithmetic.
        threads: simultaneous callers.
        device: for PyTorch.
        network: ``my.py:Net``, for a network from a file of one's own.
        num_images: that will be predicted; None if unknown. A few are not worth the conversion of a network.
        continued: the title of the engine whose results are to be continued, as masks of two engines differ
            in a few pixels; empty if there are none. With ``engine`` only, if it is ``auto``.
    """

    engine: EngineName = "auto"
    precision: Precision = "auto"
    threads: int = 1
    device: str = "auto"
    network: str | None = None
    num_images: int | None = None
    continued: str = ""

    @property
    def on_cpu(self) -> bool:
        """Whether it may run on the CPU."""
        return self.device in ("auto", "cpu")
