"""The architectures: images ``(batch, 3, H, W)`` in [0, 1] to logits ``(batch, 1, H, W)``."""

import inspect
from collections.abc import Callable

import torch
from torch import nn

from segstudy.core.errors import UserError
from segstudy.core.registry import Component, resolve, source_hash
from segstudy.core.seeding import seed_for
from segstudy.models.dilated_unet import DilatedUNet
from segstudy.models.segnet import SegNet
from segstudy.models.unet import UNet
from segstudy.models.unet2 import UNet2

MODELS: dict[str, Callable[..., nn.Module]] = {
    "segnet": SegNet,
    "unet": UNet,
    "unet2": UNet2,
    "dilated_unet": DilatedUNet,
}

MIN_SIDE_PX = 32


def resolve_architecture(text: str) -> tuple[Component, int | str]:
    """The canonical form of an architecture, and what its ``numerics`` contribute to a run's key.

    Raises:
        UserError: an unknown architecture or option, with the choices.
    """
    component, network = resolve(text, MODELS, "architecture", given=("width",))
    numerics: int = getattr(network, "numerics", 1)
    return component, source_hash(component) or numerics


def build(architecture: str, width: int, seed: int, drawn_as: str | None = None) -> nn.Module:
    """A freshly initialised network.

    Its weights depend on the architecture, its width and the seed, on nothing drawn before: the
    global random state is left as it was.

    Args:
        architecture: a name in ``MODELS`` or ``file.py:Name``, with options.
        width: channels of the first stage; a user's own network gets it if it takes it.
        seed: the run's seed.
        drawn_as: the name under which its weights were drawn, where its file has another name by now.

    Raises:
        UserError: an unknown architecture or option.
    """
    component, network = resolve(architecture, MODELS, "architecture", given=("width",))
    options = dict(component.options)
    if "width" in inspect.signature(network).parameters:
        options["width"] = width
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("init", seed=seed, architecture=drawn_as or str(component)))
        model: nn.Module = network(**options)
    return model


def check_size(height_px: int, width_px: int) -> None:
    """Refuse images that five halvings would leave with nothing.

    Raises:
        UserError: a side under 32 px.
    """
    if min(height_px, width_px) < MIN_SIDE_PX:
        raise UserError(
            f"image size {height_px}x{width_px} is too small: the architectures need at least "
            f"{MIN_SIDE_PX} px a side; raise --image-size"
        )
