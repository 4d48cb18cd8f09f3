"""The engine PyTorch, which runs the network of a run's folder."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segstudy.core.device import autocast, best_precision
from segstudy.core.outputs import Outputs
from segstudy.deploy.engines.base import Network, Precision
from segstudy.models import lower_precision_numerics
from segstudy.models.activation import probabilities_from
from segstudy.store.card import Card
from segstudy.store.weights import load_model


class Deployed(nn.Module):
    """A network with the steps before and after it: 8-bit pixels in, probabilities out.

    Maps images ``(N, H, W, 3)`` uint8, RGB, or of other channels, to float32 probabilities
    ``(N, *outputs.prob_shape(H, W))``.
    Exported files contain this module, so callers need not know the scale, the order of the channels or the
    activation.
    """

    def __init__(self, network: nn.Module, outputs: Outputs):
        super().__init__()
        self.network = network
        self.outputs = outputs

    def forward(self, image: Tensor) -> Tensor:
        pixels = image.permute(0, 3, 1, 2).float() / 255
        return probabilities_from(self.network(pixels), self.outputs)


def open_run(
    folder: Path, name: str, device: str = "cpu", precision: Precision = "auto", network: str | None = None
) -> Network:
    """Open the network of a run's folder.

    Args:
        folder: of the run.
        name: of its configuration and seed.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto`` takes bfloat16 where the hardware has it.
        network: ``my.py:Net``, for a network from a file of one's own.

    Raises:
        UserError: as ``checkpoint.load_model``.
    """
    module, card = load_model(folder, network)
    place = torch.device(device)
    chosen = best_precision(device) if precision == "auto" else precision
    module = module.to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    described = Card.model_validate(card)
    model = Deployed(module, described.outputs).eval()

    def forward(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode(), autocast(place, chosen):
            return np.asarray(model(torch.from_numpy(image).to(place)).cpu().numpy())

    opened = Network(
        described,
        name,
        f"PyTorch, {chosen}",
        forward,
        arithmetic=_arithmetic(described.architecture, chosen, place),
    )
    opened.refuse_if_wrong()
    return opened


def _arithmetic(architecture: str, precision: str, place: torch.device) -> int:
    """Return the version of an architecture's arithmetic; on a GPU it did not change (``models.joined``)."""
    versions = lower_precision_numerics(architecture, precision) if place.type == "cpu" else {}
    return versions.get("bfloat16", 1)
