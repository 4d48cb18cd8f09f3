"""Planned runs that an earlier version of segstudy finished or began, with another arithmetic."""

from collections.abc import Collection, Iterator, Sequence
from itertools import product

from segstudy.config.runs import Run, key_of

NOT_HASHED = {"bfloat16": 1}  # enters no key, see models.lower_precision_numerics


def num_of_earlier_versions(missing: Sequence[Run], stored: Collection[str]) -> int:
    """Return how many of these runs are stored under a key of an earlier version of our code."""
    return sum(any(key in stored for key in _earlier_keys(run)) for run in missing) if stored else 0


def _earlier_keys(run: Run) -> Iterator[str]:
    """Yield the run's key with each combination of earlier versions; code of others has no numbers."""
    ours = {name: version for name, version in run.numerics.items() if isinstance(version, int)}
    for versions in product(*(range(1, version + 1) for version in ours.values())):
        earlier = dict(zip(ours, versions, strict=True))
        if earlier != ours:
            numerics = {k: v for k, v in (run.numerics | earlier).items() if NOT_HASHED.get(k) != v}
            yield key_of(run.description() | {"numerics": numerics})
