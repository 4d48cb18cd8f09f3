"""How firm the order on test is: the share of resamples in which a configuration is first, and its ranks."""

from collections.abc import Sequence

import polars as pl

from segstudy.analysis.formatting import listed
from segstudy.analysis.results import Results, comparable
from segstudy.core.quantities import percent
from segstudy.core.seeding import seed_for
from segstudy.stats.ranks import Stability, stability


def stabilities(results: Results, names: Sequence[str]) -> dict[str, Stability]:
    """Return the ranks of configurations when test groups and runs are resampled; always the same draws."""
    scores = [each for name in names if (each := results.units(name)) is not None]
    return dict(zip(names, stability(scores, seed_for("ranks", count=len(names))), strict=True))


def chances_sentence(results: Results, frame: pl.DataFrame) -> str:
    """Return a sentence on those that may be the best, for a terminal; empty if fewer than two may be.

    Args:
        results: of the study.
        frame: its leaderboard.
    """
    ranked = frame.filter(pl.col("rank").is_not_null()).sort("rank")["configuration"].to_list()
    names = comparable(results, ranked) if ranked else []
    may_be = frame.filter(pl.col("among_best"))["configuration"].to_list()
    if len(set(may_be) & set(names)) < 2:
        return ""
    found = {name: each for name, each in stabilities(results, names).items() if name in may_be}
    order = sorted(found, key=lambda name: -found[name].best)
    said = listed([f"{name} {percent(found[name].best)} ({_ranks(found[name])})" for name in order])
    ties = "; ties count for each" if sum(each.best for each in found.values()) > 1 + 1e-9 else ""
    begin = "Of those that may be best, first on test in this share of resamples of images and runs"
    return f"{begin}: {said}{ties}."


def _ranks(each: Stability) -> str:
    return f"rank {each.low}" if each.low == each.high else f"ranks {each.low} to {each.high}"
