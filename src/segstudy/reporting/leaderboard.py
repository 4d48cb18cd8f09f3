"""The leaderboard: one row per configuration, from the run folders alone."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from segstudy.cells import as_cell
from segstudy.errors import UserError
from segstudy.reporting.comparisons import against_winner
from segstudy.reporting.evidence import Evidence, gather
from segstudy.reporting.rows import Row, rows_of
from segstudy.reporting.text_table import TextTable, as_text
from segstudy.stats import Scores, score_interval
from segstudy.store import StudyFolder

__all__ = ["SCORES", "Row", "leaderboard", "render", "rows_of", "winner"]

SCORES = {
    "validation_iou": ("validation", "native_iou"),
    "test_iou": ("test", "native_iou"),
    "validation_iou_network": ("validation", "network_iou"),
    "test_iou_network": ("test", "network_iou"),
    "test_dice": ("test", "native_dice"),
    "test_thresholded_jaccard": ("test", "native_thresholded_jaccard"),
    "test_iou_tuned": ("test", "native_iou_tuned"),
    "test_hd95_px": ("test", "native_hd95_px"),
    "test_hd95_frac": ("test", "native_hd95_frac"),
    "test_asd_px": ("test", "native_asd_px"),
    "test_asd_frac": ("test", "native_asd_frac"),
    "test_nsd": ("test", "native_nsd"),
    "test_ece": ("test", "native_ece"),
    "test_brier": ("test", "native_brier"),
}
CAPTION = (
    "Mean per-image IoU and Dice of the foreground and 95th percentile of the Hausdorff distance (HD95), at "
    "native size, threshold 0.5; sorted by validation. Seconds are per run."
)
INTERVALS = "In brackets the 95 % interval over test images and trainings."
IMAGES_ONLY = (
    "In brackets the 95 % interval: images only, training noise not measured, so no winner is claimed."
)
BEST = "May be best: not distinguishable from the winner on test (Games-Howell, 5 %)."


def leaderboard(
    folder: StudyFolder, show_all: bool = False, evidence: Evidence | None = None
) -> pl.DataFrame:
    """One row per configuration, the highest validation IoU first; those without a finished run last.

    Scores are means over images, then over seeds; the images of all folds of a seed are joined first.

    Args:
        folder: the study's folder.
        show_all: also configurations that ``study.toml`` no longer names.
        evidence: of the folder, where it was gathered already.

    Returns:
        Columns ``rank``, ``configuration``, ``architecture``, ``loss``, ``batch_size``, ``num_finished`` and
        ``num_planned`` (runs), the scores of ``SCORES``, of both headline IoUs the 95 % interval
        (``_low``, ``_high``; see ``stats.score_interval``) and the seeds' standard deviation (``_seed_sd``),
        ``behind`` the winner on test with its interval and the adjusted p value ``p_behind``,
        ``among_best`` (not distinguishable from the winner; null where that cannot be said),
        ``selected_epoch`` (mean), ``epochs``, ``seconds`` (mean per run), ``num_parameters``, ``num_macs``,
        ``inference_ms``, ``peak_memory_bytes`` and ``failures`` (reasons). ``rank`` is null where runs are
        missing: such a configuration cannot win. Masks of other tools (``masks``) stand beside, without
        a rank: they are compared with the winner and have no model to hand over.
    """
    evidence = evidence or gather(folder, show_all)
    frame = pl.DataFrame([_described(row, evidence) for row in evidence.rows], infer_schema_length=None)
    frame = frame.sort("validation_iou", descending=True, nulls_last=True, maintain_order=True)
    complete = (frame["num_finished"] == frame["num_planned"]) & ~frame["masks"]
    frame = frame.with_columns(rank=pl.when(complete).then(complete.cum_sum()))
    return _compared(frame, evidence).select("rank", pl.exclude("rank"))


def _compared(frame: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    """With what lies between each configuration and the winner."""
    first = winner(frame)
    versus = against_winner(evidence, first, frame["configuration"].to_list()) if first else {}
    measured = any(each.p_adjusted is not None for each in versus.values())
    rows: list[dict[str, float | bool | None]] = []
    for name in frame["configuration"]:
        among_best = (measured or None) if name == first else None
        row: dict[str, float | bool | None] = {"among_best": among_best}
        if each := versus.get(name):
            apart = each.difference
            row |= {"behind": apart.mean, "behind_low": apart.low, "behind_high": apart.high}
            row["p_behind"] = each.p_adjusted
            row["among_best"] = None if each.p_adjusted is None else not each.excluded
        rows.append(row)
    types = dict.fromkeys(("behind", "behind_low", "behind_high", "p_behind"), pl.Float64)
    return frame.hstack(pl.DataFrame(rows, schema={**types, "among_best": pl.Boolean}))


def winner(frame: pl.DataFrame) -> str | None:
    """The complete configuration with the highest validation IoU, if there is one."""
    first = frame.filter(pl.col("rank") == 1)
    return str(first["configuration"][0]) if first.height else None


def _described(row: Row, evidence: Evidence) -> dict[str, Any]:
    protocol = row.configuration["protocol"]
    first = row.records[0] if row.records else {}
    return {
        "configuration": row.name,
        "masks": row.masks is not None,
        "deterministic": row.deterministic,
        "architecture": row.configuration["architecture"] or None,
        "loss": row.configuration["loss"] or None,
        "batch_size": protocol.get("batch_size"),
        "num_finished": _num_whole(row) if row.masks is not None else len(row.records),
        "num_planned": row.num_planned,
        **_scores(row, evidence),
        **_intervals(row, evidence),
        "selected_epoch": _mean(record["summary"]["selected_epoch"] for record in row.records),
        "epochs": protocol["epochs"] if protocol.get("budget") == "epochs" else None,
        "seconds": _mean(record["seconds"]["total"] for record in row.records),
        "num_parameters": first.get("num_parameters"),
        "num_macs": first.get("cost", {}).get("num_macs"),
        "inference_ms": _cost(row, "inference_ms"),
        "peak_memory_bytes": _cost(row, "peak_memory_bytes"),
        "failures": "scored on other data, score it again"
        if row.name in evidence.outdated
        else ", ".join(sorted({failure["reason"] for failure in row.failures})),
    }


def _num_whole(row: Row) -> int:
    """Sets of masks that lack no test image."""
    assert row.masks is not None
    return row.num_planned - len(row.masks["parts"]["test"]["missing"])


def _cost(row: Row, name: str) -> float | None:
    return _mean(cost for record in row.records if (cost := record.get("cost", {}).get(name)) is not None)


def _found(row: Row, evidence: Evidence, column: str) -> Scores | None:
    """Scores of a leaderboard's column; none for masks with gaps, whose mean would be over other images."""
    gaps = row.masks is not None and not row.complete
    return None if gaps else evidence.scores(row.name, *SCORES[column])


