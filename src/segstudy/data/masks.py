"""What the values of a mask mean: which of them are foreground, or of which class they are.

A rule is applied to the table of a mask's values, never to its pixels, so that a whole data set can be judged
by tables alone, see ``mask_survey``.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.mask_rules import USUAL, MaskMeaning, MaskRule
from segstudy.core.outputs import IGNORED, IGNORED_BITS, Outputs
from segstudy.core.quantities import counted, percent
from segstudy.data.images import ImageError
from segstudy.data.mask_pixels import MaskPixels, decode_mask
from segstudy.data.mask_tables import (
    MaskTable,
    as_bytes,
    as_colours,
    rgb_of,
    stored_numbers,
    table_of,
)
from segstudy.data.sources import MaskSource, PerClass, first_file

THRESHOLD = 128  # of blurred masks with 8 bits
GREY = range(32, 224)  # neither background nor foreground, even after JPEG
MAX_GREY_FRAC = 0.05
FEW = 16  # more values than that are a blur, or numbers of objects


def read_mask(source: MaskSource, meaning: MaskMeaning = USUAL) -> NDArray[Any]:
    """Decode a mask ``(H, W)``, of the type ``meaning.outputs.mask_dtype``.

    Raises:
        ImageError: as ``images.read_image``, and a mask of which the meaning says too little.
    """
    outputs = meaning.outputs
    if isinstance(source, PerClass) != (outputs.task == "multilabel"):
        raise _of_other_classes(source, meaning)
    if not isinstance(source, PerClass):
        return classified(decode_mask(source), first_file(source), meaning)
    alone = meaning.of_layers()
    layers = {name: classified(decode_mask(mask), first_file(mask), alone) for name, mask in source.masks}
    return _bits(layers, source, outputs)


def _bits(layers: Mapping[str, NDArray[Any]], source: PerClass, outputs: Outputs) -> NDArray[np.uint16]:
    """The masks of overlapping classes as bits; what one of them ignores is ignored."""
    bits = np.zeros(next(iter(layers.values())).shape, np.uint16)
    for name, mask in source.masks:
        layer = layers[name]
        if layer.shape != bits.shape:
            detail = "differs in size from the mask of another class; export both at the image's size"
            raise ImageError(first_file(mask), "differing", detail)
        if name in outputs.names:
            bits |= (layer == 1).astype(np.uint16) << np.uint16(outputs.names.index(name))
            if outputs.has_ignored:
                bits |= np.where(layer == IGNORED, IGNORED_BITS, np.uint16(0))
    if outputs.has_ignored:
        bits[bits >= IGNORED_BITS] = IGNORED_BITS
    return bits


def _of_other_classes(source: MaskSource, meaning: MaskMeaning) -> ImageError:
    """The error of masks with a file per class where one is expected, or the other way round."""
    if isinstance(source, PerClass):
        names = ",".join(name for name, _ in source.masks)
        detail = f"has masks of its own for each of its classes; name the classes with --classes {names}"
    else:
        names = ", ".join(meaning.outputs.names)
        detail = (
            f"one mask for all classes, but {names} may overlap and need masks each, in folders of their "
            "names; or give the classes their mask values, as --classes background=0,disc=1,cup=2"
        )
    return ImageError(first_file(source), "multi-class", detail)


def classified(mask: MaskPixels, path: Path, meaning: MaskMeaning = USUAL) -> NDArray[Any]:
    """Apply the meaning of a data set's masks to one of them.

    Raises:
        ImageError: its values do not fit.
    """
    table = table_of(mask, path)
    return lookup(mask, table, numbers_in(table, meaning))


def lookup(mask: MaskPixels, table: MaskTable, numbers: NDArray[Any]) -> NDArray[Any]:
    """What the pixels ``(H, W)`` are, from what the values of the table are, ``(K,)``."""
    if mask.values.dtype == np.uint8:
        wanted = np.zeros(256, numbers.dtype)
        wanted[table.values] = numbers
        return np.asarray(wanted[mask.values])
    if numbers.dtype == np.bool_ and len(table.values) <= 2 and numbers.sum() == 1:
        return np.asarray(mask.values == table.values[numbers][0])
    return numbers[np.searchsorted(table.values, mask.values)]


def numbers_in(table: MaskTable, meaning: MaskMeaning = USUAL) -> NDArray[Any]:
    """Of which class a table's values are, ``(K,)`` of the type ``meaning.outputs.mask_dtype``.

    Raises:
        ImageError: the values do not fit the meaning.
    """
    if meaning.classes:
        return _class_numbers(table, meaning)
    if not meaning.ignore:
        return foreground_of(table, meaning)
    return np.where(ignored_in(table, meaning), np.uint8(IGNORED), foreground_of(table, meaning))


def ignored_in(table: MaskTable, meaning: MaskMeaning) -> NDArray[np.bool_]:
    """Which of a table's values count nowhere, ``(K,)``."""
    return _among(table, meaning.ignore, meaning)


