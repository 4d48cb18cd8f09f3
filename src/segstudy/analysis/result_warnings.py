"""What makes a study's intervals and comparisons less certain than they look. One function per warning."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from segstudy.analysis.formatting import MOST_NAMED, comparison_text, counted_images, listed, score
from segstudy.analysis.hardware import balance_text, hardware
from segstudy.analysis.optimism import choice_warning
from segstudy.analysis.results import Results, comparable
from segstudy.core.quantities import counted
from segstudy.stats.comparisons import difference
from segstudy.stats.intervals import Scores, ScoresByFold, of_seeds, run_means, seed_df

FEW_UNITS = 40  # test images or groups: below, intervals of means covered 83 to 93 % of skewed scores
LARGE_SHARE = 0.2  # of the test images: from there the level exceeds 7 %, see docs/statistics.md
COLLAPSE = 0.1  # of IoU, at least, below the median of the other seeds and of all other runs
COLLAPSE_DEVIATIONS = 6.0  # and at least so many robust deviations of the other runs
MAD_TO_DEVIATION = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True)
class Collapsed:
    """A run that fell far below all others.

    Attributes:
        name, seed: of the run.
        iou: its mean test IoU.
        others: the median of the other runs of the configuration.
        repeat, fold: of the run, from 0; None without folds.
    """

    name: str
    seed: int
    iou: float
    others: float
    repeat: int | None = None
    fold: int | None = None

    @property
    def label(self) -> str:
        """Return the seed, and with folds the fold and the repeat, counted as in the tables of runs."""
        fold = "" if self.fold is None else f", fold {self.fold}"
        return f"seed {self.seed}{fold}{f', repeat {self.repeat}' if self.repeat else ''}"


def result_warnings(results: Results, names: Sequence[str]) -> tuple[str, ...]:
    """Return the warnings about the comparison of these configurations, the most serious first.

    Args:
        results: of the study.
        names: configurations with all their runs and the same test images, the winner first.
    """
    if not names:
        return ()
    return (
        *untested_classes(results, names[0]),
        *other_hardware(results, names),
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


def other_hardware(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Warn of comparisons between configurations that were trained on different hardware."""
    found = hardware([row for row in results.trained if row.name in names])
    yield from found.confounded
    if found.num_apart and not found.confounded:
        yield balance_text(found)


def untested_classes(results: Results, name: str) -> Iterator[str]:
    """Say which classes no test mask holds."""
    table = (results.classes or {}).get(name)
    if table is None:
        return
    missing = [table.names[i] for i in results.outputs.scored if not table.num_images(i)]
    if missing:
        classes = "the class" if len(missing) == 1 else "the classes"
        yield f"No test mask holds {classes} {listed(missing)}: nothing is known of how well that is found."


def few_units(results: Results, name: str) -> Iterator[str]:
    """Warn of test subsets that are too small for the intervals to be right."""
    groups = results.groups_of(name)
    num_units = len(set(groups))
    if num_units < FEW_UNITS:
        tested = counted_images(num_units, len(groups), "test image", results.group_noun)
        yield (
            f"Only {tested}: under {FEW_UNITS}, intervals are too narrow. In simulations, 95 % intervals "
            "contained the true mean in 83 to 93 %, and those that missed it lay mostly above it."
        )


