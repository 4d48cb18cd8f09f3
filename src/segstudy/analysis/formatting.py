"""Numbers and comparisons as text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segstudy.core.quantities import counted

if TYPE_CHECKING:  # `segstudy status` does without what imports scipy
    from segstudy.metrics import Score
    from segstudy.stats.comparisons import Difference
    from segstudy.stats.intervals import Interval

MOST_NAMED = 5
DASH = "–"  # in a table, for a value that there is not


def score(value: float) -> str:
    """Return a score as ``0.859``; never ``-0.000``."""
    return f"{round(value, 3) + 0.0:.3f}"


def signed(value: float) -> str:
    """Return a difference as ``+0.012`` or ``-0.012``; 0.000 has no sign."""
    return f"{value:+.3f}" if round(value, 3) else "0.000"


def possible(end: float, lowest: float = -1.0) -> float:
    """Return the end of an interval within the possible values: -1 to 1 for differences of IoU."""
    return min(max(end, lowest), 1.0)


def interval(low: float | None, high: float | None, lowest: float = -1.0) -> str:
    """Return an interval as ``[0.826, 0.892]``; empty if there is none.

    Its ends are printed within the possible values: -1 to 1 for differences, ``lowest`` to 1 otherwise.
    """
    if low is None or high is None:
        return ""
    return f"[{score(possible(low, lowest))}, {score(possible(high, lowest))}]"


def mean(each: "Interval") -> str:
    """Return a mean and its interval as ``0.859 [0.826, 0.892]``."""
    return f"{each.mean:.3f} {interval(each.low, each.high, 0.0)}".rstrip()


def p_value(p: float) -> str:
    """Return a p value as ``p = 0.031`` or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def counted_images(num_units: int, num_images: int, what: str = "image", unit: str = "group") -> str:
    """``15 images``, or ``3 patients (15 images)`` where the images of a patient or lesion count as one."""
    images = counted(num_images, what)
    return images if num_units == num_images else f"{counted(num_units, unit)} ({images})"


def listed(names: Sequence[str], most: int = MOST_NAMED, joined: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; ``a, b and 7 more`` where there are many."""
    shown = list(names) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {joined} {shown[-1]}"


def comparison_text(a: str, b: str, d: "Difference") -> str:
    """Return one sentence on `a` minus `b` in test IoU."""
    seen = f"{signed(d.mean)} IoU {interval(d.low, d.high)}"
    match d.conclusion:
        case "a":
            return f"{a} {_is(a)} better than {b} by {d.mean:.3f} IoU {interval(d.low, d.high)}."
        case "b":
            return f"{b} {_is(b)} better than {a} by {-d.mean:.3f} IoU {interval(-d.high, -d.low)}."
        case "practically equal":
            return f"{a} and {b} are practically equal: {seen}, within the margin of {d.margin:g}."
        case "not resolved" if d.low > 0 or d.high < 0:  # by this pair alone it would be
            return (
                f"{a} and {b} cannot be told apart once all pairs are allowed for ({p_value(d.p)}): {seen} "
                "as a pair alone."
            )
        case "not resolved":
            return f"{a} and {b} cannot be told apart: {seen}."
    return f"{a} against {b}: {seen}; images only, training noise not measured, so neither wins."


def _is(name: str) -> str:
    return "are" if name.endswith("losses") else "is"


def score_text(score: "Score | None", form: str) -> str:
    """Return a mean and its interval; a dash if not measured."""
    if score is None:
        return DASH
    if score["low"] is None or score["high"] is None:
        return format(score["mean"], form)
    return f"{score['mean']:{form}} [{score['low']:{form}}, {score['high']:{form}}]"
