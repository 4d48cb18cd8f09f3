"""The answers on the factors of a study and their interactions, in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segstudy.analysis.contrasts import Contrast
from segstudy.analysis.design import RECORDING, Design, design_of, label
from segstudy.analysis.factor_effects import FactorEffect, effects_of, importance
from segstudy.analysis.factorials import factorials
from segstudy.analysis.formatting import comparison_text, interval, listed, p_value, signed
from segstudy.analysis.results import Results
from segstudy.core.quantities import counted
from segstudy.stats.factors import Effect, Factorial
from segstudy.stats.intervals import LEVEL

FEW_LEVELS = 4  # of a factor within which another one is looked at again
CORRECTED = (
    "Intervals and p values hold for all pairs of one factor's levels at once (Games-Howell). Nothing is "
    "corrected across factors, and the five questions compare fewer levels, so their p values differ."
)
AVERAGES = (
    "Where the effect of a factor depends on another one, its mean over the levels of that one need not "
    "hold at any of them."
)


@dataclass(frozen=True, slots=True)
class FactorAnswer:
    """The effect of a factor, and the answer in a sentence."""

    effect: FactorEffect
    sentence: str


@dataclass(frozen=True, slots=True)
class FactorAnswers:
    """Everything about the factors of a study.

    Attributes:
        effects: the factors that matter most come first.
        interactions: a sentence on each interaction that was looked at, and what follows from it.
        notes: what was left out or cannot be answered, and what is not corrected for.
    """

    effects: tuple[FactorAnswer, ...] = ()
    interactions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def factors(self) -> list[str]:
        """The factors that are answered, those that matter most first."""
        return list(dict.fromkeys(each.effect.factor for each in self.effects))


def factor_sentences(results: Results) -> list[str]:
    """Return the effect of everything that varies, and the interactions, in sentences for a terminal."""
    design = design_of(results)
    found = factor_answers(design, factorials(design))
    sentences = [f"{each.effect.factor.replace('_', ' ')}: {each.sentence}" for each in found.effects]
    return [*sentences, *found.interactions]


def factor_answers(design: Design, factorials: Sequence[tuple[str, Factorial]]) -> FactorAnswers:
    """Return the effects of everything that varies between a study's complete configurations.

    Args:
        design: of the study.
        factorials: its analyses of variance, see ``factorials.factorials``.
    """
    found = [effect for factor in design.factors for effect in effects_of(design, factor)]
    weights = importance(found, factorials)
    found.sort(key=lambda effect: -weights[effect.factor])
    return FactorAnswers(
        effects=tuple(FactorAnswer(each, effect_sentence(each)) for each in found),
        interactions=tuple(_interactions(design, found, factorials)),
        notes=tuple(_notes(design, found)),
    )


def effect_sentence(effect: FactorEffect) -> str:
    """Return the answer on a factor: its best level on validation, against the others on test."""
    where = f"With {effect.condition}: " if effect.condition else ""
    if len(effect.levels) == 2:
        pair = effect.pairs[0]
        said = comparison_text(pair.left, pair.right, pair.difference)
    else:
        said = _against_best(effect)
    return f"{where}{said}{_averaged_over(effect)}"


def _against_best(effect: FactorEffect) -> str:
    best = f"{label(effect.factor, effect.best)} is highest on validation."
    others = [each.contrast for each in effect.levels if each.contrast is not None]
    if not effect.has_training_noise:
        apart = listed([_by(c, "lower" if c.difference.mean < 0 else "higher") for c in others])
        return f"{best} On test {apart}; images only, training noise not measured, so none wins."
    kinds = {
        kind: [c for c in others if c.difference.conclusion == kind]
        for kind in ("b", "practically equal", "not resolved", "a")
    }
    parts = [
        f"is better than {_named(kinds['b'])}" if kinds["b"] else "",
        f"is practically equal to {_beside(kinds['practically equal'])}"
        if kinds["practically equal"]
        else "",
        f"cannot be told from {_beside(kinds['not resolved'])}" if kinds["not resolved"] else "",
        f"is worse than {_named(kinds['a'])}" if kinds["a"] else "",
    ]
    return f"{best} On test it {listed([part for part in parts if part])}."


def _named(contrasts: Sequence[Contrast]) -> str:
    return listed([_by(c) for c in contrasts])


def _beside(contrasts: Sequence[Contrast]) -> str:
    """Return the other levels, each with the best one less it: ``lr=0.1 (-0.003 [-0.012, 0.006])``."""
    apart = [(c.left, c.difference) for c in contrasts]
    return listed([f"{name} ({signed(-d.mean)} {interval(-d.high, -d.low)})" for name, d in apart])


def _by(c: Contrast, direction: str = "") -> str:
    """Return the other level and its distance from the best: ``lr=0.1 (by 0.020 [0.010, 0.030])``."""
    d = c.difference
    sign = 1 if d.mean > 0 else -1
    low, high = sorted((sign * d.low, sign * d.high))
    far = f"{abs(d.mean):.3f} {interval(low, high)}"
    return f"{c.left} is {direction} by {far}" if direction else f"{c.left} (by {far})"


def _averaged_over(effect: FactorEffect) -> str:
    numbers = {c.num_matched for c in effect.pairs}
    low, high = min(numbers), max(numbers)
    said = ""
    if high > 1:
        some = str(high) if low == high else f"{low} to {high}"
        said = f" Mean over {some} settings of everything else."
    if effect.nested:
        said += f" Where {listed(effect.nested)} is used, the mean is over its levels too."
    return said


def _interactions(
    design: Design, effects: Sequence[FactorEffect], factorials: Sequence[tuple[str, Factorial]]
) -> Iterator[str]:
    """Yield a sentence on each interaction, from the analysis with most runs that has it."""
    if len({effect.factor for effect in effects}) < 2:
        return
    seen: set[tuple[str, ...]] = set()
    depends = False
    for title, found in sorted(factorials, key=lambda each: -each[1].num_runs):
        if len(found.means) > 1 and not found.effects:
            yield f"Interactions of {title} are not tested: one run of each shows no training noise."
        for effect in found.effects:
            if len(effect.factors) > 1 and effect.factors not in seen:
                seen.add(effect.factors)
                depends |= effect.p < 1 - LEVEL
                yield from _interaction(design, effect)
    crossed = {factor for _, found in factorials if len(found.means) > 1 for factor in found.means}
    alone = [f for f in dict.fromkeys(e.factor for e in effects) if f not in crossed]
    if alone:
        yield (
            f"No interaction with {listed(alone)} was tested: only the factors with the largest differences "
            "are, at most three, where all their levels are combined."
        )
    if depends:
        yield AVERAGES


def _interaction(design: Design, effect: Effect) -> Iterator[str]:
    names = [factor.replace("_", " ") for factor in effect.factors]
    tested = f"{p_value(effect.p)}, for these test images"
    if effect.p >= 1 - LEVEL:
        yield f"An interaction of {listed(names)} cannot be shown ({tested})."
        return
    if len(effect.factors) > 2:
        yield f"{listed(names)} interact: the effect of each depends on the others ({tested})."
        return
    fewer, more = sorted(effect.factors, key=lambda factor: len(design.levels(factor)))
    yield (
        f"The effect of {more.replace('_', ' ')} depends on {fewer.replace('_', ' ')} "
        f"(interaction: {tested}; partial ω² {effect.omega_squared:.2f})."
    )
    for level in design.levels(fewer)[:FEW_LEVELS]:
        for each in effects_of(design.within(fewer, level), more):
            yield f"With {label(fewer, level)}: {effect_sentence(each)}"


def _notes(design: Design, effects: Sequence[FactorEffect]) -> Iterator[str]:
    if design.incomplete and design.factors:
        yield f"{_have(len(design.incomplete))} not all runs, and no part in this section."
    if design.stopped and design.factors:
        number = len(design.stopped)
        yield (
            f"{counted(number, 'configuration')} {'was' if number == 1 else 'were'} stopped at a look, and "
            f"{'has' if number == 1 else 'have'} no part in this section."
        )
    if design.other_truths:
        number = len(design.other_truths)
        names = [field.replace("_", " ") for field in design.truth_fields]
        yield (
            f"{counted(number, 'configuration')} {'is' if number == 1 else 'are'} left out: tested on other "
            f"images or masks{f' ({listed(names)} varies)' if names else ''}, which is no factor of quality."
        )
    yield from _unanswered(design, effects)
    if any(len({pair.num_matched for pair in effect.pairs}) > 1 for effect in effects):
        yield (
            "Where the numbers of settings differ, so do the settings of the means: only differences compare "
            "equal ones."
        )
    if any(effect.has_training_noise for effect in effects):
        yield CORRECTED


def _have(number: int) -> str:
    return f"{counted(number, 'configuration')} {'has' if number == 1 else 'have'}"


def _unanswered(design: Design, effects: Sequence[FactorEffect]) -> Iterator[str]:
    answered = [effect.factor for effect in effects]
    for factor in design.factors:
        name = factor.replace("_", " ")
        if factor not in answered:
            yield (
                f"{name} is not answered: no two of its levels come with the same setting of everything "
                "else, so its effect cannot be separated from others."
            )
        elif answered.count(factor) > 1:
            yield (
                f"The levels of {name} are compared in {answered.count(factor)} sets: levels of different "
                "sets share no setting of everything else."
            )
    for field in RECORDING:
        if len(design.levels(field)) > 1:
            yield f"{field.replace('_', ' ')} varies too; it changes nothing in a network."
