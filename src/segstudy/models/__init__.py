"""The architectures: images ``(batch, 3, H, W)`` in [0, 1] to logits ``(batch, channels, H, W)``.

How many channels there are, and what they mean, say the outputs of the study's classes: ``core.outputs``.
Images may have another number of channels than three: the study's ``channels``.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from segstudy.core.errors import UserError
from segstudy.core.intensity import COLOURS
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.plugins import known_record
from segstudy.core.registry import Component, Extension, resolve
from segstudy.core.seeding import seed_for
from segstudy.core.sums import title
from segstudy.models.attention_unet import AttentionUNet
from segstudy.models.dilated_unet import DilatedUNet
from segstudy.models.mednext import MedNeXt
from segstudy.models.nnunet import NNUNet
from segstudy.models.resunet import ResUNet
from segstudy.models.segnet import SegNet
from segstudy.models.unet import UNet
from segstudy.models.unet2 import UNet2
from segstudy.models.unetpp import UNetPlusPlus


@dataclass(frozen=True, slots=True)
class Model:
    """A record of the table of architectures; tables of the report have its order.

    Attributes:
        network: a class whose parameters with defaults are its options, but for ``width``, ``num_logits`` and
            ``image_channels``.
        title: its name in full.
        carried: what the encoder passes to the decoder besides the deepest maps.
        numerics: raised when its numbers change; enters the keys of the runs that use it.
        numerics_bfloat16: raised when its numbers in bfloat16 alone change; enters the keys of those runs,
            if it is not 1.
        citations: keys of ``references.bib``.
        skips_compared: the spellings whose contrasts show the effect of skip connections, the simplest first;
            empty if it takes no part in that comparison, None if nothing is said about it.
    """

    network: Callable[..., nn.Module]
    title: str = ""
    carried: str = ""
    numerics: int = 1
    numerics_bfloat16: int = 1
    citations: tuple[str, ...] = ()
    skips_compared: tuple[str, ...] | None = None


MODELS: dict[str, Model] = {
    "segnet": Model(
        SegNet, "SegNet", "the places of the maxima", citations=("segnet",), skips_compared=("segnet",)
    ),
    "unet": Model(
        UNet,
        "U-Net",
        "feature maps",
        numerics_bfloat16=2,
        citations=("unet",),
        skips_compared=("unet:skips=false", "unet"),
    ),
    "unet2": Model(
        UNet2, "U-Net 2", "feature maps", numerics_bfloat16=2, citations=("unet",), skips_compared=()
    ),
    "dilated_unet": Model(
        DilatedUNet,
        "dilated U-Net",
        "feature maps",
        numerics_bfloat16=2,
        citations=("unet", "dilated"),
        skips_compared=(),
    ),
    "unetpp": Model(UNetPlusPlus, "UNet++", "feature maps, nested", citations=("unetpp",), skips_compared=()),
    "attention_unet": Model(
        AttentionUNet,
        "Attention U-Net",
        "feature maps, weighted",
        citations=("attention_unet",),
        skips_compared=(),
    ),
    "resunet": Model(ResUNet, "ResUNet", "feature maps", citations=("resunet",), skips_compared=()),
    "nnunet": Model(NNUNet, "nnU-Net's U-Net", "feature maps", citations=("nnunet",), skips_compared=()),
    "mednext": Model(MedNeXt, "MedNeXt", "feature maps, added", citations=("mednext",), skips_compared=()),
}

# How networks that are not ours name the number of their outputs: the first of these that one has.
NUM_LOGITS = ("out_channels", "num_classes", "n_classes", "classes")
# And the number of channels of their images.
NUM_CHANNELS = ("in_channels", "in_chans", "n_channels", "num_channels")
EXTENSION = Extension(
    "architecture",
    Model,
    lambda model: model.network,
    given=("width", "num_logits", "image_channels"),
    filled=(*NUM_LOGITS, *NUM_CHANNELS),
)

MIN_SIDE_PX = 32


def resolve_architecture(text: str) -> tuple[Component, int | str]:
    """Return the canonical form of an architecture, and the ``numerics`` that enter a run's key.

    Raises:
        UserError: an unknown architecture or option, with the choices.
    """
    component, _, version = resolve(text, MODELS, EXTENSION)
    return component, version or MODELS[component.name].numerics


def is_ours(architecture: str) -> bool:
    """Whether an architecture such as ``unet:skips=false`` is in ``MODELS``."""
    return architecture.split(":", maxsplit=1)[0] in MODELS


def lower_precision_numerics(architecture: str, precision: str) -> dict[str, int]:
    """Return what further enters the key of a run of this precision, see ``Model.numerics_bfloat16``."""
    ours = MODELS.get(architecture.split(":", maxsplit=1)[0])
    version = ours.numerics_bfloat16 if ours is not None and precision == "bfloat16" else 1
    return {} if version == 1 else {"bfloat16": version}


def known_model(text: str) -> Model | None:
    """Return the record of an architecture such as ``unet:skips=false``; None for one that has none here."""
    return known_record("architecture", text, MODELS, Model)


def build(
    architecture: str,
    width: int,
    seed: int,
    outputs: Outputs = BINARY,
    channels: int = COLOURS,
    *,
    named_as: str | None = None,
) -> nn.Module:
    """Return a newly initialised network.

    Its weights depend only on the architecture, its width, the numbers of its logits and of the images'
    channels, and the seed; the global random state is neither used nor changed.

    Args:
        architecture: a name in ``MODELS`` or a plug-in's, ``file.py:Name`` or ``package.module:Name``, with
            options.
        width: channels of the first stage; a network that is not ours gets it if it takes it.
        seed: the run's seed.
        outputs: what it must give; a network that is not ours gets their number as one of ``NUM_LOGITS``, if
            it takes one and no option says it.
        channels: of the images; a network that is not ours gets it as one of ``NUM_CHANNELS``, as
            above.
        named_as: the name under which its weights were made, if its file has a new name now.

    Raises:
        UserError: an unknown architecture or option; or the result is not a network.
    """
    component, network, version = resolve(architecture, MODELS, EXTENSION)
    options = _filled(dict(component.options), network, (width, outputs, channels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("init", seed=seed, architecture=named_as or str(component)))
        model = network(**options)
    return model if version is None else one_output(model, component.title)


def _filled(
    options: dict[str, Any], network: Callable[..., nn.Module], needed: tuple[int, Outputs, int]
) -> dict[str, Any]:
    """Return options with those that segstudy gives itself, as far as a network takes them.

    ``needed`` are the width, the outputs and the number of the images' channels.
    """
    parameters = inspect.signature(network).parameters
    width, outputs, channels = needed
    given = {"width": width, "num_logits": outputs.num_channels, "image_channels": channels}
    found = options | {name: value for name, value in given.items() if name in parameters}
    numbers = (
        (NUM_LOGITS, outputs.num_channels, outputs.task == "binary"),
        (NUM_CHANNELS, channels, channels == COLOURS),
    )
    for names, number, is_usual in numbers:
        name = next((name for name in names if name in parameters), None)
        if name is None or name in options:
            continue
        # Defaults stay in usual studies: their networks are those of the versions that filled nothing in.
        if not is_usual or parameters[name].default is inspect.Parameter.empty:
            found[name] = number
    return found


def refuse_fixed_channels(architecture: str, network: nn.Module, images: Tensor) -> None:
    """Refuse a network that takes images with three channels alone, where these have another number.

    Args:
        architecture: for the message.
        network: that failed on the images.
        images: ``(batch, channels, H, W)``.

    Raises:
        UserError: it works on images with three channels; the message says what the network needs.
    """
    if images.shape[1] == COLOURS:
        return
    try:
        with torch.no_grad():
            network(images[:, :1].repeat(1, COLOURS, 1, 1))
    except Exception:  # it fails for another reason
        return
    component = resolve(architecture, MODELS, EXTENSION)[0]
    options = dict(component.options)
    named = next((name for name in NUM_CHANNELS if name in options), None)
    remedy = f"leave its option {named} out" if named else f"give it a parameter {NUM_CHANNELS[0]}"
    raise UserError(
        f"{component.title} takes images with {COLOURS} channels alone, and those of this study have "
        f"{images.shape[1]}: {remedy}, which segstudy sets to their number"
    )


def refuse_other_logits(logits: Tensor, images: Tensor, outputs: Outputs, architecture: str) -> None:
    """Refuse a network's output that is not the logits of every pixel.

    Args:
        logits: its output.
        images: its input, ``(batch, channels, H, W)``.
        outputs: what it must give.
        architecture: for the message.

    Raises:
        UserError: of another shape than ``(batch, channels, H, W)``; the message says what is needed.
    """
    wanted = (images.shape[0], outputs.num_channels, *images.shape[2:])
    if tuple(logits.shape) == wanted:
        return
    needed = "one logit per pixel"
    if outputs.num_channels > 1:
        needed = f"{outputs.num_channels} logits per pixel, one for each of {', '.join(outputs.names)}"
    raise UserError(
        f"{title(architecture)} maps images {tuple(images.shape)} to {tuple(logits.shape)}, not to {wanted}: "
        f"it must give {needed}"
    )


def one_output(model: Any, title: str) -> nn.Module:
    """Return a network that is not ours, changed to return one tensor instead of a list of one.

    Its parameters keep their names: weights fit the network as its authors know it.

    Raises:
        UserError: it is not a network; or, when it is called on images, it does not return one tensor.
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
    """Refuse images that are too small to be halved five times.

    Raises:
        UserError: a side under 32 px.
    """
    if min(height_px, width_px) < MIN_SIDE_PX:
        raise UserError(
            f"image size {height_px}x{width_px} is too small: the architectures need at least "
            f"{MIN_SIDE_PX} px a side; raise --image-size"
        )
