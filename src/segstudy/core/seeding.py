"""The seeds of all random streams of segstudy, by purpose."""

import hashlib
import json


def seed_for(purpose: str, **parts: int | str) -> int:
    """Return a seed for one named purpose: equal arguments give the same seed, on every machine.

    Streams are independent of each other and of earlier draws, so nothing depends on
    which runs went first, in which process, or whether a run was interrupted.

    Args:
        purpose: of the draws, for example ``"split"``, ``"init"``, ``"order"``.
        parts: whatever the stream may depend on, by name; their order does not matter.

    Returns:
        An integer in [0, 2**63), fit for ``numpy.random.default_rng`` and ``torch.manual_seed``.

    >>> seed_for("order", seed=0, epoch=1) == seed_for("order", epoch=1, seed=0)
    True
    >>> seed_for("order", seed=0, epoch=1) == seed_for("init", seed=0, epoch=1)
    False
    """
    name = json.dumps([purpose, parts], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
