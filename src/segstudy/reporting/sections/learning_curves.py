"""Learning curves, reduced so that those of a thousand runs fit in one page."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from segstudy.analysis.configurations import Row
from segstudy.metrics import HEADLINE, METRICS
from segstudy.reporting.charts import specs
from segstudy.reporting.charts.specs import SUBSETS
from segstudy.reporting.sections.base import ReportData
from segstudy.store.records import RunRecord

SCORE = METRICS[HEADLINE]
MEASURES = [f"{part}_{measure}" for part in SUBSETS for measure in ("loss", HEADLINE)]
DIGITS = 4  # kept of each value
MOST_VALUES = 600_000  # on a page, about 4 MB
MOST_RUNS = 2000  # to pick from
MOST_PANELS = 40  # of the small multiples
MOST_POINTS = 30_000  # of the small multiples; a second of drawing
MOST_LINES = 200  # runs in all the small multiples together: further seeds are not shown


@dataclass(frozen=True, slots=True)
class Curves:
    """The curves of a study's finished runs.

    Attributes:
        configurations: names, the leaderboard's first configuration first.
        runs: one dict per run: ``of`` (index of its configuration), ``name``, ``short`` (seed and fold),
            ``kept`` (the epoch whose weights were), and equally long lists ``epoch``, ``train_loss`` and so
            on; a subset that was not recorded has none.
        every: n: only each n-th epoch is included, besides the first, the last and the kept.
        num_all: configurations with finished runs; more than ``configurations`` if there are many runs.
    """

    configurations: list[str]
    runs: list[dict[str, Any]]
    every: int
    num_all: int


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``learning_curves.html.j2`` and its script; two figures are written."""
    if not report.has_scores:
        return None
    configurations = report.leaderboard["configuration"].to_list()
    curves = read_curves(report.epochs, report.results.rows, configurations)
    shown = panels(curves)
    return {
        "curves": curves,
        "score": SCORE.short,
        "panels": shown,
        "grids": _grids(report.figures, shown),
        "script_data": {"curves": _picker(curves)},
    }


