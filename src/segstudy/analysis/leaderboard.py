"""The leaderboard: one row per configuration, from the run folders alone."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from segstudy.analysis.against_winner import against_winner
from segstudy.analysis.confidence_set import confidence_set
from segstudy.analysis.configurations import Row
from segstudy.analysis.empty_masks import penalties
from segstudy.analysis.formatting import possible
from segstudy.analysis.results import Results, gather
from segstudy.analysis.winner import ordered
from segstudy.metrics import HEADLINE, METRICS, column, in_order
from segstudy.stats.intervals import Scores, score_interval
from segstudy.store.folder import StudyFolder

# The headline of both subsets at both sizes, and the other metrics of the test subset at native size.
SCORES = {
    f"validation_{HEADLINE}": ("validation", column(HEADLINE)),
    f"test_{HEADLINE}": ("test", column(HEADLINE)),
    f"validation_{HEADLINE}_network": ("validation", column(HEADLINE, "network")),
    f"test_{HEADLINE}_network": ("test", column(HEADLINE, "network")),
    **{
        f"test_{name}": ("test", column(name))
        for name, metric in in_order().items()
        if name != HEADLINE and "csv" in metric.shown
    },
}

COMPARISONS: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("behind", "behind_low", "behind_high", "p_behind"), pl.Float64),
    **dict.fromkeys(("to_best", "to_best_low", "to_best_high", "p_excluded"), pl.Float64),
    "beaten_by": pl.String,
    "among_best": pl.Boolean,
}


def leaderboard(folder: StudyFolder, show_all: bool = False, results: Results | None = None) -> pl.DataFrame:
    """Return one row per configuration, the highest validation IoU first; those without a finished run last.

    Scores are means over images, then over seeds; the images of all folds of a seed are joined first.

    Args:
        folder: the study's folder.
        show_all: also configurations that ``study.toml`` no longer names.
        results: of the folder, if they were gathered already.

    Returns:
        Columns ``rank``, ``configuration``, ``architecture``, ``loss``, ``batch_size``, ``num_finished`` and
        ``num_planned`` (runs), the scores of ``SCORES``, of both headline IoUs the 95 % interval
        (``_low``, ``_high``; see ``stats.score_interval``) and the seeds' standard deviation (``_seed_sd``),
        the number of penalties in the mean of a distance (``_penalties``: one of two masks is empty),
        ``behind`` the winner on test with its interval and the adjusted p value ``p_behind``,
        ``to_best``: its test mean minus that of the best of the others, with the simultaneous interval
        (``_low``, ``_high``), the p value ``p_excluded`` and, where that interval is below 0, the
        configuration that beats it (``beaten_by``; ends of intervals lie within -1 and 1); ``among_best``
        (it may be the best; null where that cannot be said),
        ``selected_epoch`` (mean), ``epochs``, ``seconds`` (mean per run), ``num_parameters``, ``num_macs``,
        ``inference_ms``, ``peak_memory_bytes`` and ``failures`` (reasons), and of several classes those of
        ``class_columns``. ``rank`` is null where runs are
        missing: such a configuration cannot win. A sequential study has ``stopped_at_look`` too: the look at
        which a configuration was stopped, which has no rank either. Masks of other tools (``masks``) have no
        rank: they are compared with the winner, but there is no model to use.
    """
    results = results or gather(folder, show_all)
    frame = pl.DataFrame([_described(row, results) for row in results.rows], infer_schema_length=None)
    order = pl.Series(map(ordered, frame["validation_iou"]), dtype=pl.Float64)
    frame = frame.sort(order, descending=True, maintain_order=True)
    ranked = [row.name for row in results.trained if row.complete]
    complete = frame["configuration"].is_in(ranked)
    frame = frame.with_columns(rank=pl.when(complete).then(complete.cum_sum()))
    return _compared(frame, results).select("rank", pl.exclude("rank"))


def _compared(frame: pl.DataFrame, results: Results) -> pl.DataFrame:
    """Add the difference of each configuration from the winner, and from the best of the others."""
    first = first_ranked(frame)
    names = frame["configuration"].to_list()
    versus = against_winner(results, first, names) if first else {}
    contenders = confidence_set(results, [first, *names]) if first else {}
    rows: list[dict[str, float | str | bool | None]] = []
    for name in names:
        row: dict[str, float | str | bool | None] = {"among_best": None}
        if each := versus.get(name):
            apart = each.difference
            row |= {"behind": apart.mean, **_ends("behind", apart.low, apart.high)}
            row["p_behind"] = each.p_adjusted
        if contender := contenders.get(name):
            found = contender.against
            row |= {"to_best": found.mean, **_ends("to_best", found.low, found.high)}
            row |= {"p_excluded": found.p, "among_best": not found.excluded}
            row["beaten_by"] = contender.rival if found.excluded else None
        rows.append(row)
    return frame.hstack(pl.DataFrame(rows, schema=COMPARISONS))


def _ends(name: str, low: float, high: float) -> dict[str, float]:
    return {f"{name}_low": possible(low), f"{name}_high": possible(high)}


def first_ranked(frame: pl.DataFrame) -> str | None:
    """Return the complete configuration with the highest validation IoU; None without one."""
    first = frame.filter(pl.col("rank") == 1)
    return str(first["configuration"][0]) if first.height else None


def _described(row: Row, results: Results) -> dict[str, Any]:
    protocol = row.configuration["protocol"]
    first = row.records[0] if row.records else None
    return {
        "configuration": row.name,
        "masks": row.masks is not None,
        "deterministic": row.deterministic,
        "architecture": row.configuration["architecture"] or None,
        "loss": row.configuration["loss"] or None,
        "batch_size": protocol.get("batch_size"),
        "num_finished": _num_whole(row) if row.masks is not None else len(row.records),
        "num_planned": row.num_planned,
        **({"stopped_at_look": row.stopped} if results.seed_plan.is_sequential else {}),
        **_scores(row, results),
        **_intervals(row, results),
        **_penalties(row, results),
        "selected_epoch": _mean(record.summary.selected_epoch for record in row.records),
        "epochs": protocol["epochs"] if protocol.get("budget") == "epochs" else None,
        "seconds": _mean(record.seconds.total for record in row.records),
        "num_parameters": first.num_parameters if first else None,
        "num_macs": first.cost.get("num_macs") if first else None,
        "inference_ms": _cost(row, "inference_ms"),
        "peak_memory_bytes": _cost(row, "peak_memory_bytes"),
        "failures": "scored on other data or with another tolerance, score it again"
        if row.name in results.outdated
        else ", ".join(sorted({failure.reason for failure in row.failures})),
        **class_columns(row.name, results),
    }


def _num_whole(row: Row) -> int:
    """Return the number of sets of masks without a missing test image."""
    assert row.masks is not None
    return row.num_planned - len(row.masks.missing)


def _cost(row: Row, name: str) -> float | None:
    return _mean(cost for record in row.records if (cost := record.cost.get(name)) is not None)


def _found(row: Row, results: Results, column: str) -> Scores | None:
    """Return the scores of a column; none for masks with gaps, whose mean would be over other images."""
    gaps = row.masks is not None and not row.complete
    return None if gaps else results.scores(row.name, *SCORES[column])


def _scores(row: Row, results: Results) -> dict[str, float | None]:
    scores = {column: _found(row, results, column) for column in SCORES}
    return {column: None if found is None else float(found.mean()) for column, found in scores.items()}


def _penalties(row: Row, results: Results) -> dict[str, int | None]:
    """Return the number of penalties in the mean of each metric that has them."""
    shown = [name for name, metric in METRICS.items() if metric.penalty and "csv" in metric.shown]
    found = {name: penalties(results, row.name, name) for name in shown}
    return {f"test_{name}_penalties": None if each is None else each[0] for name, each in found.items()}


def _intervals(row: Row, results: Results) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for name in ("validation_iou", "test_iou"):
        units = results.runs_of_units(row.name, SCORES[name][0])
        known = units is not None and _found(row, results, name) is not None
        interval = score_interval(units) if units is not None and known else None
        columns |= {
            f"{name}_{what}": None if interval is None else getattr(interval, what)
            for what in ("low", "high", "seed_sd")
        }
    return columns


def class_columns(name: str, results: Results) -> dict[str, float | None]:
    """Return the test scores of a configuration by class, at native size; nothing in binary.

    Returns:
        ``test_iou[disc]``, the mean over the images whose mask or prediction has the class ``disc``, with
        the ends of its interval (``_low``, ``_high``), and ``test_missed[disc]`` and ``test_invented[disc]``,
        objects per run. All are null without scores by class.
    """
    if results.classes is None:
        return {}
    columns: dict[str, float | None] = {}
    table = results.classes.get(name)
    for number, each in enumerate(results.outputs.names):
        found = results.class_interval(name, number)
        score = f"test_{HEADLINE}[{each}]"
        columns |= {
            score: found.mean if found else None,
            f"{score}_low": found.low if found else None,
            f"{score}_high": found.high if found else None,
        }
        if number in results.outputs.scored:
            counts = (None, None) if table is None else map(float, table.objects[1:, number])
            columns |= dict(zip((f"test_missed[{each}]", f"test_invented[{each}]"), counts, strict=True))
    return columns


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None