def two_seeds(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Warn where a training noise is estimated from two runs; with folds, of what two seeds do not show."""
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
    in_folds = [name for name in two if name not in found]
    if in_folds:
        yield (
            "Two seeds in folds: if one is better in all folds, two seeds hardly show it, and intervals are "
            "too narrow. In simulations, up to 11 % of equal configurations were then called different, not "
            "5 %. Three or more seeds (--seeds 3) show it."
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
    """Return the runs whose test IoU is an outlier among the others of the configuration and among all.

    Such a run predicts nothing, or everything. Both distances must be at least .1 IoU and 6 deviations; the
    deviation is estimated from a median absolute distance of the runs, which collapsed runs hardly move.
    With folds, runs are compared as they differ from
    the median of all runs of their training set: images of another fold may be harder.
    """
    means = _run_means(results, names)
    if not means:
        return []
    middle = np.median(np.concatenate(list(means.values())), axis=0)
    apart = {name: each - middle for name, each in means.items()}
    reach = max(COLLAPSE, COLLAPSE_DEVIATIONS * MAD_TO_DEVIATION * _median_distance(list(apart.values())))
    found = []
    for name, mine in apart.items():
        others = np.concatenate([each.ravel() for other, each in apart.items() if other != name] or [[]])
        for place in range(mine.size):
            siblings = np.delete(mine, place)
            rest = np.concatenate([siblings, others])
            if len(siblings) and mine.flat[place] < min(np.median(siblings), np.median(rest)) - reach:
                found.append(_collapsed(results, name, means[name], place))
    return found


def _median_distance(runs: Sequence[Scores]) -> float:
    """Return the median distance of runs to the median of their configuration, or of all, if that is less.

    Of two runs both are equally far from their median, so one that collapsed counts twice.
    """
    every = np.concatenate([each.ravel() for each in runs])
    own = np.concatenate([np.abs(each - np.median(each)).ravel() for each in runs])
    return float(min(np.median(own), np.median(np.abs(every - np.median(every)))))


def _run_means(results: Results, names: Sequence[str]) -> dict[str, Scores]:
    """Return the mean of each run, ``(seeds, training sets)``; over all training sets if these differ."""
    runs = {name: found for name in names if (found := results.runs(name)) is not None}
    means = {name: run_means(each) for name, each in runs.items()}
    if len({each.shape[1] for each in means.values()}) > 1:
        return {name: each.mean(axis=1, keepdims=True) for name, each in means.items()}
    return means


def _collapsed(results: Results, name: str, means: Scores, place: int) -> Collapsed:
    row, training_set = divmod(place, means.shape[1])
    iou, others = float(means.flat[place]), float(np.median(np.delete(means, place)))
    seed, runs = results.seeds(name)[row], results.runs(name)
    if isinstance(runs, ScoresByFold) and means.shape[1] > 1:
        return Collapsed(name, seed, iou, others, *divmod(training_set, runs.num_folds))
    return Collapsed(name, seed, iou, others)


def collapsed_runs_text(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Name collapsed runs, with the comparison of their configuration with and without their seeds."""
    found = collapsed_runs(results, names)
    fallen = list(dict.fromkeys(each.name for each in found))
    for name in fallen[:MOST_NAMED]:
        mine = [each for each in found if each.name == name]
        runs = listed([f"{each.label}: IoU {score(each.iou)}" for each in mine])
        yield (
            f"{counted(len(mine), 'run')} of {name} collapsed ({runs}; the others {score(mine[0].others)})."
            f"{_with_and_without(results, names, name, {each.seed for each in mine})}"
        )
    if rest := fallen[MOST_NAMED:]:
        yield f"Runs of {counted(len(rest), 'more configuration')} collapsed: {listed(rest)}."


def _with_and_without(results: Results, names: Sequence[str], name: str, seeds: Collection[int]) -> str:
    """Return the comparison with the winner, or of the winner with the next, with and without some seeds."""
    others = [each for each in names if each != name]
    groups = results.groups_of(name)
    left, right = results.runs(name), results.runs(others[0]) if others else None
    if left is None or right is None or len(set(groups)) < 2:
        return ""
    rows = [row for row, seed in enumerate(results.seeds(name)) if seed not in seeds]
    if not rows:
        return ""
    sides = left, of_seeds(left, rows)
    whole, without = (difference(each, right, groups, results.margin) for each in sides)
    said = [comparison_text(name, others[0], each).removesuffix(".") for each in (whole, without)]
    return f" With: {said[0]}. Without: {said[1]}."
