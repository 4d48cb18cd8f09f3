"""Every problem of a data set, none silently skipped: what the reader met, and what the pixels show.

An error means that training would be wrong, a warning that it may be, a note is good to know.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from segstudy.core.errors import UserError, printable
from segstudy.core.intensity import AUTO as ANY_SCALE
from segstudy.core.intensity import Scale
from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.core.parallel import in_order
from segstudy.core.quantities import and_more
from segstudy.core.scratch import scratch_array
from segstudy.data.class_findings import (
    ClassPixels,
    ClassShare,
    are_layered,
    class_pixels,
    class_problems,
    class_shares,
    layer_pixels,
    layer_problems,
    layout_problems,
)
from segstudy.data.class_options import FEW_CLASSES, class_options, ignored_alone
from segstudy.data.duplicates import THUMBNAIL_PX, is_by_index, near_duplicates, thumbnail
from segstudy.data.image_values import Levels
from segstudy.data.images import ImageError, decode_image
from segstudy.data.intensity_survey import Intensities, find_scale
from segstudy.data.leakage import EXACT, NEAR, is_duplicate
from segstudy.data.mask_findings import across_masks, all_around, border_frac, mask_problems
from segstudy.data.mask_inference import Inference
from segstudy.data.mask_looks import MaskLook
from segstudy.data.mask_refusals import OTHERS, in_short, problem_of
from segstudy.data.mask_survey import infer
from segstudy.data.mask_tables import MaskTable
from segstudy.data.overlapping_masks import class_overlap_problems
from segstudy.data.sample_looks import Look, decoding_threads, digest_of, looks_at, mask_place, unusable
from segstudy.data.samples import Dataset, Problem, Sample, Severity
from segstudy.data.sources import PerClass, name_within
from segstudy.data.swapped_folders import explained_by_exchange

VERSION = 8  # raised when findings change: stored ones are then made again

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Examined:
    """What the files of a data set show.

    Attributes:
        problems: the reader's first, then by sample, then across samples.
        sizes: height and width of every image that could be read.
        foreground_fracs: share of foreground of every mask that could be read, by sample id.
        masks: what the masks mean, and what speaks for it.
        of_samples: those of the problems that are of one sample's own files, by its id.
        intensities: the scale of the images, and what speaks for it.
        class_pixels: how many pixels each mask has of each class, by sample id, if there are several.
        class_options: the options that name all values of the masks as classes; nothing where that was done,
            or where they are none.
    """

    problems: list[Problem]
    sizes: list[tuple[int, int]]
    foreground_fracs: dict[str, float]
    masks: Inference
    of_samples: dict[str, list[Problem]]
    intensities: Intensities
    class_pixels: Mapping[str, ClassPixels] = field(default_factory=dict)
    class_options: str = ""

    @property
    def class_shares(self) -> tuple[ClassShare, ...]:
        """How much all masks together hold of each class, if there are several."""
        return class_shares(self.class_pixels, self.masks.meaning.outputs)

    def without_class(self, number: int) -> list[str]:
        """Ids of the samples whose masks hold no pixel of the class of this number."""
        return [sample_id for sample_id, pixels in self.class_pixels.items() if not pixels[number]]


def check(
    dataset: Dataset,
    meaning: MaskMeaning = AUTO,
    progress: Callable[[int], None] = lambda _: None,
    scale: Scale = ANY_SCALE,
) -> list[Problem]:
    """Decode every file and list all findings: the reader's first, then by sample, then across samples.

    Args:
        dataset: what a reader returned.
        meaning: of the masks, as in the protocol.
        scale: of the images' values, as in the protocol; of a trained model, remedies are its own.
        progress: called with the number of samples looked at.
    """
    return examine(dataset, meaning, progress, scale).problems


def examine(
    dataset: Dataset,
    meaning: MaskMeaning = AUTO,
    progress: Callable[[int], None] = lambda _: None,
    scale: Scale = ANY_SCALE,
    comparing: Callable[[int, int], None] = lambda _, __: None,
) -> Examined:
    """As ``check``, with what else the files show.

    ``comparing`` is called while many images are compared with each other, with what is done and the whole.
    """
    samples = dataset.samples
    thumbnails = _no_thumbnails(len(samples))
    looks: list[Look] = []
    for i, look in enumerate(looks_at(dataset, scale)):
        if look.thumbnail is not None:
            thumbnails[i] = look.thumbnail
        looks.append(replace(look, thumbnail=None))
        progress(i + 1)
    levels: dict[str, Levels] = {}
    for sample, look in zip(samples, looks, strict=True):
        if look.levels:
            where = name_within(dataset.root, sample.image)
            levels[where] = levels[where].joined(look.levels) if where in levels else look.levels
    intensities = find_scale(levels, dataset.name, scale)
    if scale.kind == "auto" and intensities.scale.kind == "range":
        _look_again(dataset, looks, thumbnails, intensities.scale)
    masks = _of_masks(dataset, looks, meaning, scale.is_of_model)
    of_samples = masks.problems
    problems = [*masks.refused, *(problem for of_one in of_samples.values() for problem in of_one)]
    problems += across_masks(dataset, problems, masks.fracs, masks.found)
    problems += all_around(dataset, problems, (masks.fracs, masks.borders), masks.found)
    problems += class_problems(dataset, masks.pixels, masks.found.meaning.outputs)
    ids = {name_within(dataset.root, sample.image): sample.id for sample in samples}
    for problem in intensities.problems:
        if problem.where in ids:
            of_samples[ids[problem.where]].append(problem)
    found = [
        *dataset.problems,
        *layout_problems(dataset, meaning, scale.is_of_model),
        *_unspeakable(samples),
        *explained_by_exchange(dataset, problems, masks.found.meaning),
        *_duplicates(samples, [look.digest for look in looks], thumbnails, comparing),
        *_groups(samples),
        *intensities.problems,
    ]
    sizes = [look.size for look in looks if look.size]
    return Examined(
        found,
        sizes,
        masks.fracs,
        masks.found,
        of_samples,
        intensities,
        masks.pixels,
        _options(dataset, looks, meaning),
    )


def _options(dataset: Dataset, looks: Sequence[Look], meaning: MaskMeaning) -> str:
    """The options for classes, where the masks hold more than two values and no class is named."""
    if meaning.classes or meaning.foreground is not None or are_layered(dataset):
        return ""
    tables = [mask.table for look in looks for mask in look.masks.values()]
    options = class_options(tables, dataset.class_names, meaning.ignore)
    return options if options.count("=") > FEW_CLASSES else ""


def _no_thumbnails(number: int) -> NDArray[np.uint8]:
    """So many black ones, as of images that cannot be read."""
    return scratch_array((number, THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)


def _look_again(dataset: Dataset, looks: list[Look], thumbnails: NDArray[np.uint8], scale: Scale) -> None:
    """Take digests and thumbnails from the pixels at the scale that was found."""

    def at_scale(i: int) -> tuple[int, NDArray[np.uint8], bytes | None]:
        pixels = decode_image(dataset.samples[i].image, scale).pixels
        return i, thumbnail(pixels), digest_of(dataset.samples[i], pixels)

    read = [i for i, look in enumerate(looks) if look.levels is not None]
    for i, small, digest in in_order(at_scale, read, decoding_threads()):
        thumbnails[i] = small
        looks[i] = replace(looks[i], digest=digest)


@dataclass(frozen=True)
class _Masks:
    """The masks of all samples together.

    Attributes:
        problems: of every sample's files, with those of its mask, by id.
        fracs, borders: shares of foreground, of the mask and of its border, of masks that can be used.
        found: what the masks mean.
        refused: why masks are refused together, if they are.
        pixels: how many each class has in each mask, if there are several classes.
    """

    problems: dict[str, list[Problem]]
    fracs: dict[str, float]
    borders: dict[str, float]
    found: Inference
    refused: list[Problem]
    pixels: dict[str, ClassPixels]


def _of_masks(dataset: Dataset, looks: Sequence[Look], asked: MaskMeaning, is_for_model: bool) -> _Masks:
    layers = [(i, mask) for i, look in enumerate(looks) for mask in look.masks.values()]
    overlapping = are_layered(dataset) or asked.outputs.task == "multilabel"
    found = infer([mask for _, mask in layers], asked.of_layers() if overlapping else asked)
    if overlapping and not layout_problems(dataset, asked):
        found = replace(found, meaning=replace(found.meaning, classes=asked.classes))
    masks = _Masks({}, {}, {}, found, [], {})
    unfit: dict[int, ImageError] = {}
    together: dict[str, MaskTable] = {}
    for place, error in found.unfit.items():
        at, mask = layers[place]
        if found.refusal is not None and error.kind == found.refusal.kind:
            together.setdefault(dataset.samples[at].id, mask.table)
        else:
            unfit.setdefault(at, error)
    for i, (sample, look) in enumerate(zip(dataset.samples, looks, strict=True)):
        masks.problems[sample.id] = list(look.problems)
        if i in unfit:
            masks.problems[sample.id].append(unusable(dataset.root, sample, unfit[i], "mask"))
        elif look.masks and sample.id not in together:
            _add_mask(masks, dataset, sample, look.masks)
    if found.refusal is not None and together:
        tables = [mask.table for _, mask in layers]
        options = "" if is_for_model else class_options(tables, dataset.class_names, asked.ignore)
        alone = ignored_alone(tables, dataset.class_names)
        masks.refused.append(problem_of(found.refusal, dataset, together, options, alone))
    return masks


def _add_mask(masks: _Masks, dataset: Dataset, sample: Sample, looks: Mapping[str, MaskLook]) -> None:
    """Add the findings of one sample's mask, or masks of its classes."""
    meaning, where = masks.found.meaning, mask_place(dataset.root, sample)
    if isinstance(sample.mask, PerClass):
        found, masks.fracs[sample.id] = layer_problems(where, looks, meaning)
        pixels = layer_pixels(looks, meaning)
    else:
        (look,) = looks.values()
        found, masks.fracs[sample.id] = mask_problems(where, look, meaning)
        masks.borders[sample.id] = border_frac(look, meaning)
        pixels = class_pixels(look, meaning)
        found += class_overlap_problems(where, sample.mask) if meaning.classes else []
    masks.problems[sample.id] += found
    if meaning.classes:
        masks.pixels[sample.id] = pixels


