"""The agreement of a second rater with the masks of the data set, beside that of the models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segstudy.analysis.formatting import counted_images, interval, mean, signed
from segstudy.analysis.results import Results
from segstudy.stats.comparisons import Difference, difference
from segstudy.stats.intervals import Interval, Scores, by_group, score_interval
from segstudy.store.second_rater import SecondRaterRecord


@dataclass(frozen=True, slots=True)
class HumanCeiling:
    """A second rater on the test images that both rated.

    Attributes:
        folder: of the second rater's masks.
        num_images, num_tested: test images with a second mask, and all of them.
        interval: the mean IoU of both raters with its 95 % interval over images.
        name: the first configuration.
        difference: its IoU minus that of the second rater, on the same images; None for a single image.
        sentence: all of this in words.
    """

    folder: str
    num_images: int
    num_tested: int
    interval: Interval
    name: str
    difference: Difference | None
    sentence: str


def human_ceiling(
    results: Results, record: SecondRaterRecord | None, names: Sequence[str]
) -> HumanCeiling | None:
    """Compare a second rater with the first of these configurations; None if there is nothing to compare."""
    if record is None or not names or record.data != results.data:
        return None
    scores, ids = results.scores(names[0]), results.ids(names[0])
    rated = [i for i, each in enumerate(ids) if each in record.ious]
    if scores is None or not rated:
        return None
    groups = [results.groups.get(ids[i], ids[i]) for i in rated]
    second = np.array([[record.ious[ids[i]] for i in rated]])
    found = agreement(second, groups)
    apart = None
    if len(set(groups)) > 1:
        apart = difference(scores[:, rated], second, groups, results.margin, (False, True))
    return HumanCeiling(
        record.folder,
        len(rated),
        len(ids),
        found,
        names[0],
        apart,
        _sentence(results, record, found, (len(set(groups)), len(rated), len(ids)), names[0], apart),
    )


def agreement(ious: Scores, groups: Sequence[str]) -> Interval:
    """Return a mean IoU with its 95 % interval, over images and replicates, the images of a group as one.

    Args:
        ious: ``(replicates, images)``; two raters are one replicate.
        groups: of each image.
    """
    return score_interval(by_group(ious, groups))


def _sentence(
    results: Results,
    record: SecondRaterRecord,
    found: Interval,
    counts: tuple[int, int, int],
    name: str,
    apart: Difference | None,
) -> str:
    num_units, num_rated, num_tested = counts
    images = counted_images(num_units, num_rated, "test image", results.group_noun)
    of = "" if num_rated == num_tested else f" of {num_tested}"
    agree = f"A second rater's masks ({record.folder}) agree with the data's by IoU {mean(found)}"
    said = f"{agree} on {images}{of}."
    if apart is None:
        return said
    seen = f"{signed(apart.mean)} IoU {interval(apart.low, apart.high)}"
    ends = {
        "a": f"agrees with them better, by {seen}; more IoU than people have need not mean better masks.",
        "b": f"agrees with them less than that person does, by {seen}.",
        "practically equal": f"agrees with them as well: {seen}, within the margin of {apart.margin:g}.",
        "not resolved": f"may agree with them better or less than that person: {seen}.",
        "training noise not measured": f"differs by {seen}; images only, training noise not measured.",
    }
    return f"{said} {name} {ends[apart.conclusion]}"


def problem_of(record: SecondRaterRecord | None, results: Results) -> str:
    """Return why a second rater's masks are left out, in a sentence; empty if they are not."""
    if record is None:
        return ""
    if record.problem:
        return f"A second rater's masks ({record.folder}) could not be compared: {record.problem}."
    if record.data != results.data:
        return f"A second rater's masks ({record.folder}) were compared with other data and are left out."
    return ""
