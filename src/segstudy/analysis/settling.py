"""Advice on settling a comparison, in words: more seeds, or more seeds and images, and how sure that is."""

import math

from segstudy.core.quantities import counted
from segstudy.stats.power import PROMISE
from segstudy.stats.settling import FEWER, MORE, Needed, Resolution


def settling_text(found: Resolution, unit: str = "test image") -> str:
    """Return what would settle a comparison, as the end of a sentence that names the comparison.

    Args:
        found: by ``stats.settling``.
        unit: what the images are counted as: ``test image``, or a group of them as ``patient``.
    """
    if found.replicates is None:
        return _not_enough(found, unit)
    wanted = Needed(found.replicates, found.units or found.present.units)
    if wanted == found.present:
        return "nothing more is needed"
    promise = f"with a probability of {_percent(PROMISE)}"
    amount = _more(wanted, found, unit)
    alone = "" if found.units is None else f"no number of seeds up to {found.most.replicates} is enough, but "
    verb = "is" if amount == "1 more seed" else "are"
    either = "" if found.either is None else f", or {_more(found.either, found, unit)}"
    return f"{alone}{amount}{either} {verb} enough {promise} ({_range(found, unit)})"


def unit_noun(num_units: int, num_images: int, group_noun: str) -> str:
    """Return what a unit is: ``test image``, or ``test patient`` where the images of a patient are joined."""
    return "test image" if num_units == num_images else f"test {group_noun}"


def _not_enough(found: Resolution, unit: str) -> str:
    """Return how little the most that is searched can promise, and what has an even chance."""
    most = f"{found.most.replicates} seeds with {found.most.units:,} {unit}s"
    share = math.floor(100 * found.probability)  # rounded up it might be what is promised
    probability = f"of only {share} %" if share else "below 1 %"
    even = "" if found.fewer is None else f" ({_percent(FEWER)}: {_more(found.fewer, found, unit)})"
    return f"{most} are enough with a probability {probability}{even}"


def _range(found: Resolution, unit: str) -> str:
    fewer = "" if found.fewer is None else f"{_percent(FEWER)}: {_short(found.fewer, found, unit)}; "
    return f"{fewer}{_percent(MORE)}: {_short(found.more or found.most, found, unit)}"


def _short(size: Needed, found: Resolution, unit: str) -> str:
    seeds = size.replicates if found.is_uneven else size.replicates - found.present.replicates
    beyond, joint = ("more than ", "or") if size == found.most else ("", "and")
    return f"{beyond}{seeds}" if found.units is None else f"{beyond}{seeds} {joint} {size.units:,} {unit}s"


def _more(size: Needed, found: Resolution, unit: str) -> str:
    present, parts = found.present, []
    if size.replicates > present.replicates:
        more = counted(size.replicates - present.replicates, "more seed")
        parts.append(f"{size.replicates} seeds of each" if found.is_uneven else more)
    if size.units > present.units:
        parts.append(f"about {size.units:,} {unit}s instead of {present.units:,}")
    return " with ".join(parts)


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
