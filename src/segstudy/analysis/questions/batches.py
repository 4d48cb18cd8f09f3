"""Question 4: batch size, at equal epochs and at equal steps."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from segstudy.analysis.contrasts import contrast
from segstudy.analysis.design import Names, levels, matched
from segstudy.analysis.formatting import signed
from segstudy.analysis.questions.answer import Answer, Table, contrast_table, contrast_text
from segstudy.analysis.results import Results
from segstudy.core.quantities import counted, percent


def batch_sizes(results: Results, curves: pl.DataFrame) -> Answer:
    """Question 4: batch size at equal epochs and at equal steps, and its effect on the learning rate."""
    question = "Does batch size matter?"
    there = sorted(levels(results, "batch_size"), key=int)
    if len(there) < 2:
        return Answer(question, (f"Not asked here: every run has batch size {there[0]}.",))
    small, large = there[0], there[-1]
    names = matched(results, "batch_size", [small, large])
    called = (f"batch size {small}", f"batch size {large}")
    found = contrast(results, "batch_size", [small], [large], called)
    if found is None:
        return Answer(question, ("Not answered: no architecture and loss come with both batch sizes.",))
    rates = {size: _dynamics(curves, names[size]) for size in (small, large)}
    if _budget(results, names[small][0]) == "steps":  # equal for all, so epochs are not
        sentences = [f"At equal steps: {contrast_text(found)}"]
    else:
        sentences = [f"At equal epochs: {contrast_text(found)}", _equal_steps(curves, names)]
    rows = tuple(
        (f"batch size {size}", *(f"{value:{form}}" for value, form in zip(rates[size], FORMS, strict=True)))
        for size in (small, large)
    )
    sentences.append(
        f"The learning rate is reduced {rates[small][1]:.1f} times at batch size {small} and "
        f"{rates[large][1]:.1f} times at {large}; the best epoch is {rates[small][3]:.0f} "
        f"and {rates[large][3]:.0f}."
    )
    table = Table(
        ("", "final learning rate", "reductions", "first in epoch", "best epoch", "best validation IoU"),
        rows,
        "Means over runs; the learning rate is the geometric mean.",
    )
    return Answer(question, tuple(sentences), (contrast_table([found]), table))


def _budget(results: Results, name: str) -> str:
    row = next(row for row in results.trained if row.name == name)
    return str(row.configuration["protocol"]["budget"])


FORMS = (".1e", ".1f", ".0f", ".0f", ".3f")


def _dynamics(curves: pl.DataFrame, names: Sequence[str]) -> tuple[float, ...]:
    """Return final rate, number of reductions, epoch of the first, best epoch and its validation IoU."""
    runs = [
        run.sort("epoch")
        for (_,), run in curves.filter(pl.col("configuration").is_in(list(names))).group_by("key")
    ]
    final, reductions, first, best, top = [], [], [], [], []
    for run in runs:
        rate, iou = run["lr"].to_numpy(), run["validation_iou"].to_numpy()
        falls = np.flatnonzero(np.diff(rate) < 0)
        final.append(np.log(rate[-1]))
        reductions.append(len(falls))
        first += [int(falls[0]) + 2] if len(falls) else []
        best.append(int(np.argmax(iou)) + 1)
        top.append(iou.max())
    return (
        float(np.exp(np.mean(final))),
        float(np.mean(reductions)),
        float(np.mean(first)) if first else 0.0,
        float(np.mean(best)),
        float(np.mean(top)),
    )


def _equal_steps(curves: pl.DataFrame, names: Names) -> str:
    """Compare the best validation IoU within the number of updates of the larger batch."""
    small, large = names
    share = int(small) / int(large)
    gains = []
    for ours, theirs in zip(names[small], names[large], strict=True):
        gains.append(_best_within(curves, ours, share) - _best_within(curves, theirs, 1.0))
    mean_gain = float(np.mean(gains))
    wins = sum(1 for gain in gains if gain > 0)
    return (
        f"At equal steps, batch size {small} cut after {percent(share)} of its epochs: {signed(mean_gain)} "
        f"best validation IoU against batch size {large}, ahead in {wins} of "
        f"{counted(len(gains), 'setting')} (description only)."
    )


def _best_within(curves: pl.DataFrame, name: str, share: float) -> float:
    mine = curves.filter(pl.col("configuration") == name)
    until = max(1.0, float(np.floor(share * float(mine["epoch"].max()))))  # type: ignore[arg-type]
    best = mine.filter(pl.col("epoch") <= until).group_by("key").agg(pl.col("validation_iou").max())
    return float(best["validation_iou"].mean())  # type: ignore[arg-type]
