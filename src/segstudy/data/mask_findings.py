"""Findings about masks that can be used: empty, full or inverted ones, one by one and all together."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from segstudy.core.mask_rules import USUAL, MaskMeaning
from segstudy.core.quantities import percent
from segstudy.data.mask_inference import Inference
from segstudy.data.mask_looks import MaskLook
from segstudy.data.masks import foreground_of, grey_frac_of, ignored_in
from segstudy.data.samples import Dataset, Problem

EMPTY = "empty mask"
INVERTED, ALL_INVERTED = "inverted mask suspected", "masks inverted"
BORDER_FRAC = 0.99  # of the border, from which on it counts as foreground all around
MOST_FRAC = 0.5  # of the masks: what holds of more is no exception
ALIKE_FRAC = 0.8  # of the masks with foreground: so many are inverted by one export
NEARLY_ALL_FRAC = 0.9
FEW_MASKS = 3  # of fewer nothing is said about most


def mask_problems(where: str, look: MaskLook, meaning: MaskMeaning) -> tuple[list[Problem], float]:
    """List what is odd about a mask, and its share of foreground."""
    chosen, counting = foreground_of(look.table, meaning), ~ignored_in(look.table, meaning)
    frac = float(look.table.counts[chosen].sum() / max(1, look.table.counts[counting].sum()))
    problems = []
    if look.table.kind != "palette" and look.mode not in ("1", "L", "P") and look.mode[0] != "I":
        if look.table.kind == "grey" and look.mode != "F":
            detail = f"stored as {look.mode}; its channels agree and are read as one"
        else:
            detail = f"stored as {look.mode}"
        problems.append(Problem("note", "mask in colour", where, detail))
    if look.is_white_zero:
        detail = (
            "zero is white in this TIFF (photometric): programs show its values reversed. The stored values "
            "count, so that the larger is foreground though it looks darker; if not, choose --masks inverted"
        )
        if look.mode == "1":
            detail = "zero is white in this TIFF (photometric); of one bit white counts as it is shown"
        problems.append(Problem("warning", "white is zero", where, detail))
    if meaning == USUAL and len(look.table.values) > 2:
        grey = grey_frac_of(look.table)
        detail = f"more than two values ({percent(grey, 1)} of it grey): foreground from 128 up"
        problems.append(Problem("note", "mask with grey values", where, detail))
    if not counting.any():
        detail = "every pixel has a value to ignore, so that this image counts nowhere; true of this image?"
        return [*problems, Problem("warning", "ignored mask", where, detail)], frac
    if meaning.classes:
        return [*problems, *_only_background(where, chosen)], frac
    return [*problems, *_odd_foreground(where, look, (chosen, counting), frac)], frac


def _only_background(where: str, chosen: NDArray[np.bool_]) -> list[Problem]:
    detail = "no pixel is of any class but the background; true of this image?"
    return [] if chosen.any() else [Problem("warning", EMPTY, where, detail)]


def _odd_foreground(
    where: str, look: MaskLook, values: tuple[NDArray[np.bool_], NDArray[np.bool_]], frac: float
) -> list[Problem]:
    chosen, counting = values
    if not chosen.any():
        return [Problem("warning", EMPTY, where, "no foreground at all; true of this image?")]
    if chosen[counting].all():
        return [Problem("warning", "full mask", where, "no background at all; true of this image?")]
    if looks_inverted(float(look.border[chosen].sum() / look.border.sum()), frac):
        detail = (
            "foreground all along the border around a background in the middle: black and white swapped? "
            "If so in all masks, choose --masks inverted"
        )
        return [Problem("warning", INVERTED, where, detail)]
    return []


def border_frac(look: MaskLook, meaning: MaskMeaning) -> float:
    """Return the share of foreground along the border of a mask."""
    return float(look.border[foreground_of(look.table, meaning)].sum() / look.border.sum())


def looks_inverted(border_frac: float, frac: float) -> bool:
    """Whether foreground and background seem to be swapped, from their shares of the border and of the mask.

    Objects lie inside the picture and are crossed by its border in parts, so a border that is
    foreground all around (99 %), enclosing a background of at least 1 %, is suspicious. Large lesions
    that fill all but the corners (PH2: up to 98 %) leave background on the border.
    """
    return border_frac >= BORDER_FRAC and frac <= 0.99


def across_masks(
    dataset: Dataset, problems: Sequence[Problem], fracs: Mapping[str, float], masks: Inference
) -> list[Problem]:
    """List what is wrong with all masks of a data set together, or with those of a subset."""
    found = []
    if masks.fault:
        found.append(Problem("error", "foreground nowhere", dataset.name, masks.fault))
    if masks.remark:
        found.append(Problem("warning", "masks of several scales", dataset.name, masks.remark))
    if masks.not_held:
        found.append(Problem("warning", "ignored value nowhere", dataset.name, masks.not_held))
    if masks.doubt:
        detail = f"masks = {masks.meaning.rule} is given, but {masks.doubt}"
        found.append(Problem("warning", "rule of masks in doubt", dataset.name, detail))
    found += _mostly_inverted(dataset, problems, fracs, masks)
    return (
        found
        if masks.fault
        else [*found, *_without_foreground(dataset, fracs), *_one_sided(dataset, fracs, masks)]
    )


def _mostly_inverted(
    dataset: Dataset, problems: Sequence[Problem], fracs: Mapping[str, float], masks: Inference
) -> list[Problem]:
    """Whether more than half of the masks look inverted, and nobody says that they are right."""
    if masks.meaning.classes:
        return []
    num_inverted = sum(problem.kind == INVERTED for problem in problems)
    num_with = sum(frac > 0 for frac in fracs.values())
    if num_inverted < FEW_MASKS or num_inverted <= MOST_FRAC * num_with or masks.is_given:
        return []
    remedy = "choose --masks inverted if black is the object"
    if num_inverted < ALIKE_FRAC * num_with:
        remedy = "save all masks alike, or choose --masks inverted if black is the object in all of them"
    detail = (
        f"{num_inverted} of {num_with} masks with foreground have it all along the border, around a "
        f"background in the middle; {remedy}, or --masks {masks.meaning.rule} if the masks are right as they "
        "are"
    )
    return [Problem("error", ALL_INVERTED, dataset.name, detail)]


def all_around(
    dataset: Dataset,
    problems: Sequence[Problem],
    shares: tuple[Mapping[str, float], Mapping[str, float]],
    masks: Inference,
) -> list[Problem]:
    """Whether the masks may be inverted though no single one shows it: objects are crossed by their border.

    In nearly every mask the border then has more foreground than the rest, and most of it is foreground. Of
    true masks it has less (in PH2 and ISIC-2017 of all), or as much, where small objects lie everywhere.

    Args:
        dataset: the samples.
        problems: found before; nothing is added to an error on inverted masks.
        shares: of foreground in the masks and along their borders, by sample id.
        masks: what they mean.
    """
    fracs, borders = shares
    mixed = [sample_id for sample_id in borders if 0 < fracs[sample_id] < 1]
    if len(mixed) < FEW_MASKS or masks.is_given or masks.meaning.classes:
        return []
    if any(problem.kind == ALL_INVERTED for problem in problems):
        return []
    number = sum(borders[sample_id] > fracs[sample_id] for sample_id in mixed)
    mean_border = sum(borders[sample_id] for sample_id in mixed) / len(mixed)
    mean = sum(fracs[sample_id] for sample_id in mixed) / len(mixed)
    if number < NEARLY_ALL_FRAC * len(mixed) or mean_border < max(0.6, mean + 0.1):
        return []
    detail = (
        f"in {number} of {len(mixed)} masks the border has more foreground than the rest "
        f"({percent(mean_border)} of it on average): choose --masks inverted if black is the object, or "
        f"--masks {masks.meaning.rule} if the masks are right as they are"
    )
    return [Problem("warning", "masks perhaps inverted", dataset.name, detail)]


def _one_sided(dataset: Dataset, fracs: Mapping[str, float], masks: Inference) -> list[Problem]:
    """Whether more than half of the masks have no foreground, or no background, of two classes."""
    problems, scores_one = [], "a model that predicts nothing scores IoU 1 on each of them"
    kinds = [("most masks empty", "foreground", 0, scores_one)]
    if not masks.meaning.classes:
        other = "are masks of another kind among them, such as fields of view?"
        kinds.append(("most masks full", "background", 1, other))
    for kind, lacking, value, cause in kinds:
        number = sum(frac == value for frac in fracs.values())
        if FEW_MASKS <= number < len(fracs) + value and number > MOST_FRAC * len(fracs):
            share = f"{number} of {len(fracs)} masks ({percent(number / len(fracs))}) have no {lacking}"
            problems.append(Problem("warning", kind, dataset.name, f"{share}; {cause}"))
    return problems


def _without_foreground(dataset: Dataset, fracs: Mapping[str, float]) -> list[Problem]:
    """Whether the data set, or one of its official subsets, has no foreground in any mask."""
    subsets = {sample.part for sample in dataset.samples if sample.part} if any(fracs.values()) else {None}
    problems = []
    for subset in sorted(subsets, key=str):
        members = [
            fracs[sample.id]
            for sample in dataset.samples
            if sample.id in fracs and subset in (None, sample.part)
        ]
        if members and not any(members):
            where = f"{dataset.name}, {subset}" if subset else dataset.name
            detail = f"none of its {len(members)} masks has any foreground; name it, or check the masks"
            problems.append(Problem("error", "no foreground", where, detail))
    return problems
