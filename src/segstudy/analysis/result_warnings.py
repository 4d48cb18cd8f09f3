"""What makes a study's intervals and comparisons less certain than they look. One function per warning."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from segstudy.analysis.formatting import comparison_text, count, counted_images, listed, score
from segstudy.analysis.optimism import choice_warning
from segstudy.analysis.results import Results, comparable
from segstudy.metrics import METRICS, column
from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import of_seeds, seed_df

FEW_UNITS = 30  # test images or groups: below, intervals of means covered 83 to 90 % of skewed scores
LARGE_SHARE = 0.2  # of the test images: from there the level exceeds 7 %, see docs/statistics.md
COLLAPSE = 0.1  # of IoU, at least, below the median of the other seeds and of all other runs
COLLAPSE_DEVIATIONS = 6.0  # and at least so many robust deviations of the other runs
MAD_TO_DEVIATION = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True)
class Collapsed:
    """A run that fell far below all others.

    Attributes:
        name, seed: of the run; with folds, of its replicate.
        iou: its mean test IoU.
        others: the median of the other seeds of the configuration.
    """

    name: str
    seed: int
    iou: float
    others: float


def result_warnings(results: Results, names: Sequence[str]) -> tuple[str, ...]:
    """Return the warnings about the comparison of these configurations, the most serious first.

    Args:
        results: of the study.
        names: configurations with all their runs and the same test images, the winner first.
    """
    if not names:
        return ()
    return (
        *collapsed_runs_text(results, names),
        *large_group(results, names[0]),
        *few_units(results, names[0]),
        *two_seeds(results, names),
    )


def warnings_of_ranked(results: Results, frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the warnings about the ranked configurations of a leaderboard."""
    ranked = frame.filter(pl.col("rank").is_not_null()).sort("rank")["configuration"].to_list()
    names = comparable(results, ranked) if ranked else []
    return (*result_warnings(results, names), *choice_warning(results, names)) if names else ()


def few_units(results: Results, name: str) -> Iterator[str]:
    """Warn of test subsets that are too small for the intervals to be right."""
    groups = results.groups_of(name)
    num_units = len(set(groups))
    if num_units < FEW_UNITS:
        tested = counted_images(num_units, len(groups), "test image", results.group_noun)
        yield (
            f"Only {tested}: under {FEW_UNITS}, intervals are too narrow. In simulations, 95 % intervals "
            "contained the true mean in 83 to 90 %, and those that missed it lay mostly on one side."
        )


def two_seeds(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Warn where a training noise is estimated from two runs; with folds there are more."""
    two = {
        name: runs
        for name in names
        if len(results.seeds(name)) == 2 and (runs := results.runs(name)) is not None
    }
    found = [name for name, runs in two.items() if seed_df(runs) < 2]
    if found:
        yield (
            f"Two seeds: two runs cannot tell how much training varies, so intervals may be as wide as the "
            f"whole scale ({listed(found)}). Three or more seeds (--seeds 5) narrow them."
        )


def large_group(results: Results, name: str) -> Iterator[str]:
    """Warn of one patient or lesion that owns a large share of the test images."""
    groups = results.groups_of(name)
    group, num_images = Counter(groups).most_common(1)[0]
    if num_images > 1 and num_images >= LARGE_SHARE * len(groups):
        yield (
            f"One {results.group_noun} ({group}) owns {num_images} of {len(groups)} test images: differences "
            "may be those of this one, and equal configurations are called different too often."
        )


def collapsed_runs(results: Results, names: Sequence[str]) -> list[Collapsed]:
    """Return the runs whose test IoU is an outlier among the other seeds and among all other runs.

    Such a run predicts nothing, or everything. Both distances must be at least .1 IoU and 6 deviations; the
    deviation is estimated from the median absolute distance of the runs to the median of their
    configuration, so that collapsed runs hardly enter it.
    """
    means = {name: scores.mean(1) for name in names if (scores := results.scores(name)) is not None}
    if not means:
        return []
    apart = np.concatenate([np.abs(each - np.median(each)) for each in means.values()])
    reach = max(COLLAPSE, COLLAPSE_DEVIATIONS * MAD_TO_DEVIATION * float(np.median(apart)))
    found = []
    for name, mine in means.items():
        for place, iou in enumerate(mine):
            siblings = np.delete(mine, place)
            rest = np.concatenate([siblings, *(each for other, each in means.items() if other != name)])
            if len(siblings) and iou < min(np.median(siblings), np.median(rest)) - reach:
                found.append(
                    Collapsed(name, results.seeds(name)[place], float(iou), float(np.median(siblings)))
                )
    return found


def collapsed_runs_text(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Name collapsed runs, with the comparison of their configuration with and without them."""
    found = collapsed_runs(results, names)
    for name in dict.fromkeys(each.name for each in found):
        mine = [each for each in found if each.name == name]
        runs = ", ".join(f"seed {each.seed}: IoU {score(each.iou)}" for each in mine)
        yield (
            f"{count(len(mine), 'run')} of {name} collapsed ({runs}; the others {score(mine[0].others)})."
            f"{_with_and_without(results, names, name, [each.seed for each in mine])}"
        )


def _with_and_without(results: Results, names: Sequence[str], name: str, seeds: Sequence[int]) -> str:
    """Return the comparison with the winner, or of the winner with the next, without some seeds of it."""
    others = [each for each in names if each != name]
    groups = results.groups_of(name)
    left, right = results.runs(name), results.runs(others[0]) if others else None
    if left is None or right is None or len(set(groups)) < 2:
        return ""
    keep = of_seeds(left, [row for row, seed in enumerate(results.seeds(name)) if seed not in seeds])
    whole, without = (difference(each, right, groups, results.margin) for each in (left, keep))
    said = [comparison_text(name, others[0], each).removesuffix(".") for each in (whole, without)]
    return f" With: {said[0]}. Without: {said[1]}."


def penalties(results: Results, name: str, metric: str) -> tuple[int, int] | None:
    """Count the test values of a metric that are penalties, and all of them.

    Returns:
        None if the metric has no penalties, or if the scores that tell are not stored.
    """
    marker = METRICS[metric].penalty
    found = results.scores(name, "test", column(marker)) if marker else None
    return None if found is None else (int(np.sum(found == 1)), found.size)


def missed_lesions(results: Results, name: str) -> tuple[int, int] | None:
    """Count the test predictions that are empty where there is foreground, and those with foreground in none.

    Both are told by a distance that is a penalty; no pixel of an empty prediction is false foreground.

    Returns:
        None if the scores that tell are not stored.
    """
    found = [results.scores(name, "test", column(each)) for each in ("hd95_frac", "specificity")]
    if found[0] is None or found[1] is None:
        return None
    penalised, no_false_foreground = found[0] == 1, found[1] == 1
    missed = int(np.sum(penalised & no_false_foreground))
    return missed, int(penalised.sum()) - missed
