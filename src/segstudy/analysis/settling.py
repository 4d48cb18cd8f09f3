"""Advice on settling a comparison, in words: more seeds, or more seeds and images, and how sure that is."""

from segstudy.core.quantities import counted
from segstudy.stats.power import PROMISE
from segstudy.stats.settling import FEWER, MORE, MOST_IMAGES, MOST_REPLICATES, Needed, Resolution


def settling_text(found: Resolution, unit: str = "test image") -> str:
    """Return what would settle a comparison, as the end of a sentence that names the comparison.

    Args:
        found: by ``stats.settling``.
        unit: what the images are counted as: ``test image``, or a group of them as ``patient``.
    """
    if found.replicates is None:
        most = f"{MOST_REPLICATES} seeds with {MOST_IMAGES:,} {unit}s"
        return f"not even {most} are enough with a probability of {_percent(PROMISE)}"
    wanted = Needed(found.replicates, found.units or found.present.units)
    if wanted == found.present:
        return "nothing more is needed"
    promise = f"with a probability of {_percent(PROMISE)}"
    amount = _more(wanted, found.present, unit)
    alone = "" if found.units is None else f"no number of seeds up to {MOST_REPLICATES} is enough, but "
    verb = "is" if amount == "1 more seed" else "are"
    either = "" if found.either is None else f", or {_more(found.either, found.present, unit)}"
    return f"{alone}{amount}{either} {verb} enough {promise} ({_range(found, unit)})"


def unit_noun(num_units: int, num_images: int, group_noun: str) -> str:
    """Return what a unit is: ``test image``, or ``test patient`` where the images of a patient are joined."""
    return "test image" if num_units == num_images else f"test {group_noun}"


def _range(found: Resolution, unit: str) -> str:
    fewer = "" if found.fewer is None else f"{_percent(FEWER)}: {_short(found.fewer, found, unit)}; "
    more = f"more than {MOST_REPLICATES}" if found.more is None else _short(found.more, found, unit)
    return f"{fewer}{_percent(MORE)}: {more}"


def _short(size: Needed, found: Resolution, unit: str) -> str:
    seeds = size.replicates - found.present.replicates
    return f"{seeds}" if found.units is None else f"{seeds} and {size.units} {unit}s"


def _more(size: Needed, present: Needed, unit: str) -> str:
    seeds, parts = size.replicates - present.replicates, []
    if seeds:
        parts.append(counted(seeds, "more seed"))
    if size.units > present.units:
        parts.append(f"about {size.units} {unit}s instead of {present.units}")
    return " with ".join(parts)


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