def read_curves(epochs: pl.DataFrame, rows: Sequence[Row], ranked: Sequence[str]) -> Curves:
    """Return the curves of finished runs, to four digits; with fewer epochs if there are many.

    Of more than ``MOST_RUNS`` runs, only those of the first configurations are included.

    Args:
        epochs: of all finished runs, see ``StudyFolder.epochs``.
        rows: the study's configurations.
        ranked: their names in the leaderboard's order.
    """
    place = {name: i for i, name in enumerate(ranked)}
    trained = sorted((row for row in rows if row.records), key=lambda row: place[row.name])
    found = trained[: _most_of(trained)]
    heads: dict[str, dict[str, Any]] = {
        record.key: {
            "of": i,
            "name": _called(row, record),
            "short": _numbers(row, record),
            "kept": record.summary.selected_epoch,
        }
        for i, row in enumerate(found)
        for record in sorted(row.records, key=lambda each: (each.seed, _repeat(row, each), each.fold or 0))
    }
    if not heads:
        return Curves([], [], 1, 0)
    measures = [name for name in MEASURES if name in epochs.columns]
    if len(found) < len(trained):
        epochs = epochs.filter(pl.col("key").is_in(list(heads)))
    every = -(-epochs.height * len(measures) // MOST_VALUES) or 1
    tables = epochs.select("key", "epoch", pl.col(measures).fill_nan(None).round(DIGITS)).partition_by(
        "key", as_dict=True, include_key=False
    )
    runs = [
        {**head, **_columns(_thinned(tables[(key,)], every, head["kept"]))} for key, head in heads.items()
    ]
    return Curves([row.name for row in found], runs, every, len(trained))


def _most_of(rows: Sequence[Row]) -> int:
    """Return how many configurations can be shown with all their runs, at least one."""
    ends = itertools.accumulate(len(row.records) for row in rows)
    return max(1, sum(end <= MOST_RUNS for end in ends))


def _called(row: Row, record: RunRecord) -> str:
    seed = f", seed {record.seed}" if row.num_replicates > 1 else ""
    repeat = f", repeat {_repeat(row, record)}" if row.repeats else ""
    fold = f", fold {record.fold}" if record.fold is not None else ""
    return row.name + seed + repeat + fold


def _numbers(row: Row, record: RunRecord) -> str:
    repeat = [_repeat(row, record)] if row.repeats else []
    fold = [] if record.fold is None else [record.fold]
    return "/".join(map(str, [record.seed, *repeat, *fold]))


def _repeat(row: Row, record: RunRecord) -> int:
    return row.repeats.get(record.key, 0)


def _thinned(table: pl.DataFrame, every: int, kept: int) -> pl.DataFrame:
    if every == 1:
        return table
    epoch = pl.col("epoch")
    return table.filter((epoch % every == 0) | epoch.is_in([1, kept]) | (epoch == epoch.max()))


def _columns(table: pl.DataFrame) -> dict[str, list[Any]]:
    return {
        name: column
        for name, column in table.to_dict(as_series=False).items()
        if any(value is not None for value in column)
    }


@dataclass(frozen=True, slots=True)
class Panels:
    """The content of the small multiples.

    Attributes:
        rows: for ``figures.curve_grid``.
        titles: of the panels.
        runs_each: how many runs a panel has at most.
        every: n: only each n-th epoch is shown.
    """

    rows: pl.DataFrame
    titles: list[str]
    runs_each: int
    every: int


def panels(curves: Curves) -> Panels:
    """Return the panels of the first configurations with all their runs; the rest is left out.

    At most ``MOST_PANELS`` configurations, and of many runs each so few that no more than ``MOST_LINES`` are
    shown; where their points are still too many, only every second epoch, or third.
    """
    titles = curves.configurations[:MOST_PANELS]
    each = max(1, MOST_LINES // max(1, len(titles)))
    shown = [run for i in range(len(titles)) for run in _runs_of(curves, i)[:each]]
    rows = long_rows(shown, titles)
    every = -(-rows.height // MOST_POINTS) or 1
    place = pl.int_range(pl.len()).over("run", "part")
    return Panels(rows.filter(place % every == 0), titles, each, curves.every * every)


def _runs_of(curves: Curves, configuration: int) -> list[dict[str, Any]]:
    return [run for run in curves.runs if run["of"] == configuration]


def long_rows(runs: Iterable[Mapping[str, Any]], titles: Sequence[str]) -> pl.DataFrame:
    """Return a row for each epoch and subset: title, run, part, epoch, loss, the score by its name, kept."""
    tables = [
        pl.DataFrame(
            {"epoch": run["epoch"], "loss": run[f"{part}_loss"], SCORE.short: run[f"{part}_{HEADLINE}"]},
            schema={"epoch": pl.Int64, "loss": pl.Float64, SCORE.short: pl.Float64},
        ).with_columns(
            title=pl.lit(titles[run["of"]]), run=pl.lit(run["name"]), part=pl.lit(part), kept=run["kept"]
        )
        for part in SUBSETS
        for run in runs
        if f"{part}_loss" in run and f"{part}_{HEADLINE}" in run
    ]
    return pl.concat(tables).drop_nulls()


def _picker(curves: Curves) -> dict[str, Any]:
    """Return all curves, and charts for selected ones, for a script."""
    return {
        "charts": {
            "score": specs.curve_chart(SCORE.short),
            "loss": specs.curve_chart("loss"),
            "log": specs.curve_chart("loss", log=True),
        },
        "score": {"column": HEADLINE, "name": SCORE.short},
        "parts": dict(zip(specs.PARTS, specs.COLOURS, strict=True)),
        "palette": specs.PALETTE,
        "configurations": curves.configurations,
        "runs": curves.runs,
    }


def _grids(out: Path, shown: Panels) -> dict[str, Markup]:
    """Return small multiples by measure, as SVG."""
    svgs = {
        measure: specs.save(
            specs.with_rows(specs.curve_grid(measure, shown.titles), shown.rows),
            out / f"learning-curves-{measure.lower()}",
        )
        for measure in (SCORE.short, "loss")
    }
    return {measure: Markup(specs.inline(svg)) for measure, svg in svgs.items()}  # noqa: S704  escaped by Vega