def without_ignored(table: MaskTable, meaning: MaskMeaning) -> MaskTable:
    """The values that count."""
    if not meaning.ignore:
        return table
    counts = ~ignored_in(table, meaning)
    colours = None if table.colours is None else table.colours[counts]
    return replace(table, values=table.values[counts], counts=table.counts[counts], colours=colours)


def has_unnamed(table: MaskTable, meaning: MaskMeaning) -> bool:
    """Whether a table has values that are of no class and not ignored."""
    named = [ignored_in(table, meaning), *(_among(table, each.values, meaning) for each in meaning.classes)]
    return not np.logical_or.reduce(named).all()


def _class_numbers(table: MaskTable, meaning: MaskMeaning) -> NDArray[np.uint8]:
    """The number of each value's class; values of no class are refused."""
    numbers = np.full(len(table.values), IGNORED, np.uint8)
    named = ignored_in(table, meaning).astype(np.uint8)
    for number, each in enumerate(meaning.classes):
        chosen = _among(table, each.values, meaning)
        numbers[chosen] = number
        named += chosen
    if (named != 1).any():
        raise of_no_class(table, named)
    return numbers


def _among(table: MaskTable, names: tuple[int | str, ...], meaning: MaskMeaning) -> NDArray[np.bool_]:
    """Which of a table's values are named, as numbers or colours. Brightness is no number here."""
    chosen = np.zeros(len(table.values), np.bool_)
    if colours := [int(each[1:], 16) for each in names if isinstance(each, str)]:
        chosen |= np.isin(as_colours(table), colours)
    if numbers := [each for each in names if isinstance(each, int)]:
        found = stored_numbers(table, by_index=meaning.rule.kind == "indices")
        chosen |= np.zeros_like(chosen) if found is None else np.isin(found, numbers)
    return chosen


def foreground_of(table: MaskTable, meaning: MaskMeaning = USUAL) -> NDArray[np.bool_]:
    """Which of a table's values are foreground, ``(K,)``; of several classes all but the background are.

    By the rule ``larger`` the larger of two values is foreground. A constant 0 is an empty mask, a constant
    1 or 128 and above a full one. Of more values those from 128 up are foreground, as JPEG blurs what was
    black and white. Values that are ignored are not foreground, and the rule does not see them.

    Raises:
        ImageError: the values do not fit the meaning.
    """
    if meaning.classes:
        return np.isin(_class_numbers(table, meaning), meaning.outputs.scored)
    if meaning.ignore:
        foreground = np.zeros(len(table.values), np.bool_)
        counting = without_ignored(table, meaning)
        if len(counting.values):
            foreground[~ignored_in(table, meaning)] = foreground_of(counting, replace(meaning, ignore=()))
        return foreground
    return _named(table, meaning) if meaning.foreground is not None else _by_rule(table, meaning.rule)