def _scores(row: Row, evidence: Evidence) -> dict[str, float | None]:
    scores = {column: _found(row, evidence, column) for column in SCORES}
    return {column: None if found is None else float(found.mean()) for column, found in scores.items()}


def _intervals(row: Row, evidence: Evidence) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for column in ("validation_iou", "test_iou"):
        units = evidence.units(row.name, *SCORES[column])
        known = units is not None and _found(row, evidence, column) is not None
        interval = score_interval(units) if units is not None and known else None
        columns |= {
            f"{column}_{what}": None if interval is None else getattr(interval, what)
            for what in ("low", "high", "seed_sd")
        }
    return columns


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def render(
    frame: pl.DataFrame,
    format: str,  # noqa: A002
    width: int | None = None,
    folder: Path | None = None,
) -> str:
    """The leaderboard as ``text``, ``markdown``, ``csv``, ``json`` or ``latex``.

    Args:
        frame: of ``leaderboard``.
        format: one of these.
        width: characters in a line of text; None for as many as it takes.
        folder: of the study, named where columns are left out.

    Raises:
        UserError: another format.
    """
    match format:
        case "csv":
            return frame.with_columns(
                _as_cells(column) for column in frame.select(pl.col(pl.String))
            ).write_csv()
        case "json":
            return frame.write_json()
        case "text":
            return _text(frame, width, folder)
        case "markdown":
            return _markdown(frame)
        case "latex":
            return _latex(frame)
    raise UserError(f"unknown format {format!r}: choose one of text, markdown, csv, json, latex")


def _as_cells(text: pl.Series) -> pl.Series:
    cells = [None if each is None else as_cell(each) for each in text]
    return pl.Series(text.name, cells, pl.String)


HEADINGS = (
    "",
    "configuration",
    "IoU validation",
    "IoU test",
    "95 % interval",
    "may be best",
    "Dice test",
    "HD95 test",
    "epoch",
    "seconds",
    "parameters",
    "runs",
)
DASH = "–"


