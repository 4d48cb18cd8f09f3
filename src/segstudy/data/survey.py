"""A data set at a glance: its problems, and how many samples, groups and categories, of what size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segstudy.core.classes import parse_classes
from segstudy.core.intensity import AUTO as ANY_SCALE
from segstudy.core.intensity import COLOURS, Scale
from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.core.progress import Stage, silent
from segstudy.core.quantities import counted, percent
from segstudy.core.synthetic import own_classes
from segstudy.data.check import SEVERITIES, examine
from segstudy.data.class_findings import NO_BACKGROUND, ClassShare, shares_text
from segstudy.data.datasets import read
from segstudy.data.intensity_survey import Intensities
from segstudy.data.leakage import is_duplicate, write_exclude
from segstudy.data.mask_inference import Inference
from segstudy.data.samples import Dataset, Problem
from segstudy.data.written_out import options_of, refuse_channels, write_out


@dataclass(frozen=True)
class Survey:
    """What ``check`` has to say.

    Attributes:
        dataset: what the reader found.
        problems: the worst first.
        sizes: height and width of every image that could be read.
        foreground_fracs: share of foreground of every mask that could be read, by sample id.
        masks: what the masks mean, and what speaks for it.
        of_samples: those of the problems that are of one sample's own files, by its id.
        intensities: the scale of the images, and what speaks for it.
        class_shares, class_options: as in ``Examined``.
        excluded: the ids written to an exclude file; None if none was asked for.
        num_written: samples written whole to another folder; None if that was not asked for.
        options: with which that folder is read again.
    """

    dataset: Dataset
    problems: list[Problem]
    sizes: Sequence[tuple[int, int]]
    foreground_fracs: Mapping[str, float]
    masks: Inference
    of_samples: Mapping[str, Sequence[Problem]]
    intensities: Intensities
    class_shares: Sequence[ClassShare] = ()
    class_options: str = ""
    excluded: Sequence[str] | None = None
    num_written: int | None = None
    options: Sequence[str] = ()

    def has_errors(self) -> bool:
        """Whether training would be wrong; what an exclude file takes care of is none."""
        return any(
            problem.severity == "error" and not (self.excluded is not None and is_duplicate(problem))
            for problem in self.problems
        )


def survey(  # noqa: PLR0913 (an option each)
    data: str | Path,
    reader: str | None = None,
    meaning: MaskMeaning = AUTO,
    stage: Stage = silent,
    exclude_file: str | Path | None = None,
    write: str | Path | None = None,
    *,
    scale: Scale = ANY_SCALE,
) -> Survey:
    """Look at every file of a data set.

    Args:
        data: the data set's folder, or ``synthetic``.
        reader: how to read it, if that is not plain from the folder.
        meaning: of the masks' values; a synthetic set has classes of its own.
        stage: called with the name of each stage, and how much of it is done.
        exclude_file: where to write the ids of samples that show the same as others.
        scale: of the images' values.
        write: a folder for images and masks as they were understood, see ``written_out``.

    Raises:
        UserError: when there is nothing to read, or the file cannot be written.
    """
    stage("finding the images and masks", 0, 0)
    dataset, meaning = read(data, reader), with_own_classes(meaning, str(data))
    total = len(dataset.samples)

    def looked_at(done: int) -> None:
        stage("checking the data", done, total)

    def compared(done: int, of: int) -> None:
        stage("comparing the images with each other", done, of)

    if write is not None:
        refuse_channels(scale)
    found = examine(dataset, meaning, looked_at, scale, compared)
    problems = sorted(
        found.problems,
        key=lambda problem: (SEVERITIES.index(problem.severity), problem.kind, problem.where),
    )
    excluded = None
    if exclude_file is not None:
        excluded = write_exclude(Path(exclude_file), dataset, problems)
    fracs, num_written = found.foreground_fracs, None
    reading = (found.masks.meaning, found.intensities.scale)
    if write is not None:
        num_written = write_out(
            dataset,
            reading,
            fracs,
            Path(write),
            lambda done: stage("writing images and masks", done, total),
        )
    return Survey(
        dataset,
        problems,
        found.sizes,
        fracs,
        found.masks,
        found.of_samples,
        found.intensities,
        found.class_shares,
        found.class_options,
        excluded,
        num_written,
        options_of(*reading),
    )


def with_own_classes(meaning: MaskMeaning, data: str) -> MaskMeaning:
    """The meaning with the classes of a synthetic set, unless something else is said of its masks."""
    classes = own_classes(data)
    is_open = meaning.rule.kind == "auto" and meaning.foreground is None and not meaning.classes
    return replace(meaning, classes=parse_classes(classes)) if classes and is_open else meaning


def summary(survey: Survey, lost: str = "") -> list[str]:
    """Lines that say what the data set is, and how many problems were found.

    ``lost`` is what the usual image size loses, in words.
    """
    samples = survey.dataset.samples
    facts = [counted(len(samples), "pair"), _groups(survey.dataset), *_categories(survey.dataset)]
    parts = [f"{sum(sample.part == part for sample in samples)} {part}" for part in _parts(survey.dataset)]
    lines = ["; ".join(facts + ([f"parts: {', '.join(parts)}"] if parts else []))]
    if survey.sizes and survey.foreground_fracs:
        lines.append(
            f"images of {_sizes(survey.sizes)}; foreground {_fracs([*survey.foreground_fracs.values()])}"
        )
    is_open = bool(survey.masks.meaning.classes) or survey.masks.refusal is not None
    if lost:
        lines.append(lost)
    rule = "" if is_open else f" (masks = {survey.masks.meaning.rule})"
    lines.append(f"masks: {survey.masks.why}{rule}")
    if survey.class_shares:
        lines.append(f"classes: {shares_text(survey.class_shares, len(survey.foreground_fracs))}")
    if survey.masks.meaning.outputs.lacks_background:
        lines.append(NO_BACKGROUND)
    if survey.class_options and not any(survey.class_options in each.detail for each in survey.problems):
        lines.append(f"classes: to train on all values of the masks: {survey.class_options}")
    lines += _channels(survey.intensities)
    if survey.intensities.why:
        lines.append(f"intensity: {survey.intensities.why} (intensity = {survey.intensities.scale})")
    counts = [
        counted(number, severity)
        for severity in SEVERITIES
        if (number := sum(problem.severity == severity for problem in survey.problems))
    ]
    if account := survey.dataset.account:
        lines.append(str(account))
    return [*lines, f"{', '.join(counts) or 'no problems'} in {counted(len(samples), 'sample')}"]


def _channels(found: Intensities) -> list[str]:
    """What is said of the channels of the images, if there is anything to say."""
    number = found.scale.channels
    if found.all_grey and number == COLOURS:
        return ["channels: all images are grey, and read as three equal channels; --channels 1 reads one"]
    if number == COLOURS:
        return []
    ranges = ", ".join(f"{low:g} to {high:g}" for low, high in found.extents)
    return [f"channels: {number}" + (f"; their values: {ranges}" if ranges else "")]


def _groups(dataset: Dataset) -> str:
    number = len({sample.group for sample in dataset.samples})
    known = [sample.group for sample in dataset.samples if sample.id not in dataset.ungrouped]
    if dataset.groups_from and known:
        num_without = len(dataset.samples) - len(known)
        without = f" ({counted(num_without, 'pair')} without)" if num_without else ""
        return f"{counted(len(set(known)), 'group')} from {dataset.groups_from}{without}"
    if number < len(dataset.samples):
        return counted(number, "group")
    return "no groups, so that each image counts as a patient of its own"


def _categories(dataset: Dataset) -> list[str]:
    number = len({sample.category for sample in dataset.samples if sample.category})
    source = f" from {dataset.categories_from}" if dataset.categories_from else ""
    return [f"{counted(number, 'category')}{source}"] if number else []


def _parts(dataset: Dataset) -> list[str]:
    there = {sample.part for sample in dataset.samples}
    return [part for part in ("train", "validation", "test") if part in there]


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """Width x height: the one size of all, or the smallest and largest area."""
    smallest, largest = (chosen(sizes, key=lambda size: (size[0] * size[1], size)) for chosen in (min, max))
    low, high = (f"{width} x {height}" for height, width in (smallest, largest))
    return f"{low} px" if len(set(sizes)) == 1 else f"{low} to {high} px"


def _fracs(fracs: Sequence[float]) -> str:
    low, middle, high = np.quantile(fracs, [0, 0.5, 1])
    return f"{percent(low, 1)} to {percent(high, 1)} of an image, median {percent(middle, 1)}"