def _by_rule(table: MaskTable, rule: MaskRule) -> NDArray[np.bool_]:
    match rule.kind:
        case "background" if rule.value.startswith("#"):
            return np.asarray(as_colours(table) != rule.number)
        case "background":
            return np.asarray(numbers_of(table) != rule.number)
        case "cut":
            return np.asarray(numbers_of(table) >= rule.number)
        case "inverted":
            return ~_larger(table)
        case "indices" if len(table.values) > 2:
            raise several_classes(table, table.values)
    return _larger(table)


def _named(table: MaskTable, meaning: MaskMeaning) -> NDArray[np.bool_]:
    """The values that ``foreground`` names."""
    named = meaning.foreground or ()
    chosen = np.zeros(len(table.values), np.bool_)
    if colours := [int(each[1:], 16) for each in named if isinstance(each, str)]:
        chosen |= np.isin(as_colours(table), colours)
    if numbers := [each for each in named if isinstance(each, int)]:
        found = numbers_of(table, by_index=meaning.rule.kind == "indices")
        if meaning.rule.kind == "nearest":
            found = np.where(as_bytes(found) >= THRESHOLD, 255, 0)
        chosen |= np.isin(found, numbers)
    return chosen


def _larger(table: MaskTable) -> NDArray[np.bool_]:
    values = numbers_of(table)
    if len(values) == 1:
        return _constant(table, values)
    if len(values) == 2:
        return np.asarray(values == values.max())
    if values.dtype.kind == "f":
        raise _fractions(table)
    if int(values.min()) < 0 or int(values.max()) > 65535:
        raise several_classes(table, values)
    grey = as_bytes(values)
    grey_frac = grey_frac_of(table)
    if looks_like_classes(values) or (grey_frac > MAX_GREY_FRAC and len(values) <= FEW):
        raise several_classes(table, values)
    if grey_frac > MAX_GREY_FRAC:
        detail = f"{percent(grey_frac)} of the pixels are grey, neither background nor foreground"
        raise ImageError(table.path, "grey", f"{detail}; save it in black and white, or {_cut(values)}")
    return grey >= THRESHOLD


def numbers_of(table: MaskTable, by_index: bool = False) -> NDArray[Any]:
    """A table's values as numbers ``(K,)``.

    A palette of greys counts by grey, another one by index. Colours of one channel count by that channel; of
    two others the brighter counts as 255 and the darker as 0.

    Raises:
        ImageError: colours of which none is the foreground.
    """
    found = stored_numbers(table, by_index)
    if found is not None:
        return found
    assert table.colours is not None
    rgb = rgb_of(table.colours)
    brightness = rgb.sum(axis=1, dtype=np.int64)
    if len(rgb) == 2 and brightness[0] != brightness[1]:
        return np.where(brightness == brightness.max(), np.uint8(255), np.uint8(0))
    raise coloured(table)


def grey_frac_of(table: MaskTable) -> float:
    """The fraction of pixels that are neither near black nor near white (32..223)."""
    grey = as_bytes(numbers_of(table))
    between = (grey >= GREY.start) & (grey < GREY.stop)
    return float(table.counts[between].sum() / table.counts.sum())


def looks_like_classes(found: NDArray[Any]) -> bool:
    """Three or more values that are small numbers, with or without 255 for "ignore"."""
    numbers = found[found != 255]
    return len(found) > 2 and int(numbers.max()) < (GREY.start if len(numbers) < len(found) else THRESHOLD)


def _constant(table: MaskTable, values: NDArray[Any]) -> NDArray[np.bool_]:
    value = values[0]
    if value < 0 or 1 < value < THRESHOLD or value % 1:
        detail = f"every pixel is {value}, neither background (0) nor foreground (255); save it in black and"
        raise ImageError(
            table.path, "grey", f"{detail} white, or name the foreground with {naming(max(0, int(value)))}"
        )
    return np.array([value > 0])


