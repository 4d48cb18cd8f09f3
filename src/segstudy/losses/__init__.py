"""The losses: logits and target in, scalar out; per image, then averaged.

What a loss takes depends on the classes, see ``core.outputs``:

==========================  ===========================  ==================================================
classes                     logits                       target
==========================  ===========================  ==================================================
binary                      ``(batch, 1, H, W)``         ``(batch, 1, H, W)``: 0 or 1
binary, some pixels ignored ``(batch, 1, H, W)``         ``(batch, 1, H, W)``: 0, 1, or -1 where ignored
multilabel                  ``(batch, K, H, W)``         ``(batch, K, H, W)``: 0, 1, or -1 where ignored
multiclass                  ``(batch, K, H, W)``         ``(batch, H, W)`` of int64: the class's number;
                                                         -100 where ignored, as PyTorch has it
==========================  ===========================  ==================================================

Every loss works in float32 for any type of logits, reduces over the pixels of each image and then averages
over the images. So the batch size does not change what is minimised. Ignored pixels count nowhere; an image
of which all pixels are ignored has a loss of 0 and gradients of 0, and counts as an image. All are finite,
with finite gradients, on empty, full and saturated input (logits of +-1e4).

``LOSSES`` describes each completely: a new one is a function in the module of its family and its record
here. Options are the function's parameters that have defaults, all but ``outputs`` and ``class_weights``: a
function for several classes that has these parameters is given the classes, and the weights or None.

Losses that are not ours, of a file or a package, get the same. Where ignored pixels are -1 they are refused,
as they would count them; -100 is what PyTorch's own losses leave out.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.plugins import known_record
from segstudy.core.registry import Component, Extension, parse, resolve
from segstudy.losses.class_weights import weights_of
from segstudy.losses.combined import combo, combo_multiclass, combo_multilabel
from segstudy.losses.counted import Weights
from segstudy.losses.distribution import (
    bce,
    bce_multilabel,
    cross_entropy,
    focal,
    focal_multiclass,
    focal_multilabel,
)
from segstudy.losses.region import (
    dice,
    dice_multiclass,
    dice_multilabel,
    tversky,
    tversky_multiclass,
    tversky_multilabel,
)

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
    "weights_of",
]

# The titles of the families, in the order of the report.
FAMILIES = {"distribution": "distribution losses", "region": "region losses", "combined": "the combination"}


@dataclass(frozen=True, slots=True)
class Loss:
    """A record of the table of losses; tables of the report have its order.

    Attributes:
        function: ``(logits, target, option=default, ...)``, of binary masks.
        family: a key of ``FAMILIES``; empty for a plug-in's that belongs to none.
        numerics: raised when its numbers change; enters the keys of the runs that use it.
        title: its name in full.
        citations: keys of ``references.bib``.
        is_preferred: whether a first look trains it alone, if it is among the losses of the study.
        multilabel: the function of classes that may overlap, and of binary masks with ignored pixels; None if
            it serves neither.
        multiclass: the function of classes that exclude each other; None if it does not serve them.
        of_background: options of ``multiclass`` that mean nothing without the class ``background``.
    """

    function: Callable[..., Tensor]
    family: str = ""
    numerics: int = 1
    title: str = ""
    citations: tuple[str, ...] = ()
    is_preferred: bool = False
    multilabel: Callable[..., Tensor] | None = None
    multiclass: Callable[..., Tensor] | None = None
    of_background: tuple[str, ...] = ()


LOSSES: dict[str, Loss] = {
    "bce": Loss(
        bce,
        "distribution",
        title="binary cross-entropy",
        multilabel=bce_multilabel,
        multiclass=cross_entropy,
    ),
    "focal": Loss(
        focal,
        "distribution",
        title="focal loss",
        citations=("focal",),
        multilabel=focal_multilabel,
        multiclass=focal_multiclass,
        of_background=("alpha",),
    ),
    "dice": Loss(
        dice,
        "region",
        title="Dice loss",
        citations=("dice",),
        multilabel=dice_multilabel,
        multiclass=dice_multiclass,
        of_background=("background",),
    ),
    "tversky": Loss(
        tversky,
        "region",
        title="Tversky loss",
        citations=("tversky",),
        multilabel=tversky_multilabel,
        multiclass=tversky_multiclass,
        of_background=("background",),
    ),
    "combo": Loss(
        combo,
        "combined",
        title="focal + Dice",
        citations=("focal", "dice"),
        is_preferred=True,
        multilabel=combo_multilabel,
        multiclass=combo_multiclass,
        of_background=("background",),
    ),
}

ARGUMENTS = ("logits", "target")
GIVEN = ("outputs", "class_weights")  # to functions of several classes that have these parameters

Place = Literal["function", "multilabel", "multiclass"]


def resolve_loss(
    text: str, outputs: Outputs = BINARY, is_weighted: bool = False
) -> tuple[Component, int | str]:
    """Return the canonical form of a loss, and the ``numerics`` that enter a run's key.

    Args:
        text: the loss with its options.
        outputs: the study's classes.
        is_weighted: whether classes have weights.

    Raises:
        UserError: an unknown loss or option, with the choices; one that does not serve these classes, or
            takes no weights.
    """
    component, _, version = _resolved(text, outputs, is_weighted)
    return component, version or LOSSES[component.name].numerics


def build_loss(
    text: str, outputs: Outputs = BINARY, class_weights: Weights | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function ``(logits, target) -> scalar`` of a loss with options.

    For a class, such as ``torch.nn.BCEWithLogitsLoss``, it is an instance.

    Args:
        text: the loss with its options.
        outputs: the classes; they say what logits and target are.
        class_weights: of ``weights_of``.

    Raises:
        UserError: as ``resolve_loss``.
    """
    component, function, _ = _resolved(text, outputs, class_weights is not None)
    given = {"outputs": outputs, "class_weights": class_weights}
    taken = [] if _place(outputs) == "function" else [name for name in GIVEN if name in _parameters(function)]
    options = {**dict(component.options), **{name: given[name] for name in taken}}
    if not isinstance(function, type):
        return partial(function, **options)
    made: Callable[[Tensor, Tensor], Tensor] = function(**options)
    return made


