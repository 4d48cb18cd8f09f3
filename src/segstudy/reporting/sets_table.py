"""Configurations over data sets as text, Markdown, CSV, JSON and LaTeX."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from segstudy.analysis.compare_sets import SetPair, SetRow, SetsComparison
from segstudy.analysis.formatting import DASH, interval, p_value, possible, score, signed
from segstudy.analysis.sets_text import answers, facts, warnings
from segstudy.core.csv_cells import as_cell
from segstudy.core.errors import UserError
from segstudy.reporting.tables import escaped, safe_text
from segstudy.reporting.text_table import TextTable, as_text

HEADINGS = (
    "",
    "configuration",
    "mean IoU",
    "mean rank",
    "minus the highest",
    "95 % over sets",
    "p",
    "sd between sets",
    "first",
    "largest loss",
    "on",
)
LEAVE_OUT = ("sd between sets", "on", "first", "p", "mean rank", "largest loss", "95 % over sets")
CAPTION = (
    "Mean IoU: of test images at native size, each data set with the same weight. Less the highest: a "
    "random-effects estimate over the sets (Paule-Mandel, Hartung-Knapp); interval and p for all pairs at "
    "once (Bonferroni). First: share of resamples of sets, images and runs. Largest loss: against the best "
    "of a set."
)


def render(found: SetsComparison, format: str, width: int | None = None) -> str:  # noqa: A002
    """Return the comparison as ``text``, ``markdown``, ``csv``, ``json`` or ``latex``.

    Args:
        found: what is compared.
        format: one of these.
        width: characters in a line of text; None for as many as it takes.

    Raises:
        UserError: another format.
    """
    match format:
        case "csv":
            return safe_text(frame(found)).rename(as_cell).write_csv()
        case "json":
            return json.dumps(as_dict(found), indent=1, ensure_ascii=False) + "\n"
        case "text":
            return _text(found, width)
        case "markdown":
            return _markdown(found)
        case "latex":
            return _latex(found)
    raise UserError(f"unknown format {format!r}: use one of text, markdown, csv, json, latex")


def frame(found: SetsComparison) -> pl.DataFrame:
    """Return one row per configuration, the highest mean over sets first.

    Returns:
        Columns ``configuration``, ``mean_iou``, ``mean_rank``, ``difference`` from the highest with interval
        (``_low``, ``_high``) and ``p`` for all pairs at once, ``between_sd`` with its interval, the interval
        of a new set (``new_low``, ``new_high``), ``first``, ``rank_low``, ``rank_high``, ``sets_won``,
        ``largest_loss`` and ``largest_loss_on``; and for each set ``SET: test_iou`` with its interval and
        ``SET: loss``.
    """
    return pl.DataFrame([_record(found, row) for row in found.rows], infer_schema_length=None)


def _record(found: SetsComparison, row: SetRow) -> dict[str, Any]:
    pair = found.against_top.get(row.name)
    record: dict[str, Any] = {
        "configuration": row.name,
        "mean_iou": row.mean,
        "mean_rank": row.mean_rank,
        **_of_pair(pair),
        "first": row.stability.best,
        "rank_low": row.stability.low,
        "rank_high": row.stability.high,
        "sets_won": row.sets_won,
        "largest_loss": row.losses.worst,
        "largest_loss_on": found.set_names[row.losses.worst_set] if row.losses.worst else None,
    }
    for name, each, loss in zip(found.set_names, row.per_set, row.losses.per_set, strict=True):
        record |= {
            f"{name}: test_iou": each.mean,
            f"{name}: test_iou_low": each.low,
            f"{name}: test_iou_high": each.high,
            f"{name}: loss": loss,
        }
    return record


def _of_pair(pair: SetPair | None) -> dict[str, float | None]:
    """Return the columns of a configuration minus the highest; null for the highest itself."""
    over = None if pair is None else pair.over
    return {
        "difference": None if over is None else -over.mean,
        "difference_low": None if over is None else possible(-over.high),
        "difference_high": None if over is None else possible(-over.low),
        "p": None if over is None else over.p,
        "between_sd": None if over is None else over.between_sd,
        "between_sd_low": None if over is None else over.between_low,
        "between_sd_high": None if over is None else possible(over.between_high),
        "new_low": None if over is None or over.new_high is None else possible(-over.new_high),
        "new_high": None if over is None or over.new_low is None else possible(-over.new_low),
    }


def as_dict(found: SetsComparison) -> dict[str, Any]:
    """Return everything as JSON takes it."""
    ranks = found.ranks
    return {
        "sets": [
            {"name": each.name, "num_images": each.num_images, "num_units": each.num_units}
            for each in found.matched.sets
        ],
        "margin": found.margin,
        "configurations": frame(found).to_dicts(),
        "pairs": [_pair_as_dict(pair, found.set_names) for pair in found.pairs],
        "friedman": {
            "p": ranks.p,
            "is_exact": ranks.is_exact,
            "f": ranks.f if ranks.f < float("inf") else None,
            "df": ranks.df,
            "df_residual": ranks.df_residual,
            "least_p": ranks.least_p,
            "critical_difference": found.ranking.critical_difference if found.ranking else None,
        },
        "without": dict(zip(found.set_names, found.without, strict=True)),
        "safest": found.safest.name,
        "left_out": list(found.matched.left_out),
        "notes": list(found.matched.notes),
        "warnings": list(warnings(found)),
        "answers": list(answers(found)),
    }


ENDS = ("low", "high", "new_low", "new_high", "between_low", "between_high")  # of intervals of a pair


def _pair_as_dict(pair: SetPair, sets: Sequence[str]) -> dict[str, Any]:
    return {
        "a": pair.a,
        "b": pair.b,
        **{
            name: possible(value) if name in ENDS and value is not None else value
            for name, value in asdict(pair.over).items()
        },
        "alone": {"low": possible(pair.alone.low), "high": possible(pair.alone.high), "p": pair.alone.p},
        "per_set": [
            {
                "set": name,
                "mean": d.mean,
                "low": possible(d.low),
                "high": possible(d.high),
                "standard_error": d.standard_error,
            }
            for name, d in zip(sets, pair.per_set, strict=True)
        ],
    }


def headings(found: SetsComparison) -> list[str]:
    """Return the headings of the table; those of the sets come last."""
    return [*HEADINGS, *found.set_names]


def cells(found: SetsComparison, place: int) -> list[str]:
    """Return the row of a configuration as text."""
    row = found.rows[place]
    pair = found.against_top.get(row.name)
    apart = [DASH] * 4
    if pair is not None:
        apart = [
            signed(-pair.over.mean),
            interval(-pair.over.high, -pair.over.low),
            p_value(pair.over.p).removeprefix("p = ").removeprefix("p "),
            f"{pair.over.between_sd:.3f}",
        ]
    return [
        str(place + 1),
        row.name,
        score(row.mean),
        f"{row.mean_rank:.1f}",
        *apart,
        f"{100 * row.stability.best:.0f} %",
        score(row.losses.worst),
        found.set_names[row.losses.worst_set] if row.losses.worst else DASH,
        *(score(each.mean) for each in row.per_set),
    ]


def _text(found: SetsComparison, width: int | None) -> str:
    names = headings(found)
    of_sets = range(len(HEADINGS), len(names))
    table = TextTable(
        headings=names,
        rows=[cells(found, i) for i in range(len(found.rows))],
        leave_out=[*of_sets, *(HEADINGS.index(name) for name in LEAVE_OUT)],
        name=HEADINGS.index("configuration"),
    )
    text = as_text(table, CAPTION, width, "segstudy compare-sets DIR... --format csv")
    below = (*answers(found), *facts(found))
    said = [line for sentence in below for line in textwrap.wrap(sentence, width or len(sentence))]
    return "\n".join([text, *said, ""])


def _markdown(found: SetsComparison) -> str:
    lines = [headings(found), ["--:", "---", *["--:"] * (len(headings(found)) - 2)]]
    lines += [[cell.replace("|", "\\|") for cell in cells(found, i)] for i in range(len(found.rows))]
    lines[0] = ["#", *lines[0][1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{_below(found)}\n"


def _latex(found: SetsComparison) -> str:
    lines = [" & ".join(map(escaped, cells(found, i))) + r" \\" for i in range(len(found.rows))]
    body = "\n".join(lines)
    return (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{tabular}{rl"
        + "r" * (len(headings(found)) - 2)
        + "}\n\\toprule\n"
        + " & ".join(map(escaped, headings(found)))
        + f" \\\\\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n% {escaped(_below(found))}\n"
    )


def _below(found: SetsComparison) -> str:
    return " ".join([CAPTION, *facts(found)])
