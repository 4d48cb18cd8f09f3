"""Comparisons of configurations on the same test images: the winner with the rest, or any two."""

from collections.abc import Sequence
from dataclasses import dataclass

from segstudy.analysis.results import Results
from segstudy.core.errors import UserError
from segstudy.stats.comparisons import Difference, difference, distinguished
from segstudy.stats.intervals import AnyScores


@dataclass(frozen=True, slots=True)
class Versus:
    """The winner less another configuration, on test.

    Attributes:
        difference: of the two alone.
        p_adjusted: for all configurations; None where training noise is not measured.
    """

    difference: Difference
    p_adjusted: float | None


def against_winner(results: Results, winner: str, names: Sequence[str]) -> dict[str, Versus]:
    """Compare the winner with each of the others that is complete and scored on the same images.

    Args:
        results: of the study.
        winner: the complete configuration with the highest validation mean.
        names: the configurations to compare it with; the winner among them is skipped.
    """
    others = [
        name
        for name in names
        if name != winner and results.complete(name) and results.comparable(winner, name)
    ]
    if len(set(results.groups_of(winner))) < 2 or results.seed_plan.is_between_looks:
        return {}
    found = {name: compared(results, winner, results, name) for name in others}
    measured = {name: d for name, d in found.items() if d.has_training_noise}
    count, factor = results.seed_plan.num_compared(len(measured) + 1), results.seed_plan.p_factor
    adjusted = dict(zip(measured, distinguished(list(measured.values()), count), strict=True))
    return {
        name: Versus(d, min(1.0, factor * adjusted[name]) if name in adjusted else None)
        for name, d in found.items()
    }


def compared(ours: Results, a: str, theirs: Results, b: str) -> Difference:
    """Return `a` minus `b` in test IoU at native size; the two may be of different studies.

    If their margins differ, the smaller one decides: what it calls practically equal is so for both.

    Raises:
        UserError: one has no finished replicate, or their test images are not the same.
    """
    left, right = _scores(ours, a), _scores(theirs, b)
    if ours.ids(a) != theirs.ids(b):
        shared = len(set(ours.ids(a)) & set(theirs.ids(b)))
        raise UserError(
            f"{a} is tested on {len(ours.ids(a))} images and {b} on {len(theirs.ids(b))}, of which {shared} "
            "are the same: only configurations with equal test images can be compared (--split sets them)"
        )
    _refuse_other_files(ours, a, theirs, b)
    if len(set(ours.groups_of(a))) < 2:
        raise UserError("one test image, or one group of them, compares nothing: at least two are needed")
    fixed = (ours.row(a).deterministic, theirs.row(b).deterministic)
    margin = min(ours.margin, theirs.margin)  # of two studies the stricter
    return difference(left, right, ours.groups_of(a), margin, fixed)


def _refuse_other_files(ours: Results, a: str, theirs: Results, b: str) -> None:
    """Refuse images or masks that share only their names.

    Raises:
        UserError: with the first image that differs; or the hashes of the files are not stored.
    """
    left, right = ours.row(a), theirs.row(b)
    if None not in (left.foreground, right.foreground) and left.foreground != right.foreground:
        raise UserError(
            f"{a} has foreground {left.foreground} and {b} {right.foreground}: they are held against other "
            "truths and cannot be compared"
        )
    if left.classes != right.classes:
        raise UserError(
            f"{a} has classes {left.classes} and {b} {right.classes}: their scores are means over other "
            "classes and cannot be compared"
        )
    if left.data != right.data and not (ours is theirs and left.has_truth_of(right)):
        sides = ((ours, a, left.data), (theirs, b, right.data))
        for results, name, data in sides:
            if data != results.data or not set(results.ids(name)) <= results.contents.keys():
                raise UserError(
                    f"{a} and {b} are of different data, and nobody wrote down what images and masks {name} "
                    "was tested on, so that equal names may stand for other images: `segstudy run` on its "
                    "study writes it down, and trains it again if they have changed"
                )
        other = [each for each in ours.ids(a) if ours.contents[each] != theirs.contents[each]]
        if other:
            raise UserError(
                f"{len(other)} of {len(ours.ids(a))} test images of {a} and {b} share only their names "
                f"(first: {other[0]}): images or masks are other files, so that they cannot be compared"
            )
    if _partition(ours.groups_of(a)) != _partition(theirs.groups_of(b)):
        raise UserError(
            f"{a} and {b} are of studies that group their test images differently (patients, lesions): "
            "run one of them again on the data set of the other"
        )


def _partition(groups: Sequence[str]) -> list[int]:
    """Return the index at which each group occurs first, independent of its name."""
    first: dict[str, int] = {}
    return [first.setdefault(group, place) for place, group in enumerate(groups)]


def _scores(results: Results, name: str) -> AnyScores:
    if name in results.outdated:
        raise UserError(f"{name} was scored on other images than the study's test subset now: score it again")
    scores = results.runs(name) if results.has(name) else None
    if scores is None:
        raise UserError(f"{name} has no complete replicate on test: `segstudy status` says what is missing")
    return scores
