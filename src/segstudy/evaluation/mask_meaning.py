"""The meaning of mask values of another tool: one rule for all masks of a model."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from segstudy.core.errors import UserError
from segstudy.core.mask_rules import AUTO, MaskMeaning, parse
from segstudy.core.quantities import and_more
from segstudy.core.resources import allowed_cores
from segstudy.data.images import ImageError
from segstudy.data.mask_looks import MaskLook, look_at_mask
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.mask_survey import Inference, infer
from segstudy.data.mask_tables import table_of
from segstudy.data.masks import listed, numbers_of


def meaning_of_masks(files: Sequence[Path], truth: MaskMeaning, rule: str | None) -> MaskMeaning:
    """Find what mask values mean from all masks of a model together.

    Where they hold several classes, or only numbers of classes of which the study names some as foreground,
    those count.

    Args:
        files: the masks.
        truth: what the values of the study's own masks mean.
        rule: the user's, if there is one.

    Raises:
        UserError: the masks do not fit one rule, or it is not known whether they hold classes.
    """
    asked = replace(AUTO, rule=parse(rule)) if rule else AUTO
    looks = _looks(files)
    found = infer(looks, asked)
    if truth.foreground is None or rule:
        return _accepted(found, looks, files)
    named = infer(looks, MaskMeaning(AUTO.rule, truth.foreground))
    if found.unfit or found.fault:
        return _accepted(named, looks, files)
    numbers = _numbers(looks)
    if numbers <= {0, 255} or (named.fault == "" and found.meaning == named.meaning):
        return found.meaning
    if numbers <= {0, *_whole(truth.foreground)}:
        return named.meaning
    spelled = "+".join(map(str, truth.foreground))
    raise UserError(
        f"{files[0].parent}: its masks hold {', '.join(map(str, sorted(numbers)))}, and the study's "
        f"foreground is {spelled}; if every value but 0 is foreground, choose --masks background=0, else "
        "save the foreground as 0 and 255"
    )


def _looks(files: Iterable[Path]) -> list[MaskLook]:
    def look(file: Path) -> MaskLook:
        mask = decode_mask(file)
        return look_at_mask(mask, table_of(mask, file))

    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        return list(pool.map(look, files))


def _accepted(found: Inference, looks: Sequence[MaskLook], files: Sequence[Path]) -> MaskMeaning:
    if found.unfit:
        (place, error), *others = found.unfit.items()
        raise UserError(f"{error.path}: {_refused(error, looks[place])}{and_more(len(others))}")
    if found.fault:
        raise UserError(f"{files[0].parent}: {found.fault}")
    return found.meaning


def _refused(error: ImageError, look: MaskLook) -> str:
    """The reason, with the remedies that masks of another tool have."""
    if error.kind != "multi-class":
        return error.detail
    return (
        f"a mask of several classes or probabilities, with the values {listed(look.table.values)}; save the "
        "foreground alone, as 0 and 255, or choose --masks background=0 (every value but 0 is foreground) or "
        "--masks cut=128 (every value from 128 up)"
    )


def _numbers(looks: Sequence[MaskLook]) -> set[int]:
    return set(np.unique(np.concatenate([numbers_of(look.table) for look in looks])).astype(int).tolist())


def _whole(foreground: Iterable[int | str]) -> set[int]:
    return {each for each in foreground if isinstance(each, int)}
