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

``bce+0.5*dice`` is a weighted sum of losses, see ``core.sums``. Each part is given what it would be given
alone.

Losses that are not ours, of a file or a package, get the same. Where ignored pixels are -1 they are refused,
as they would count them; -100 is what PyTorch's own losses leave out.
"""

from collections.abc import Callable

from torch import Tensor

from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.plugins import known_record
from segstudy.core.sums import Sum, parse_sum
from segstudy.losses import boundary, lovasz, region, skeletons
from segstudy.losses.class_weights import weights_of
from segstudy.losses.combined import (
    bce_dice,
    bce_dice_multiclass,
    bce_dice_multilabel,
    combo,
    combo_multiclass,
    combo_multilabel,
)
from segstudy.losses.counted import Weights
from segstudy.losses.distribution import (
    bce,
    bce_multilabel,
    cross_entropy,
    focal,
    focal_multiclass,
    focal_multilabel,
)
from segstudy.losses.record import FAMILIES, Loss
from segstudy.losses.region import (
    dice,
    dice_multiclass,
    dice_multilabel,
    tversky,
    tversky_multiclass,
    tversky_multilabel,
)
from segstudy.losses.resolving import Resolved, added_up, resolved, version_of

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
    "known_losses",
    "resolve_loss",
    "tversky",
    "weights_of",
]

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
        ranges={"alpha": (-1, 1)},
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
    "bce_dice": Loss(
        bce_dice,
        "combined",
        title="cross-entropy + Dice",
        citations=("dice",),
        multilabel=bce_dice_multilabel,
        multiclass=bce_dice_multiclass,
        of_background=("background",),
    ),
    "jaccard": Loss(
        region.jaccard,
        "region",
        title="soft IoU loss",
        citations=("soft_iou",),
        multilabel=region.jaccard_multilabel,
        multiclass=region.jaccard_multiclass,
        of_background=("background",),
    ),
    "focal_tversky": Loss(
        region.focal_tversky,
        "region",
        title="focal Tversky loss",
        citations=("focal_tversky",),
        multilabel=region.focal_tversky_multilabel,
        multiclass=region.focal_tversky_multiclass,
        of_background=("background",),
        ranges={"exponent": (0.1, 10)},
    ),
    "lovasz": Loss(
        lovasz.lovasz,
        "region",
        title="Lovász loss",
        citations=("lovasz",),
        multilabel=lovasz.lovasz_multilabel,
        multiclass=lovasz.lovasz_multiclass,
        of_background=("background",),
    ),
    "cldice": Loss(
        skeletons.cldice,
        "region",
        title="Dice + centreline Dice loss",
        citations=("cldice",),
        multilabel=skeletons.cldice_multilabel,
        multiclass=skeletons.cldice_multiclass,
        of_background=("background",),
        ranges={"alpha": (0, 1), "iterations": (0, 100)},
    ),
    "boundary": Loss(
        boundary.boundary,
        "boundary",
        title="boundary loss, beside a region loss",
        citations=("boundary",),
        multilabel=boundary.boundary_multilabel,
        multiclass=boundary.boundary_multiclass,
        of_background=("background",),
    ),
    "hausdorff_dt": Loss(
        boundary.hausdorff_dt,
        "boundary",
        title="Hausdorff loss by distances, beside a region loss",
        citations=("hausdorff_dt",),
        multilabel=boundary.hausdorff_dt_multilabel,
        multiclass=boundary.hausdorff_dt_multiclass,
        of_background=("background",),
    ),
}


def resolve_loss(text: str, outputs: Outputs = BINARY, is_weighted: bool = False) -> tuple[Sum, int | str]:
    """Return the canonical form of a loss or sum, and the ``numerics`` that enter a run's key.

    Args:
        text: the loss with its options.
        outputs: the study's classes.
        is_weighted: whether classes have weights.

    Raises:
        UserError: an unknown loss or option, with the choices; one that does not serve these classes, or
            takes no weights.
    """
    found = _resolved(text, outputs, is_weighted)
    return found.sum, version_of(found, LOSSES)


def build_loss(
    text: str, outputs: Outputs = BINARY, class_weights: Weights | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function ``(logits, target) -> scalar`` of a loss with options, or of a sum of losses.

    For a class, such as ``torch.nn.BCEWithLogitsLoss``, it is an instance.

    Args:
        text: the loss with its options.
        outputs: the classes; they say what logits and target are.
        class_weights: of ``weights_of``.

    Raises:
        UserError: as ``resolve_loss``.
    """
    return added_up(_resolved(text, outputs, class_weights is not None), outputs, class_weights)


def _resolved(text: str, outputs: Outputs, is_weighted: bool) -> Resolved:
    return resolved(text, LOSSES, outputs, is_weighted)


def known_losses(text: str) -> list[Loss | None]:
    """Return the record of each part of a loss such as ``bce+tversky:fp_weight=0.4``.

    None for one that has none here, and for what is no spelling of a loss.
    """
    try:
        components = parse_sum(text).components
    except UserError:  # of a file that has changed since: its title is not a spelling
        return [None]
    return [known_record("loss", str(each), LOSSES, Loss) for each in components]


def family(text: str) -> str | None:
    """Return the family of a loss, a key of ``FAMILIES``; None if no record names one.

    A sum is of the family of its parts, or combined if they are of several.
    """
    families = {record.family if record else "" for record in known_losses(text)}
    if not families <= FAMILIES.keys():
        return None
    return families.pop() if len(families) == 1 else "combined"
