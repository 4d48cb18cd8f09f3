"""The losses: logits and target in, scalar out; per image, then averaged.

Every loss takes ``logits`` and a binary ``target``, both ``(batch, 1, H, W)``, works in float32
for any input type, reduces over the pixels of each image and then averages over the images. So the batch
size does not change what is minimised. All are finite, with finite gradients, on empty, full and
saturated input (logits of +-1e4).

``LOSSES`` describes each completely: a new one is a function in the module of its family and its record
here. Options are the function's parameters that have defaults.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from segstudy.core.plugins import known_record
from segstudy.core.registry import Component, Extension, resolve
from segstudy.losses.combined import combo
from segstudy.losses.distribution import bce, focal
from segstudy.losses.region import dice, tversky

__all__ = [
    "FAMILIES",
    "LOSSES",
    "Loss",
    "bce",
    "build_loss",
    "combo",
    "dice",
    "family",
    "focal",
    "known_loss",
    "resolve_loss",
    "tversky",
]

# The titles of the families, in the order of the report.
FAMILIES = {"distribution": "distribution losses", "region": "region losses", "combined": "the combination"}


@dataclass(frozen=True, slots=True)
class Loss:
    """A record of the table of losses; tables of the report have its order.

    Attributes:
        function: ``(logits, target, option=default, ...)``.
        family: a key of ``FAMILIES``; empty for a plug-in's that belongs to none.
        numerics: raised when its numbers change; enters the keys of the runs that use it.
        title: its name in full.
        citations: keys of ``references.bib``.
        is_preferred: whether a first look trains it alone, if it is among the losses of the study.
    """

    function: Callable[..., Tensor]
    family: str = ""
    numerics: int = 1
    title: str = ""
    citations: tuple[str, ...] = ()
    is_preferred: bool = False


LOSSES: dict[str, Loss] = {
    "bce": Loss(bce, "distribution", title="binary cross-entropy"),
    "focal": Loss(focal, "distribution", title="focal loss", citations=("focal",)),
    "dice": Loss(dice, "region", title="Dice loss", citations=("dice",)),
    "tversky": Loss(tversky, "region", title="Tversky loss", citations=("tversky",)),
    "combo": Loss(combo, "combined", title="focal + Dice", citations=("focal", "dice"), is_preferred=True),
}

EXTENSION = Extension("loss", Loss, lambda loss: loss.function, given=("logits", "target"), num_called_with=2)


def resolve_loss(text: str) -> tuple[Component, int | str]:
    """Return the canonical form of a loss, and the ``numerics`` that enter a run's key.

    Raises:
        UserError: an unknown loss or option, with the choices.
    """
    component, _, version = resolve(text, LOSSES, EXTENSION)
    return component, version or LOSSES[component.name].numerics


def build_loss(text: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function ``(logits, target) -> scalar`` of a loss with options.

    For a class, such as ``torch.nn.BCEWithLogitsLoss``, it is an instance.

    Raises:
        UserError: an unknown loss or option, with the choices.
    """
    component, function, _ = resolve(text, LOSSES, EXTENSION)
    options = dict(component.options)
    if not isinstance(function, type):
        return partial(function, **options)
    made: Callable[[Tensor, Tensor], Tensor] = function(**options)
    return made


def known_loss(text: str) -> Loss | None:
    """Return the record of a loss such as ``tversky:fp_weight=0.4``; None for one that has none here."""
    return known_record("loss", text, LOSSES, Loss)


def family(text: str) -> str | None:
    """Return the family of a loss, a key of ``FAMILIES``; None if no record names one."""
    record = known_loss(text)
    return record.family if record and record.family in FAMILIES else None
