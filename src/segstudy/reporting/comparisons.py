"""Configurations against each other, on the same test images: the winner and the rest, or any two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segstudy.errors import UserError
from segstudy.reporting.evidence import Evidence
from segstudy.stats import LEVEL, Difference, Scores, difference, distinguished


@dataclass(frozen=True, slots=True)
class Versus:
    """The winner less another configuration, on test.

    Attributes:
        difference: of the two alone.
        p_adjusted: for all configurations; None where training noise is not measured.
    """

    difference: Difference
    p_adjusted: float | None

    @property
    def excluded(self) -> bool:
        """Whether the other is worse, beyond what trainings, images and the choice explain."""
        return self.p_adjusted is not None and self.p_adjusted < 1 - LEVEL and self.difference.mean > 0

    @property
    def better(self) -> bool:
        """Whether the other beats the winner on test all the same."""
        return self.p_adjusted is not None and self.p_adjusted < 1 - LEVEL and self.difference.mean < 0


def against_winner(evidence: Evidence, winner: str, names: Sequence[str]) -> dict[str, Versus]:
    """Compare the winner with each of the others that is complete and scored on the same images.

    Args:
        evidence: of the study.
        winner: the complete configuration with the highest validation mean.
        names: the configurations to compare it with; the winner among them is passed over.
    """
    others = [
        name
        for name in names
        if name != winner and evidence.complete(name) and evidence.ids(name) == evidence.ids(winner)
    ]
    if len(set(evidence.groups_of(winner))) < 2:
        return {}
    found = {name: compared(evidence, winner, evidence, name) for name in others}
    measured = {name: d for name, d in found.items() if d.trainings}
    adjusted = dict(zip(measured, distinguished(list(measured.values()), len(measured) + 1), strict=True))
    return {name: Versus(d, adjusted.get(name)) for name, d in found.items()}


def compared(ours: Evidence, a: str, theirs: Evidence, b: str) -> Difference:
    """`a` less `b` in test IoU at native size; the two may be of different studies.

    Raises:
        UserError: when one has no finished replicate or their test images are not the same.
    """
    left, right = _scores(ours, a), _scores(theirs, b)
    if ours.ids(a) != theirs.ids(b):
        shared = len(set(ours.ids(a)) & set(theirs.ids(b)))
        raise UserError(
            f"{a} is tested on {len(ours.ids(a))} images and {b} on {len(theirs.ids(b))}, of which {shared} "
            "are the same: only configurations with equal test images can be compared (--split sets them)"
        )
    if len(set(ours.groups_of(a))) < 2:
        raise UserError("one test image, or one group of them, compares nothing: at least two are needed")
    return difference(left, right, ours.groups_of(a))


def _scores(evidence: Evidence, name: str) -> Scores:
    scores = evidence.scores(name) if evidence.has(name) else None
    if scores is None:
        raise UserError(f"{name} has no complete replicate on test: `segstudy status` says what is missing")
    return scores


def undistinguished(versus: Mapping[str, Versus]) -> list[str]:
    """The configurations that may be as good as the winner."""
    return [name for name, each in versus.items() if each.p_adjusted is not None and not each.excluded]
