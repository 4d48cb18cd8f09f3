"""Question 2: whether validation scores predict test scores."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy  # scipy.stats is imported at its first use: it takes half a second
from numpy.typing import NDArray

from segstudy.analysis.formatting import interval, possible, signed
from segstudy.analysis.questions.answer import Answer, Table, pooled_units
from segstudy.analysis.results import Results
from segstudy.core.quantities import counted, percent
from segstudy.stats.comparisons import gap
from segstudy.stats.intervals import Interval, mean_interval

Means = NDArray[np.float64]
ALIKE = 0.05  # of a loss: rising by more than that over its lowest is moving away


def representative(results: Results, curves: pl.DataFrame, names: Sequence[str]) -> Answer:
    """Question 2: the gap between validation and test, their orders, and whether losses diverge."""
    question = "Is validation representative of test?"
    means = {part: _means(results, names, part) for part in ("validation", "test")}
    validation, test = (pooled_units(results, names, part) for part in ("validation", "test"))
    # With folds both parts are all images: each is its own control.
    same = results.ids(names[0], "validation") == results.ids(names[0])
    whole = mean_interval(validation - test) if same else gap(validation, test)
    higher = int(np.sum(means["test"] > means["validation"]))
    side = "above" if whole.mean > 0 else "below"
    sentences = [
        f"Validation lies {abs(whole.mean):.3f} {side} test on average{_beyond_images(whole)}.",
        f"{higher} of {counted(len(names), 'configuration')} "
        f"{'scores' if higher == 1 else 'score'} higher on test than on validation.",
    ]
    if len(names) > 2 and all(np.ptp(values) > 0 for values in means.values()):
        sentences.append(_orders(names, means))
    sentences += _moving_apart(curves)
    return Answer(question, tuple(sentences), (_gaps(curves, names, means),))


def _beyond_images(whole: Interval) -> str:
    """Describe a gap with its interval, and whether other images may have none."""
    if whole.low is None or whole.high is None:
        return f" ({signed(whole.mean)}; of a single image nothing more can be said)"
    seen = f" ({signed(whole.mean)} {interval(whole.low, whole.high)})"
    if whole.low > 0 or whole.high < 0:
        return f"{seen}, more than the choice of images explains"
    farthest = possible(max(abs(whole.low), abs(whole.high)))
    return f"{seen}; with other images there may be no gap, or one of up to {farthest:.3f}"


def _means(results: Results, names: Sequence[str], part: str) -> Means:
    found = [results.scores(name, part) for name in names]
    return np.array([float(scores.mean()) for scores in found if scores is not None])


def _orders(names: Sequence[str], means: dict[str, Means]) -> str:
    found = scipy.stats.spearmanr(means["validation"], means["test"])
    place = int(np.sum(means["test"] > means["test"][0])) + 1
    return (
        f"The two orders agree with a rank correlation of {found.statistic:.2f} (Spearman); {names[0]}, "
        f"first on validation, is number {place} of {len(names)} on test."
    )


def _moving_apart(curves: pl.DataFrame) -> list[str]:
    """Describe whether the held-out loss rises while the training loss falls."""
    part = "test" if "test_loss" in curves.columns else "validation"
    runs = (
        curves.drop_nulls(f"{part}_loss")
        .group_by("configuration", "key")
        .agg(
            low=pl.col(f"{part}_loss").min(),
            last=pl.col(f"{part}_loss").sort_by("epoch").tail(3).mean(),
            train_first=pl.col("train_loss").sort_by("epoch").head(3).mean(),
            train_last=pl.col("train_loss").sort_by("epoch").tail(3).mean(),
        )
    )
    if not runs.height:
        return []
    each = runs.group_by("configuration").agg(
        rise=(pl.col("last") / pl.col("low") - 1).mean(),
        still=(pl.col("train_last") < pl.col("train_first")).all(),
    )
    rising = each.filter((pl.col("rise") > ALIKE) & pl.col("still"))
    said = (
        f"In {rising.height} of {counted(each.height, 'configuration')} the {part} loss ends more than "
        f"{percent(ALIKE)} above its lowest while the training loss falls"
    )
    most = rising.sort("rise", descending=True)
    return [
        f"{said}, most in {most['configuration'][0]} (+{percent(most['rise'][0])})."
        if most.height
        else f"{said}."
    ]


def _gaps(curves: pl.DataFrame, names: Sequence[str], means: dict[str, Means]) -> Table:
    at_end: dict[str, float] = {}
    if "test_iou" in curves.columns:
        last = curves.filter(pl.col("epoch") == pl.col("epoch").max().over("key"))
        gaps = last.group_by("configuration").agg((pl.col("validation_iou") - pl.col("test_iou")).mean())
        at_end = {name: value for name, value in gaps.iter_rows() if value is not None}
    rows = []
    for i, name in enumerate(names):
        rows.append(
            (
                name,
                f"{means['validation'][i]:.3f}",
                f"{means['test'][i]:.3f}",
                signed(means["validation"][i] - means["test"][i]),
                signed(at_end[name]) if name in at_end else "–",
            )
        )
    return Table(
        ("", "validation", "test", "gap, selected epoch", "gap, last epoch"),
        tuple(rows),
        "IoU; native size at the selected epoch, network size at the last one.",
    )
