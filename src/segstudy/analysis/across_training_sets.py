"""What a study with folds says for training sets like these: the second answer beside that for its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segstudy.analysis.formatting import interval, listed, signed
from segstudy.analysis.results import Results
from segstudy.core.quantities import counted
from segstudy.stats.intervals import LEVEL
from segstudy.stats.training_sets import (
    AcrossTrainingSets,
    TrainingSetEffect,
    across_training_sets,
    adjusted,
    training_set_effect,
)


@dataclass(frozen=True, slots=True)
class OtherTrainingSets:
    """The winner less another configuration, for training sets like these.

    Attributes:
        difference: of the two.
        p_adjusted: for all pairs of configurations.
    """

    difference: AcrossTrainingSets
    p_adjusted: float

    @property
    def told_apart(self) -> bool:
        return self.p_adjusted < 1 - LEVEL


@dataclass(frozen=True)
class TrainingSets:
    """The answer of a study with folds for training sets like these.

    Attributes:
        winner: the configuration that the others are compared with.
        versus: the winner minus each of the others, by name.
        effects: how much the training set moves each configuration; empty with one set of folds.
        num_folds, num_repeats: of the study.
    """

    winner: str
    versus: Mapping[str, OtherTrainingSets]
    effects: Mapping[str, TrainingSetEffect]
    num_folds: int
    num_repeats: int

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return the answer, how it was found, and its limits."""
        return tuple(text for text in (_answer(self), _effect(self), _limit(self)) if text)


def training_sets(results: Results, names: Sequence[str]) -> TrainingSets | None:
    """Compare the winner with the others over training sets; None without folds.

    Args:
        results: of the study.
        names: configurations with all their runs and the same test images, the winner first.
    """
    scores = {name: found for name in names if (found := results.folds(name)) is not None}
    first = scores.get(names[0])
    if first is None or first.folds.shape[1] < 2:
        return None
    others = {
        name: across_training_sets(first, each, results.margin)
        for name, each in scores.items()
        if name != names[0] and np.array_equal(first.folds, each.folds)
    }
    versus = {name: OtherTrainingSets(each, adjusted(each, len(others) + 1)) for name, each in others.items()}
    effects = {name: effect for name, each in scores.items() if (effect := training_set_effect(each))}
    return TrainingSets(names[0], versus, effects, first.num_folds, first.num_repeats)


def across_text(a: str, b: str, found: AcrossTrainingSets) -> str:
    """Return one sentence on `a` minus `b` for training sets like these."""
    seen = f"{signed(found.mean)} IoU {interval(found.low, found.high)}"
    said = {
        "a": f"{a} is better than {b}",
        "b": f"{b} is better than {a}",
        "practically equal": f"{a} and {b} are practically equal",
    }.get(found.conclusion, f"{a} and {b} cannot be told apart")
    return f"For training sets like these {said}: {seen}."


def _answer(found: TrainingSets) -> str:
    if not found.versus:
        return ""
    worse = [name for name, each in found.versus.items() if each.told_apart and each.difference.mean > 0]
    better = [name for name, each in found.versus.items() if each.told_apart and each.difference.mean < 0]
    unresolved = [name for name, each in found.versus.items() if not each.told_apart]
    said = []
    if worse:
        said.append(f"{found.winner} is better than {listed(worse)}")
    if better:
        said.append(f"{listed(better)} {'is' if len(better) == 1 else 'are'} better than {found.winner}")
    if unresolved:
        who = "it" if said else found.winner
        said.append(f"{who} cannot be told from {listed(unresolved)}")
    folds = counted(found.num_folds, "fold")
    how = f"{folds}, repeated {found.num_repeats} times" if found.num_repeats > 1 else folds
    return f"For training sets like these, not only for the present ones ({how}): {'; '.join(said)}."


def _effect(found: TrainingSets) -> str:
    if not found.effects:
        return ""
    middle = float(np.median([each.sd for each in found.effects.values()]))
    said = (
        f"Another training set of this size moves the score of a fold by {middle:.4f} IoU (standard "
        "deviation, median of the configurations)"
    )
    first = found.effects.get(found.winner)
    if first is None:
        return f"{said}."
    noise = " The noise of the single seed is in it." if first.has_training_noise else ""
    return f"{said}, that of {found.winner} by {first.sd:.4f} [{first.low:.4f}, {first.high:.4f}].{noise}"


def _limit(found: TrainingSets) -> str:
    if found.num_repeats > 1:
        return ""
    return (
        "With one set of folds the effect of shared training images is not measured, so the answer for "
        "training sets like these is a little too sure: --repeats 3 measures it."
    )
