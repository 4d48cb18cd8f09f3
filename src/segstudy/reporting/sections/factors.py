"""The effect of each factor: an ablation table, sentences, interactions, analyses of variance."""

from dataclasses import dataclass
from typing import Any

from segstudy.analysis.contrasts import Contrast
from segstudy.analysis.factor_effects import FactorEffect, LevelScore
from segstudy.analysis.formatting import DASH, interval, mean, p_value, signed
from segstudy.reporting.sections.base import ReportData
from segstudy.stats.factors import Factorial
from segstudy.stats.intervals import LEVEL


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the ablation table: a level beside the best one of its factor."""

    level: str
    is_best: bool
    test: str
    behind: str
    interval: str
    p: str
    num_settings: str


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``factors.html.j2``; None if nothing varies between finished configurations."""
    said = report.answers.factors
    if not said.effects and not said.notes:
        return None
    return {
        "answers": report.answers,
        "lines": [
            (each, [_line(each.effect, level) for level in each.effect.levels]) for each in said.effects
        ],
        "pairs": [(each.effect, [_pair(c) for c in each.effect.pairs]) for each in said.effects],
        "interval": interval,
        "p_value": p_value,
        "differing": differing,
    }


def _line(effect: FactorEffect, score: LevelScore) -> Line:
    is_best, c = score.level == effect.best, score.contrast
    if c is None:
        return Line(score.level, is_best, mean(score.test), DASH, "", DASH, DASH)
    return Line(score.level, is_best, mean(score.test), *_pair(c)[1:])


def _pair(c: Contrast) -> tuple[str, str, str, str, str]:
    """Return a comparison as text: what is compared, difference, interval, p value, number of settings."""
    d = c.difference
    p = p_value(d.p).removeprefix("p = ").removeprefix("p ") if d.has_training_noise else DASH
    return f"{c.left} minus {c.right}", signed(d.mean), interval(d.low, d.high), p, str(c.num_matched)


def differing(found: Factorial, factor: str, level: str) -> list[str]:
    """Return the levels of a factor that differ from this one."""
    return [
        d.b if d.a == level else d.a
        for d in found.differences[factor]
        if level in (d.a, d.b) and d.p < 1 - LEVEL
    ]
