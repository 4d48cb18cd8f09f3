"""How the headline would move if classes that an image lacks counted otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segstudy.analysis.results import Results
from segstudy.metrics import HEADLINE, column

IOU = column(HEADLINE)


@dataclass(frozen=True, slots=True)
class Conventions:
    """The test IoU of a configuration under four conventions, over the scored classes.

    Attributes:
        name: of the configuration.
        present: the headline: per image the mean over the classes in its mask or prediction, 1 without one.
        absent_as_1: a class in neither counts as 1.
        in_truth: only classes of the mask count, so that one that is invented costs nothing; an image whose
            mask has none counts as in the headline.
        by_class: the mean over classes of their means, so that all classes weigh the same.
    """

    name: str
    present: float
    absent_as_1: float
    in_truth: float
    by_class: float


# What each is called in a sentence.
TITLES = {
    "present": "classes in mask or prediction",
    "absent_as_1": "a class in neither counts 1",
    "in_truth": "only classes of the mask",
    "by_class": "mean of the classes' means",
}


def conventions(results: Results, names: Sequence[str]) -> list[Conventions]:
    """Return the test IoU of these configurations under each convention.

    Args:
        results: of a study with several classes.
        names: configurations that have scores by class.
    """
    return [_conventions(results, name) for name in names]


def _conventions(results: Results, name: str) -> Conventions:
    assert results.classes is not None
    table, headline = results.classes[name], results.scores(name)
    assert headline is not None
    scored = list(results.outputs.scored)
    sums, present = table.sums[IOU][:, :, scored], table.present[:, :, scored]
    truth = table.in_truth[:, scored]
    counts = truth.sum(1)
    of_truth = np.where(counts > 0, (sums * truth).sum(2) / np.maximum(counts, 1), headline)
    means = [
        interval.mean for number in scored if (interval := results.class_interval(name, number)) is not None
    ]
    return Conventions(
        name,
        float(headline.mean()),
        float((sums + 1 - present).mean()),
        float(of_truth.mean()),
        float(np.mean(means)) if means else float("nan"),
    )


def order_sentence(found: Sequence[Conventions]) -> str:
    """Return whether another configuration has the highest test mean under another convention.

    Args:
        found: of configurations on the same test images, at least two.
    """
    first = {field: max(found, key=lambda each: getattr(each, field)).name for field in TITLES}
    usual = first.pop("present")
    other = [f"{name} ({TITLES[field]})" for field, name in first.items() if name != usual]
    if not other:
        return f"Under each of these conventions {usual} has the highest test mean."
    return (
        f"The highest test mean depends on the convention: {usual} has it here, but {', '.join(other)} under "
        "another one."
    )
