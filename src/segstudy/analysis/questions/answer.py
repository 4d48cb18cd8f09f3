"""The form of an answer, and the table of contrasts that most answers contain."""

from collections.abc import Sequence
from dataclasses import dataclass

from segstudy.analysis.contrasts import Contrast
from segstudy.analysis.formatting import comparison_text, interval, p_value, signed
from segstudy.analysis.results import Results, pooled
from segstudy.stats.intervals import Scores, by_group


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, and rows with one value for each."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: as the original asked it.
        sentences: the answer; the first is the shortest.
        tables: the numbers behind it.
    """

    question: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...] = ()


def contrast_text(c: Contrast) -> str:
    over = "" if c.num_matched == 1 else f" Mean over {c.num_matched} settings of everything else."
    return comparison_text(c.left, c.right, c.difference) + over


def contrast_table(found: Sequence[Contrast]) -> Table:
    rows = [
        (
            f"{c.left} minus {c.right}",
            signed(c.difference.mean),
            interval(c.difference.low, c.difference.high),
            p_value(c.difference.p).removeprefix("p = ") if c.difference.has_training_noise else "–",
            f"{c.difference.effect_size:+.2f}",
            "{} : {}".format(*c.difference.images_won),
            "{} : {}".format(*c.difference.replicates_won) if c.difference.replicates_won else "–",
            str(c.num_matched),
        )
        for c in found
    ]
    return Table(
        (
            "",
            "difference",
            "95 % interval",
            "p (Holm)" if len(found) > 1 else "p",
            "effect size d",
            "images won",
            "seeds won",
            "settings",
        ),
        tuple(rows),
        "Test IoU at native size; each side is averaged over the settings of everything else that both have.",
    )


def pooled_units(results: Results, names: Sequence[str], part: str) -> Scores:
    return by_group(pooled(results, names, part), results.groups_of(names[0], part))