def summarise(problems: Iterable[Problem], examples: int = 5) -> list[str]:
    """Lines for the terminal: each kind of finding with its number and the first few of them.

    Errors come first; within a severity, what is most frequent.
    """
    kinds: dict[tuple[Severity, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.severity, problem.kind].append(problem)
    lines = []
    for severity, kind in sorted(kinds, key=lambda k: (SEVERITIES.index(k[0]), -len(kinds[k]), k[1])):
        found = kinds[severity, kind]
        lines.append(f"{severity}: {kind} ({len(found)})")
        lines += [f"    {printable(f'{each.where}: {each.detail}')}" for each in found[:examples]]
        lines += [f"    and {len(found) - examples} more"] if len(found) > examples else []
    return lines


def _duplicates(
    samples: Sequence[Sample],
    digests: Sequence[bytes | None],
    thumbnails: NDArray[np.uint8],
    comparing: Callable[[int, int], None],
) -> list[Problem]:
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for i, digest in enumerate(digests):
        if digest:
            by_digest[digest].append(i)
    equal = [[samples[i] for i in same] for same in by_digest.values()]
    problems = [_exact(same) for same in equal if _divisible(same)]
    # Of equal images the first stands for all; black ones, of images that were not read, match nothing.
    firsts = [same[0] for same in by_digest.values()]
    for i, j in near_duplicates(_some(thumbnails, firsts), progress=comparing):
        pair = samples[firsts[i]], samples[firsts[j]]
        if _divisible([*equal[i], *equal[j]]):
            problems.append(_near(pair))
    if is_by_index(len(firsts)):
        detail = "near-duplicates were looked for with an index, which may miss some (docs/data.md)"
        problems.append(Problem("note", "many images", f"{len(firsts)} images", detail))
    return problems


def _some(thumbnails: NDArray[np.uint8], places: Sequence[int]) -> NDArray[np.uint8]:
    if len(places) == len(thumbnails):
        return thumbnails
    chosen = _no_thumbnails(len(places))
    for i, place in enumerate(places):
        chosen[i] = thumbnails[place]
    return chosen


def _divisible(same: Sequence[Sample]) -> bool:
    """Whether a split may part these samples: not when they are one group."""
    return len({sample.group for sample in same}) > 1


def _exact(same: Sequence[Sample]) -> Problem:
    return _same(same, EXACT, "the same pixels")


def _near(pair: Sequence[Sample]) -> Problem:
    return _same(pair, NEAR, "look like one photograph")


def _same(same: Sequence[Sample], kind: str, what: str) -> Problem:
    """Where samples of the same image lie, and what to do about it."""
    ids = tuple(sample.id for sample in same)
    parts = _parts(same)
    remedy = f" in {parts}; exclude one" if parts else "; exclude one, or give them one group"
    detail = f"{what}{remedy} (`check --write-exclude FILE` lists them)"
    return Problem("error" if parts else "warning", kind, ", ".join(ids), detail, ids)


def _parts(samples: Iterable[Sample]) -> str:
    """The official parts of samples that lie in several, else nothing."""
    parts = sorted({sample.part for sample in samples if sample.part})
    return " and ".join(parts) if len(parts) > 1 else ""


def _unspeakable(samples: Sequence[Sample]) -> list[Problem]:
    """Names that are no text: they could not be written down."""
    detail = "its name is not in UTF-8; rename the file and its mask"
    return [
        Problem("error", "name not in UTF-8", sample.id, detail)
        for sample in samples
        if any("\ud800" <= character <= "\udfff" for character in sample.id)
    ]


def _groups(samples: Sequence[Sample]) -> list[Problem]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group].append(sample)
    problems = []
    for name, members in groups.items():
        where = ", ".join(sample.id for sample in members[:5]) + (", ..." if len(members) > 5 else "")
        if _parts(members):
            detail = f"all of group {name}, but in {_parts(members)}; exclude some, or correct the groups"
            problems.append(Problem("error", "group in several parts", where, detail))
        elif len(members) > 1:
            detail = f"one group, {name} ({len(members)} samples), never divided between parts"
            problems.append(Problem("note", "several samples of a group", where, detail))
    return problems


def refuse_errors(problems: Sequence[Problem], is_for_model: bool = False) -> None:
    """Stop when training on the data would be wrong, or a test of a trained model.

    Args:
        problems: found by ``examine``.
        is_for_model: all remedies are named, which are a model's own; else the first, as ``check`` has all.

    Raises:
        UserError: naming the first error and how many there are.
    """
    errors = [
        problem for problem in problems if problem.severity == "error" and not is_duplicate(problem)
    ]  # whether a split parts duplicates is another question
    if errors:
        first, more = errors[0], and_more(len(errors) - 1)
        said = first.detail if is_for_model else in_short(first)
        every = "; `segstudy check` lists all, --exclude FILE leaves samples out"
        raise UserError(f"{first.where}: {said}{more}{'' if said.endswith(OTHERS) and not more else every}")
