"""Options of running a model."""

from dataclasses import dataclass

from segstudy.deploy.engines import EngineName
from segstudy.deploy.engines.base import Precision


@dataclass(frozen=True)
class PredictOptions:
    """Options of running a model; see ``load.open_model``."""

    engine: EngineName = "auto"
    precision: Precision = "auto"
    threads: int = 1
    device: str = "auto"
    network: str | None = None

    @property
    def on_cpu(self) -> bool:
        """Whether it may run on the CPU."""
        return self.device in ("auto", "cpu")
