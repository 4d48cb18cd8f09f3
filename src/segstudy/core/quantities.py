"""Durations, sizes and counts as text."""

import re
from collections import Counter
from collections.abc import Iterable


def duration(seconds: float) -> str:
    """Return a duration as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def percent(frac: float, digits: int = 0) -> str:
    """Return a share as ``12 %``, or ``12.3 %`` with one digit."""
    return f"{100 * frac:.{digits}f} %"


def size(num_bytes: float) -> str:
    """Return a size as ``640 bytes``, ``85 KB``, ``12 MB`` or ``3.4 GB``."""
    if num_bytes < 999.5:
        return counted(round(num_bytes), "byte")
    if num_bytes < 999_500:
        return f"{num_bytes / 1e3:.0f} KB"
    if num_bytes < 999_500_000:
        return f"{num_bytes / 1e6:.0f} MB"
    return f"{num_bytes / 1e9:.1f} GB"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 run``, ``3 runs``, ``2 categories``, ``1,040 losses``."""
    ending = "es" if noun.endswith(("s", "ch")) else "s"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else noun + ending
    return f"{number:,} {noun if number == 1 else plural}"


COUNTABLE = re.compile(
    r"\b(mask|image|file|folder|page|sample|column|group|category|part|subset|id|rotation|mismatch)\b"
)
OF_ALL = re.compile(r"\A(no|most|all|in)\b|\b(masks|images|folders|files|diagnoses)\b")


def counted_kind(number: int, kind: str) -> str:
    """A number of findings of a kind: ``3 inverted masks suspected``, ``2 near-duplicate images``.

    What is found once of all together has no number: ``no metadata``.
    """
    noun = COUNTABLE.search(kind)
    if number == 1:
        return kind if noun is None or OF_ALL.search(kind) else f"1 {kind}"
    if noun is None or OF_ALL.search(kind):
        return f"{number:,} {kind}"
    plural = counted(2, noun.group()).removeprefix("2 ")
    return f"{number:,} {kind[: noun.start()]}{plural}{kind[noun.end() :]}"


def counted_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Kinds of findings with their numbers, the most frequent first."""
    return tuple(counted_kind(number, kind) for kind, number in Counter(kinds).most_common())


def and_more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""