def _fractions(table: MaskTable) -> ImageError:
    low, high = table.values[[0, -1]]
    what = "probabilities" if low >= 0 and high <= 1 else f"32-bit values from {low:.4g} to {high:.4g}"
    detail = f"holds {what}, of which none is the foreground by itself; {_cut(table.values)}"
    return ImageError(table.path, "fractional", detail)


def _cut(values: NDArray[Any]) -> str:
    """The option that cuts such values where most people would."""
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        return f"cut them with --masks cut={0.5 if low >= 0 and high <= 1 else 0:g}"
    return f"cut them with --masks cut={THRESHOLD if values.max() <= 255 else 257 * THRESHOLD}"


def several_classes(table: MaskTable, found: NDArray[Any]) -> ImageError:
    """The error of a mask that has more than two values, none of which is the foreground by itself."""
    if table.lossy:
        detail = f"a mask of several classes, with the values {listed(found)}, in a format that blurs them"
        return ImageError(table.path, "multi-class", f"{detail}; save it as PNG")
    remedies = "; or ".join(foreground_of_several(found, are_edges=True))
    detail = f"a mask of several classes, with the values {listed(found)}; {remedies}"
    return ImageError(table.path, "multi-class", detail)


def foreground_of_several(found: NDArray[Any], are_edges: bool) -> tuple[str, ...]:
    """How one foreground is made of several values, in words.

    Args:
        found: the values.
        are_edges: whether those between may be blurred edges or probabilities.
    """
    remedies = [
        f"count some as foreground with {naming(int(found[1]))}",
        f"count every value but {found[0]} as foreground with --masks background={found[0]}",
    ]
    if found.tolist() == [0, 1, 255]:
        remedies.insert(0, "if 255 marks pixels that count nowhere, choose --ignore 255")
    if are_edges and found.max() >= THRESHOLD:
        remedies.append(f"if the values between are blurred edges or probabilities, {_cut(found)}")
    return tuple(remedies)


def coloured(table: MaskTable) -> ImageError:
    """The error of a mask in several colours."""
    colours = rgb_of(as_colours(table))
    shown = ", ".join(str(tuple(map(int, colour))) for colour in colours[:4])
    more = ", ..." if len(colours) > 4 else ""
    spelled = "#" + colours[-1].tobytes().hex()
    remedy = f"save it in black and white, or count some as foreground with {naming(spelled)}"
    if table.lossy:
        remedy = "the format of the file blurs colours: save it as PNG"
    return ImageError(table.path, "coloured", f"{len(colours)} colours, {shown}{more}; {remedy}")


def naming(value: int | str) -> str:
    """How the foreground is named; ``--set`` and ``--foreground`` mean the same."""
    spelled = f"'{value}'" if isinstance(value, str) else value
    return f"--foreground {spelled} (run: --set foreground={value})"


def of_no_class(table: MaskTable, named: NDArray[np.uint8]) -> ImageError:
    """The error of a mask with values that no class has, or that two have.

    Args:
        table: of the mask.
        named: ``(K,)``, how often each value is named, among the values to ignore too.
    """
    odd = np.flatnonzero(named != 1)
    if table.kind == "colour":
        shown = np.array([f"#{colour:06x}" for colour in as_colours(table)[odd]])
    else:
        shown = table.values[odd]
    values = counted(len(odd), "value")
    if (named > 1).any():
        return ImageError(table.path, "multi-class", f"holds {values} that two classes name: {listed(shown)}")
    if table.lossy:
        remedy = "the format of the file blurs class numbers: save the masks as PNG"
    else:
        remedy = "name the class in --classes, or the value in --ignore if such pixels are to count nowhere"
    return ImageError(
        table.path, "multi-class", f"holds {values} that no class has: {listed(shown)}; {remedy}"
    )


def listed(found: NDArray[Any], most: int = 8) -> str:
    """The first of some values, and how many more there are."""
    shown = ", ".join(str(value) for value in found[:most])
    return shown + (f" and {len(found) - most} more" if len(found) > most else "")