def caption(frame: pl.DataFrame) -> str:
    """What the numbers of this leaderboard are."""
    if frame["among_best"].any():
        return f"{CAPTION} {INTERVALS} {BEST}"
    repeated = frame["test_iou_seed_sd"].is_not_null().any()
    return f"{CAPTION} {INTERVALS if repeated else IMAGES_ONLY}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    """One row as a person reads it; a dash for what is not there."""

    def number(name: str, form: str) -> str:
        return DASH if row[name] is None else format(row[name], form)

    of = f"/{row['epochs']}" if row["epochs"] is not None else ""
    planned = f" of {row['num_planned']}" if row["num_planned"] else ", not in study.toml"
    planned += (", deterministic masks" if row["deterministic"] else " masks") if row["masks"] else ""
    return [
        number("rank", "d"),
        str(row["configuration"]),
        number("validation_iou", ".3f"),
        number("test_iou", ".3f"),
        f"[{row['test_iou_low']:.3f}, {row['test_iou_high']:.3f}]"
        if row["test_iou_low"] is not None
        else DASH,
        {True: "yes", False: "no", None: DASH}[row["among_best"]],
        number("test_dice", ".3f"),
        DASH if row["test_hd95_px"] is None else f"{row['test_hd95_px']:.1f} px",
        number("selected_epoch", ".0f") + of,
        number("seconds", ".0f"),
        DASH if row["num_parameters"] is None else f"{row['num_parameters'] / 1e6:.2f} M",
        f"{row['num_finished']}{planned}" + (f" ({row['failures']})" if row["failures"] else ""),
    ]


# What a narrow terminal shows without, the least important first; ``runs`` only where all are finished.
LEAVE_OUT = (
    "parameters",
    "seconds",
    "epoch",
    "HD95 test",
    "Dice test",
    "runs",
    "may be best",
    "95 % interval",
)


def _text(frame: pl.DataFrame, width: int | None, folder: Path | None) -> str:
    whole = (frame["num_finished"] == frame["num_planned"]) & (frame["failures"] == "")
    leave_out = [name for name in LEAVE_OUT if name != "runs" or whole.all()]
    if not frame["among_best"].is_not_null().any():  # a column of dashes goes first
        leave_out.sort(key=lambda name: name != "may be best")
    table = TextTable(
        headings=HEADINGS,
        rows=[_cells(row) for row in frame.iter_rows(named=True)],
        leave_out=[HEADINGS.index(name) for name in leave_out],
        name=HEADINGS.index("configuration"),
    )
    where = "DIR" if folder is None else shlex.quote(str(folder))
    see_all = f"segstudy table {where} --format csv"
    if width is not None and len(see_all) + 4 > width:
        see_all = "segstudy table DIR --format csv"
    return as_text(table, caption(frame), width, see_all)


def _warranted(frame: pl.DataFrame) -> list[bool]:
    """Which rows are set in bold: those that may be best, where others are shown not to be."""
    may_be = frame["among_best"].fill_null(False).to_list()
    return may_be if (frame["among_best"] == False).any() else [False] * len(may_be)  # noqa: E712  (a column)


def _markdown(frame: pl.DataFrame) -> str:
    headings = ["#", *HEADINGS[1:]]
    lines = [headings, ["--:", "---", *["--:"] * (len(headings) - 2)]]
    for row, bold in zip(frame.iter_rows(named=True), _warranted(frame), strict=True):
        cells = [cell.replace("|", "\\|") for cell in _cells(row)]
        lines.append([f"**{cell}**" if bold and i == TEST_IOU else cell for i, cell in enumerate(cells)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{caption(frame)}\n"


TEST_IOU = HEADINGS.index("IoU test")
# A backslash first: the others bring their own.
LATEX = {"\\": r"\textbackslash{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", DASH: "--"}


def _escaped(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


def _latex(frame: pl.DataFrame) -> str:
    lines = []
    for row, bold in zip(frame.iter_rows(named=True), _warranted(frame), strict=True):
        cells = [_escaped(cell) for cell in _cells(row)]
        cells[TEST_IOU] = rf"\textbf{{{cells[TEST_IOU]}}}" if bold else cells[TEST_IOU]
        lines.append(" & ".join(cells) + r" \\")
    heading = " & ".join(map(_escaped, HEADINGS)) + r" \\"
    body = "\n".join(lines)
    return (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{tabular}{rl" + "r" * (len(HEADINGS) - 2) + "}\n\\toprule\n"
        f"{heading}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n% {_escaped(caption(frame))}\n"
    )