def _resolved(
    text: str, outputs: Outputs, is_weighted: bool
) -> tuple[Component, Callable[..., Tensor], str | None]:
    named, place = parse(text), _place(outputs)
    extension = Extension(
        "loss",
        Loss,
        lambda loss: _serving(named.title, loss, place),
        given=ARGUMENTS if place == "function" else (*ARGUMENTS, *GIVEN),
        num_called_with=len(ARGUMENTS),
    )
    component, function, version = resolve(text, LOSSES, extension)
    if (named.file or named.module) and place == "multilabel" and outputs.has_ignored:
        raise UserError(
            f"{component.title} cannot be used with ignore: it does not know of pixels that count nowhere; "
            f"use one of {', '.join(LOSSES)}, or leave ignore out"
        )
    if is_weighted and "class_weights" not in _parameters(function):
        raise UserError(
            f"{component.title} cannot be used with class_weights: it has no parameter of this name; use one "
            f"of {', '.join(LOSSES)}, or leave class_weights out"
        )
    if place == "multiclass" and len(outputs.scored) == len(outputs.names):
        _refuse_background(component, text)
    return component, function, version


def _place(outputs: Outputs) -> Place:
    """Which of a record's functions serves these classes."""
    if outputs.task == "multiclass":
        return "multiclass"
    return "multilabel" if outputs.task == "multilabel" or outputs.has_ignored else "function"


SERVED = {
    "multilabel": "classes that may overlap or binary masks with ignore",
    "multiclass": "classes that exclude each other",
}


def _serving(title: str, loss: Loss, place: Place) -> Callable[..., Tensor]:
    function: Callable[..., Tensor] | None = getattr(loss, place)
    if function is None:
        raise UserError(f"{title} does not serve {SERVED[place]}: use one of {', '.join(LOSSES)}")
    return function


def _refuse_background(component: Component, text: str) -> None:
    """Refuse options that concern the background where no class is.

    Raises:
        UserError: there is one.
    """
    record = known_loss(text)
    for name in record.of_background if record else ():
        if name in dict(component.options):
            raise UserError(
                f"{component.title}: {name} means nothing here, as no class is named background; leave it out"
            )


def _parameters(function: Callable[..., Tensor]) -> list[str]:
    return list(inspect.signature(function).parameters)


def known_loss(text: str) -> Loss | None:
    """Return the record of a loss such as ``tversky:fp_weight=0.4``; None for one that has none here."""
    return known_record("loss", text, LOSSES, Loss)


def family(text: str) -> str | None:
    """Return the family of a loss, a key of ``FAMILIES``; None if no record names one."""
    record = known_loss(text)
    return record.family if record and record.family in FAMILIES else None
