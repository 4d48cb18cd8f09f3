"""Samples in order, with what is odd about their ids and subsets: shared by the readers."""

from collections.abc import Iterable
from pathlib import Path

from segstudy.data.datasets.pairing import part_problems
from segstudy.data.samples import Problem, Sample


def in_order(
    root: Path, samples: Iterable[Sample], problems: Iterable[Problem]
) -> tuple[tuple[Sample, ...], tuple[Problem, ...]]:
    """Samples by id, with what is odd about ids and official parts; of two with one id the first is kept."""
    found: dict[str, Sample] = {}
    issues = list(problems)
    for sample in samples:
        if (other := found.setdefault(sample.id, sample)) is not sample:
            where = ", ".join(each.image.relative_to(root).as_posix() for each in (other, sample))
            detail = "which is meant? Remove or rename the others"
            issues.append(Problem("error", "two images of one name", where, detail))
    ordered = [found[sample_id] for sample_id in sorted(found)]
    return tuple(ordered), (*issues, *part_problems(root, ordered))
