"""The five questions of the original study, each answered from this study's numbers.

A question whose factor does not vary is one line.
"""

from collections.abc import Sequence

import polars as pl

from segstudy.analysis.questions.answer import Answer, Table
from segstudy.analysis.questions.batches import batch_sizes
from segstudy.analysis.questions.losses import loss_families
from segstudy.analysis.questions.next_steps import next_steps
from segstudy.analysis.questions.skips import skip_connections
from segstudy.analysis.questions.validation_gap import representative
from segstudy.analysis.results import Results, comparable

__all__ = ["Answer", "Table", "answers"]


def answers(results: Results, epochs: pl.DataFrame, ranked: Sequence[str]) -> list[Answer]:
    """Return the five answers, in the original's order.

    Args:
        results: of the study.
        epochs: rows of every epoch of its runs, with ``key``.
        ranked: complete configurations, the best on validation first.
    """
    if not ranked:
        return []
    curves = _named(results, epochs)
    return [
        skip_connections(results),
        representative(results, curves, comparable(results, ranked)),
        loss_families(results),
        batch_sizes(results, curves),
        next_steps(results, curves, ranked),
    ]


def _named(results: Results, epochs: pl.DataFrame) -> pl.DataFrame:
    """Return the epochs of complete configurations, with the ``configuration`` and ``seed`` of their run."""
    runs = [
        {"key": record.key, "configuration": row.name, "seed": record.seed}
        for row in results.trained
        if results.complete(row.name)
        for record in row.records
    ]
    return epochs.join(pl.DataFrame(runs), on="key")
