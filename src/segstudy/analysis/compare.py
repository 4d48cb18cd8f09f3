"""One paired comparison of two configurations, in words and numbers: what `segstudy compare` says."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segstudy.analysis.against_winner import compared
from segstudy.analysis.formatting import comparison_text, possible
from segstudy.analysis.results import Results, gather
from segstudy.core.errors import UserError
from segstudy.core.score_words import score_meaning
from segstudy.core.suggestions import use_one_of
from segstudy.stats.comparisons import Difference
from segstudy.stats.intervals import Interval, score_interval
from segstudy.stats.settling import Resolution, to_resolve
from segstudy.stats.training_sets import AcrossTrainingSets, across_training_sets
from segstudy.store.folder import StudyFolder

JSON_KEYS = {"has_training_noise": "trainings"}  # the key that scripts read since segstudy 0.1

NOT_ADJUSTED = "The study is sequential: this comparison alone is not adjusted for its looks."


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its name, its test IoU, and how many seeds it has."""

    name: str
    test_iou: Interval
    num_seeds: int
    deterministic: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two configurations on the same test images.

    Attributes:
        a, b: the two.
        num_images: in the test subset; ``a.test_iou.num_units`` is the number of their groups.
        group_noun: what a group is, as ``patient``.
        margins: of the two studies, where they differ; the smaller decides.
        across: the two for training sets like these; None unless both have the same folds.
        is_sequential: whether either was compared at looks, for which this comparison is not adjusted.
        difference: `a` minus `b`.
        resolution: the data that would settle it; None if it is settled or training noise is not measured.
        scores: what is compared: of several classes, over which, and how masks are decided.
    """

    a: Side
    b: Side
    num_images: int
    difference: Difference
    resolution: Resolution | None
    group_noun: str = "group"
    margins: tuple[float, float] | None = None
    across: AcrossTrainingSets | None = None
    is_sequential: bool = False
    scores: str = ""

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        found = comparison_text(self.a.name, self.b.name, self.difference)
        return f"{found} {NOT_ADJUSTED}" if self.is_sequential else found

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON takes it; ends of intervals within what is possible."""
        found = {**asdict(self, dict_factory=_with_json_keys), "sentence": self.sentence}
        for apart in (found["difference"], found["across"]):
            if apart is not None:
                apart |= {name: possible(apart[name]) for name in ("low", "high")}
        return found


def _with_json_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    kept = [(name, value) for name, value in pairs if name not in ("is_sequential", "scores") or value]
    return {JSON_KEYS.get(name, name): value for name, value in kept}


def compare_configurations(first: tuple[Path, str], second: tuple[Path, str]) -> Comparison:
    """Compare two configurations, each given as its study's folder and its name.

    Raises:
        UserError: an unknown name, one configuration twice, nothing finished, or other test images.
    """
    is_one_study = first[0].resolve() == second[0].resolve()
    if is_one_study and first[1] == second[1]:
        raise UserError(f"compare needs two different configurations, got {first[1]} twice")
    ours = gather(StudyFolder(first[0]), show_all=True)
    theirs = ours if is_one_study else gather(StudyFolder(second[0]), show_all=True)
    a, b = _named(ours, *first), _named(theirs, *second)
    found = compared(ours, a, theirs, b)
    return Comparison(
        a=_side(ours, a),
        b=_side(theirs, b),
        num_images=len(ours.ids(a)),
        difference=found,
        resolution=_resolution(ours, a, theirs, b) if found.conclusion == "not resolved" else None,
        group_noun=ours.group_noun,
        across=_across(ours, a, theirs, b),
        is_sequential=ours.seed_plan.is_sequential or theirs.seed_plan.is_sequential,
        margins=None if ours.margin == theirs.margin else (ours.margin, theirs.margin),
        scores="" if ours.outputs.task == "binary" else score_meaning(ours.outputs),
    )


def _named(results: Results, folder: Path, name: str) -> str:
    names = [row.name for row in results.rows]
    if name not in names:
        raise UserError(f"{folder} has no configuration {name!r}: {use_one_of(name, names)}")
    return name


def _across(ours: Results, a: str, theirs: Results, b: str) -> AcrossTrainingSets | None:
    """Compare the two for training sets like these, if both were trained on the same folds."""
    left, right = ours.folds(a), theirs.folds(b)
    if left is None or right is None or not np.array_equal(left.folds, right.folds):
        return None
    return across_training_sets(left, right, min(ours.margin, theirs.margin))


def _side(results: Results, name: str) -> Side:
    units = results.runs_of_units(name)
    assert units is not None
    return Side(name, score_interval(units), len(results.seeds(name)), results.row(name).deterministic)


def _resolution(ours: Results, a: str, theirs: Results, b: str) -> Resolution | None:
    if ours.row(a).deterministic or theirs.row(b).deterministic:  # not computed for one side alone
        return None
    left, right = ours.runs_of_units(a), theirs.runs_of_units(b)
    assert left is not None
    assert right is not None
    return to_resolve(left, right, min(ours.margin, theirs.margin))


def sides(arguments: Sequence[str]) -> tuple[tuple[Path, str], tuple[Path, str]]:
    """Read ``DIR A B`` or ``DIR1:A DIR2:B``.

    Raises:
        UserError: another form.
    """
    if len(arguments) == 3:
        folder = Path(arguments[0])
        return (folder, arguments[1]), (folder, arguments[2])
    if len(arguments) in (1, 2) and StudyFolder(Path(arguments[0])).exists():
        raise UserError(_missing_second(Path(arguments[0]), arguments[1:]))
    if len(arguments) == 2 and not any(":" in each for each in arguments):
        a, b = (shlex.quote(each) for each in arguments)
        raise UserError(
            f"{arguments[0]} is no study's folder; write segstudy compare STUDY {a} {b}, or DIR1:A DIR2:B "
            "for configurations of two studies"
        )
    if len(arguments) == 2:
        return _split(arguments[0]), _split(arguments[1])
    raise UserError("compare takes DIR A B, or DIR1:A DIR2:B: two configurations of one study or of two")


def _missing_second(folder: Path, named: Sequence[str]) -> str:
    """Return the error for a missing second name, with all names of the study."""
    names = [row.name for row in gather(StudyFolder(folder), show_all=True).rows]
    if named and named[0] not in names:
        wrong = f"{folder} has no configuration {named[0]!r}, and a second is missing"
        return f"{wrong}: {use_one_of(named[0], names)}"
    others = ", ".join(name for name in names if name not in named) or "which there is none yet"
    if not named:
        return f"two configurations are missing after {folder}, as in {folder} A B: use one of {others}"
    return f"a second configuration is missing after {named[0]}: use one of {others}"


def _split(text: str) -> tuple[Path, str]:
    """Split ``DIR:NAME`` where a study's folder ends: both parts may contain colons."""
    places = [place for place, character in enumerate(text) if character == ":"]
    for place in places:
        if StudyFolder(Path(text[:place])).exists():
            return Path(text[:place]), text[place + 1 :]
    raise UserError(
        f"{text}: must be DIR:CONFIGURATION, with the folder of a study before the colon; of one study "
        "it is compare DIR A B"
    )
