"""A data set from what a reader found: samples in order, and what is odd about their ids and subsets."""

from collections.abc import Iterable
from pathlib import Path

from segstudy.data.datasets.pairing import part_problems
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.sources import first_file, name_within


def dataset_of(
    root: Path,
    reader: str,
    samples: Iterable[Sample],
    problems: Iterable[Problem],
    images: Iterable[Path] = (),
    class_names: tuple[tuple[int | str, str], ...] = (),
) -> Dataset:
    """Sort the samples by id; of two with one id the first is kept, and an error says so.

    Args:
        root: of the data set.
        reader: its name.
        samples: in any order.
        problems: that the reader met.
        images: all that were found: those without a sample are segmented by ``predict`` too.
        class_names: of the masks' numbers or colours.
    """
    found: dict[str, Sample] = {}
    issues = list(problems)
    for sample in sorted(samples, key=lambda each: (each.id, str(each.image))):
        if (other := found.setdefault(sample.id, sample)) is not sample:
            where = ", ".join(name_within(root, each.image) for each in (other, sample))
            detail = "which is meant? Remove or rename the others"
            issues.append(Problem("error", "two images of one name", where, detail))
    ordered = tuple(found.values())
    used = {first_file(sample.image) for sample in ordered}
    return Dataset(
        root.resolve().name,
        reader,
        root,
        ordered,
        (*issues, *part_problems(root, ordered)),
        without_mask=tuple(sorted(set(images) - used)),
        class_names=class_names,
    )
