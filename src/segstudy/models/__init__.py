"""The architectures: images ``(batch, 3, H, W)`` in [0, 1] to logits ``(batch, 1, H, W)``."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from segstudy.core.errors import UserError
from segstudy.core.registry import Component, Extension, resolve
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

EXTENSION = Extension("architecture", object, lambda network: network, given=("width",))

MIN_SIDE_PX = 32


def resolve_architecture(text: str) -> tuple[Component, int | str]:
    """The canonical form of an architecture, and what its ``numerics`` contribute to a run's key.

    Raises:
        UserError: an unknown architecture or option, with the choices.
    """
    component, network, version = resolve(text, MODELS, EXTENSION)
    numerics: int = getattr(network, "numerics", 1)
    return component, version or numerics


def build(architecture: str, width: int, seed: int, drawn_as: str | None = None) -> nn.Module:
    """A freshly initialised network.

    Its weights depend on the architecture, its width and the seed, on nothing drawn before: the
    global random state is left as it was.

    Args:
        architecture: a name in ``MODELS`` or a plug-in's, ``file.py:Name`` or ``package.module:Name``, with
            options.
        width: channels of the first stage; a network that is not ours gets it if it takes it.
        seed: the run's seed.
        drawn_as: the name under which its weights were drawn, where its file has another name by now.

    Raises:
        UserError: an unknown architecture or option; what is built is no network.
    """
    component, network, version = resolve(architecture, MODELS, EXTENSION)
    options = dict(component.options)
    if "width" in inspect.signature(network).parameters:
        options["width"] = width
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("init", seed=seed, architecture=drawn_as or str(component)))
        model = network(**options)
    return model if version is None else one_output(model, component.title)


def one_output(model: Any, title: str) -> nn.Module:
    """A network that is not ours, where a list of one tensor is that tensor.

    Its parameters keep their names: weights fit the network as its authors know it.

    Raises:
        UserError: it is no network. Called on images, it is refused if it gives anything but one tensor.
    """
    if not isinstance(model, nn.Module):
        raise UserError(
            f"{title} must give a network (a torch.nn.Module), got {type(model).__name__}; name its class"
        )

    def only(module: nn.Module, images: Any, output: Any) -> Tensor:  # noqa: ARG001  as PyTorch calls it
        if isinstance(output, list | tuple) and len(output) == 1:
            (output,) = output
        if isinstance(output, Tensor):
            return output
        several = (
            f"{len(output)} outputs" if isinstance(output, list | tuple) else f"a {type(output).__name__}"
        )
        raise UserError(
            f"{title} must give one tensor, got {several}: choose one by an option of it, or name a network "
            "of your own that does, as file.py:Name"
        )

    model.register_forward_hook(only)
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
