"""The meaning of mask values of another tool: one rule for all masks of a model."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from segstudy.core.classes import MaskClass
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.core.outputs import IGNORED
from segstudy.core.quantities import and_more
from segstudy.core.resources import allowed_cores
from segstudy.data.images import ImageError
from segstudy.data.mask_inference import Inference
from segstudy.data.mask_looks import MaskLook, look_at_mask
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.mask_survey import infer
from segstudy.data.mask_tables import table_of
from segstudy.data.mask_values import FLAT_FRAC
from segstudy.data.masks import THRESHOLD, listed, numbers_in, numbers_of
from segstudy.data.sources import MaskSource, OneMask, first_file, masks_of


def meaning_of_masks(
    masks: Sequence[MaskSource], truth: MaskMeaning, asked: MaskMeaning = AUTO
) -> MaskMeaning:
    """Find what mask values mean from all masks of a model together.

    Where they hold several classes, or only numbers of classes of which the study names some as foreground,
    those count. In a study of several classes they hold the values of the study's own masks, or the numbers
    of its classes as ``segstudy predict`` writes them.

    Args:
        masks: of one model.
        truth: what the values of the study's own masks mean.
        asked: the user's, as far as there is any.

    Raises:
        UserError: the masks do not fit one rule, or it is not known whether they hold classes.
    """
    files = [file for mask in masks for _, file in masks_of(mask)]
    looks = _looks(files)
    if truth.classes or asked.classes:
        return _of_classes(looks, files, truth, with_classes_of(truth, asked))
    found = infer(looks, asked)
    if truth.foreground is None or asked.rule.kind != "auto":
        return _accepted(found, looks, files)
    named = infer(looks, replace(asked, foreground=truth.foreground))
    if found.unfit or found.fault:
        return _accepted(named, looks, files)
    numbers = _numbers(looks)
    if numbers <= {0, 255} or (named.fault == "" and found.meaning == named.meaning):
        return found.meaning
    if numbers <= {0, *_whole(truth.foreground)}:
        return named.meaning
    spelled = "+".join(map(str, truth.foreground))
    held = ", ".join(map(str, sorted(numbers)))
    raise UserError(
        f"{first_file(files[0]).parent}: its masks hold {held}, and the study's "
        f"foreground is {spelled}; if every value but 0 is foreground, choose --masks background=0, else "
        "save the foreground as 0 and 255"
    )


def with_classes_of(truth: MaskMeaning, asked: MaskMeaning) -> MaskMeaning:
    """Return a meaning with its classes in the order of the study's; without classes it has none.

    Args:
        truth: of the study's own masks.
        asked: of other masks, as the user gives it.

    Raises:
        UserError: other classes than those of the study.
    """
    names, given = ([each.name for each in meaning.classes] for meaning in (truth, asked))
    if truth.classes and asked.foreground is not None:
        raise UserError(f"--foreground: the study has the classes {', '.join(names)}; leave it out")
    if not given:
        return asked
    if not names:
        raise UserError("--classes: the study has one foreground; leave it out, or name it with --foreground")
    if sorted(given) != sorted(names) or asked.outputs.task != truth.outputs.task:
        raise UserError(
            f"--classes must name the classes of the study, {','.join(map(str, truth.classes))}, with the "
            f"values that they have in these masks; got {','.join(map(str, asked.classes))}"
        )
    return replace(asked, classes=tuple(sorted(asked.classes, key=lambda each: names.index(each.name))))


def described_classes(meaning: MaskMeaning) -> dict[str, object]:
    """Return the classes and ignored values as a record has them; nothing of masks with one foreground."""
    classes = {"classes": ",".join(map(str, meaning.classes))} if meaning.classes else {}
    return classes | ({"ignore": list(meaning.ignore)} if meaning.ignore else {})


def _of_classes(
    looks: Sequence[MaskLook], files: Sequence[OneMask], truth: MaskMeaning, asked: MaskMeaning
) -> MaskMeaning:
    """Find the meaning of masks of several classes; ``asked`` has those of the study, or none."""
    if truth.outputs.task == "multilabel":
        alone = _accepted(infer(looks, asked.of_layers()), looks, files)
        return replace(alone, classes=truth.classes)
    readings = [asked] if asked.classes else list(_readings(truth, asked))
    found = [infer(looks, reading) for reading in readings]
    fitting = [each.meaning for each in found if not each.unfit and not each.fault]
    if not fitting:
        first, *others = found[0].unfit.values()
        raise UserError(
            f"{first.path}: {first.detail}{and_more(len(others))}; masks of {', '.join(truth.outputs.names)} "
            f"hold the values of the study's masks or those of --classes"
        )
    for other in fitting[1:]:
        if any((numbers_in(o.table, fitting[0]) != numbers_in(o.table, other)).any() for o in looks):
            raise UserError(
                f"{first_file(files[0]).parent}: its masks may hold the values of the study's masks or the "
                f"numbers of its classes, and that differs; choose {_option(fitting[0])} or {_option(other)}"
            )
    return fitting[0]


def _readings(truth: MaskMeaning, asked: MaskMeaning) -> Iterator[MaskMeaning]:
    """Yield the meanings of masks with the values of the study's own masks, and with class numbers."""
    yield replace(asked, classes=truth.classes, ignore=asked.ignore or truth.ignore)
    numbers = tuple(MaskClass(each.name, (i,)) for i, each in enumerate(truth.classes))
    yield replace(asked, classes=numbers, ignore=asked.ignore or ((IGNORED,) if truth.ignore else ()))


def _option(meaning: MaskMeaning) -> str:
    return f"--classes {','.join(map(str, meaning.classes))}"


def _looks(files: Iterable[OneMask]) -> list[MaskLook]:
    def look(file: OneMask) -> MaskLook:
        mask = decode_mask(file)
        return look_at_mask(mask, table_of(mask, first_file(file)))

    with ThreadPoolExecutor(allowed_cores(hyperthreads=True)) as pool:
        return list(pool.map(look, files))


def _accepted(found: Inference, looks: Sequence[MaskLook], files: Sequence[OneMask]) -> MaskMeaning:
    if found.unfit:
        (place, error), *others = found.unfit.items()
        raise UserError(f"{error.path}: {_refused(error, looks[place])}{and_more(len(others))}")
    if found.fault:
        raise UserError(f"{first_file(files[0]).parent}: {found.fault}")
    return found.meaning


def _refused(error: ImageError, look: MaskLook) -> str:
    """The reason, with the remedies that masks of another tool have: no foreground can be named."""
    values, alone = look.table.values, "save the foreground alone, as 0 and 255"
    if error.kind == "coloured":
        return f"{len(values)} colours; {alone}, or choose --masks 'background=#000000' (all but black)"
    if error.kind == "grey" and len(values) == 1:
        return f"every pixel is {values[0]}, neither background (0) nor foreground (255); {alone}"
    if error.kind != "multi-class":
        return error.detail
    choices = [alone, f"choose --masks background={values[0]} (every value but {values[0]} is foreground)"]
    if look.table.kind == "grey" and look.flat_frac < FLAT_FRAC and values.max() >= THRESHOLD:
        choices.append(f"--masks cut={THRESHOLD} (every value from {THRESHOLD} up)")
    what = "a mask of several classes or probabilities"
    return f"{what}, with the values {listed(values)}; {', or '.join(choices)}"


def _numbers(looks: Sequence[MaskLook]) -> set[int]:
    return set(np.unique(np.concatenate([numbers_of(look.table) for look in looks])).astype(int).tolist())


def _whole(foreground: Iterable[int | str]) -> set[int]:
    return {each for each in foreground if isinstance(each, int)}
