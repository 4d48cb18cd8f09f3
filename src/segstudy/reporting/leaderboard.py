"""The leaderboard: one row per configuration, from the run folders alone."""

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from segstudy.components import title
from segstudy.config import Configuration, Study, configuration_names
from segstudy.data.samples import PARTS
from segstudy.data.split import Split
from segstudy.errors import UserError
from segstudy.store import StudyFolder

Identity = tuple[str, str, str]
Replicate = tuple[int, int | None]

SCORES = {
    "validation_iou": ("validation", "native_iou"),
    "test_iou": ("test", "native_iou"),
    "validation_iou_network": ("validation", "network_iou"),
    "test_iou_network": ("test", "network_iou"),
    "test_dice": ("test", "native_dice"),
    "test_thresholded_jaccard": ("test", "native_thresholded_jaccard"),
    "test_iou_tuned": ("test", "native_iou_tuned"),
}
CAPTION = (
    "Mean per-image IoU and Dice of the foreground at native size, beside it test IoU at network size; "
    "threshold 0.5; sorted by validation. Seconds are per run."
)


@dataclass(frozen=True)
class Row:
    """A configuration with what is stored of it."""

    name: str
    configuration: Mapping[str, Any]
    records: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]
    num_planned: int
    num_replicates: int


def leaderboard(folder: StudyFolder, show_all: bool = False) -> pl.DataFrame:
    """One row per configuration, the highest validation IoU first; those without a finished run last.

    Scores are means over images, then over seeds; the images of all folds of a seed are joined first.

    Args:
        folder: the study's folder.
        show_all: also configurations that ``study.toml`` no longer names.

    Returns:
        Columns ``rank``, ``configuration``, ``architecture``, ``loss``, ``batch_size``, ``num_finished`` and
        ``num_planned`` (runs), the scores of ``SCORES``, ``selected_epoch`` (mean), ``epochs``,
        ``seconds`` (mean per run), ``num_parameters`` and ``failures`` (reasons). ``rank`` is null where
        runs are missing: such a configuration cannot win.
    """
    rows = rows_of(folder, show_all)
    images = folder.images([record["key"] for row in rows for record in row.records])
    frame = pl.DataFrame([_described(row, images) for row in rows], infer_schema_length=None)
    frame = frame.sort("validation_iou", descending=True, nulls_last=True, maintain_order=True)
    complete = frame["num_finished"] == frame["num_planned"]
    return frame.with_columns(rank=pl.when(complete).then(complete.cum_sum())).select(
        "rank", pl.exclude("rank")
    )


def winner(frame: pl.DataFrame) -> str | None:
    """The complete configuration with the highest validation IoU, if there is one."""
    first = frame.filter(pl.col("rank") == 1)
    return str(first["configuration"][0]) if first.height else None


def rows_of(folder: StudyFolder, show_all: bool = False) -> list[Row]:
    """The study's configurations, in its order, with their finished and failed runs.

    A run on other data or another split than the study's, or one that was repeated since with newer code, is
    as unnamed as one of another configuration: with ``show_all`` its row follows, with nothing planned.
    """
    study = folder.study()
    described = [_description(configuration) for configuration in study.configurations()]
    known, inputs = {_identity(each) for each in described}, _inputs(folder)
    named: dict[Identity, dict[Replicate, dict[str, Any]]] = defaultdict(dict)
    unnamed: dict[Identity, list[dict[str, Any]]] = defaultdict(list)
    records = folder.run_records(sorted(folder.finished()))
    for record in sorted(records, key=lambda record: record["started"], reverse=True):
        identity, replicate = _identity(record), (record["seed"], record["fold"])
        current = (record["description"]["data"], record["description"]["split"]) in inputs
        if current and identity in known and _planned(study, record) and replicate not in named[identity]:
            named[identity][replicate] = record
        else:
            unnamed[identity].append(record)
    failures: dict[Identity, list[dict[str, Any]]] = defaultdict(list)
    for failure in folder.failed().values():
        identity = _identity(failure)
        if _planned(study, failure) and (failure["seed"], failure["fold"]) not in named[identity]:
            failures[identity].append(failure)
    num_planned = study.seeds * max(1, study.folds)
    rows = [
        Row(name, each, _in_order(named[key].values()), tuple(failures[key]), num_planned, study.seeds)
        for name, each in zip(configuration_names(study.configurations()), described, strict=True)
        for key in [_identity(each)]
    ]
    if show_all:
        rows += [
            Row(found[0]["name"], found[0], _in_order(found), (), 0, len({run["seed"] for run in found}))
            for found in unnamed.values()
        ]
    return rows


def _inputs(folder: StudyFolder) -> set[tuple[str, str]]:
    """Fingerprints of the study's data with each of its splits."""
    data = folder.read_json("data.json") or {"fingerprint": ""}
    splits = (folder.read_json("split.json") or {"splits": []})["splits"]
    return {
        (data["fingerprint"], Split(*(tuple(split[part]) for part in PARTS)).fingerprint) for split in splits
    }


def _in_order(records: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(sorted(records, key=lambda record: record["key"]))


def _description(configuration: Configuration) -> dict[str, Any]:
    return {
        "architecture": title(configuration.architecture),
        "loss": title(configuration.loss),
        "protocol": configuration.protocol.model_dump(mode="json"),
    }


def _identity(described: Mapping[str, Any]) -> Identity:
    return described["architecture"], described["loss"], json.dumps(described["protocol"], sort_keys=True)


def _planned(study: Study, record: Mapping[str, Any]) -> bool:
    return record["seed"] < study.seeds and record["fold"] in study.fold_numbers()


def _described(row: Row, images: pl.DataFrame) -> dict[str, Any]:
    protocol = row.configuration["protocol"]
    return {
        "configuration": row.name,
        "architecture": row.configuration["architecture"],
        "loss": row.configuration["loss"],
        "batch_size": protocol["batch_size"],
        "num_finished": len(row.records),
        "num_planned": row.num_planned,
        **_scores(row.records, images),
        "selected_epoch": _mean(record["summary"]["selected_epoch"] for record in row.records),
        "epochs": protocol["epochs"] if protocol["budget"] == "epochs" else None,
        "seconds": _mean(record["seconds"]["total"] for record in row.records),
        "num_parameters": row.records[0]["num_parameters"] if row.records else None,
        "failures": ", ".join(sorted({failure["reason"] for failure in row.failures})),
    }


def _scores(records: Sequence[Mapping[str, Any]], images: pl.DataFrame) -> dict[str, float | None]:
    if not records:
        return dict.fromkeys(SCORES)
    seeds = pl.DataFrame({"key": [r["key"] for r in records], "seed": [r["seed"] for r in records]})
    mine = images.join(seeds, on="key")
    scores: dict[str, float | None] = {}
    for name, (part, column) in SCORES.items():
        by_seed = mine.filter(pl.col("part") == part).group_by("seed").agg(pl.col(column).mean()).sort("seed")
        scores[name] = _mean(by_seed[column])
    return scores


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def render(frame: pl.DataFrame, format: str) -> str:  # noqa: A002
    """The leaderboard as ``text``, ``markdown``, ``csv``, ``json`` or ``latex``.

    Raises:
        UserError: another format.
    """
    match format:
        case "csv":
            return frame.write_csv()
        case "json":
            return frame.write_json()
        case "text":
            return _text(frame)
        case "markdown":
            return _markdown(frame)
        case "latex":
            return _latex(frame)
    raise UserError(f"unknown format {format!r}: choose one of text, markdown, csv, json, latex")


HEADINGS = {
    "rank": "",
    "configuration": "configuration",
    "validation_iou": "IoU validation",
    "test_iou": "IoU test",
    "test_iou_network": "at network size",
    "test_dice": "Dice test",
    "epoch": "epoch",
    "seconds": "seconds",
    "parameters": "parameters",
    "runs": "runs",
}


def _cells(row: Mapping[str, Any]) -> list[str]:
    """One row as a person reads it; a dash for what is not there."""

    def number(name: str, form: str) -> str:
        return "–" if row[name] is None else format(row[name], form)

    epoch = "–" if row["selected_epoch"] is None else f"{row['selected_epoch']:.0f}"
    of = f"/{row['epochs']}" if row["epochs"] is not None else ""
    parameters = "–" if row["num_parameters"] is None else f"{row['num_parameters'] / 1e6:.2f} M"
    planned = f" of {row['num_planned']}" if row["num_planned"] else ", not in study.toml"
    runs = f"{row['num_finished']}{planned}" + (f" ({row['failures']})" if row["failures"] else "")
    return [
        number("rank", "d"),
        str(row["configuration"]),
        number("validation_iou", ".3f"),
        number("test_iou", ".3f"),
        number("test_iou_network", ".3f"),
        number("test_dice", ".3f"),
        epoch + of,
        number("seconds", ".0f"),
        parameters,
        runs,
    ]


def _text(frame: pl.DataFrame) -> str:
    table = Table(box=None, pad_edge=False, caption=CAPTION, caption_justify="left")
    for name, heading in HEADINGS.items():
        table.add_column(heading, justify="left" if name == "configuration" else "right", no_wrap=True)
    for row in frame.iter_rows(named=True):
        table.add_row(*_cells(row))
    console = Console(
        file=io.StringIO(),
        width=max(100, table.__rich_measure__(Console(width=400), Console(width=400).options).maximum),
    )
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _markdown(frame: pl.DataFrame) -> str:
    headings = ["#", *list(HEADINGS.values())[1:]]
    lines = [headings, ["--:", "---", *["--:"] * (len(headings) - 2)]]
    lines += [[cell.replace("|", "\\|") for cell in _cells(row)] for row in frame.iter_rows(named=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{CAPTION}\n"


def _latex(frame: pl.DataFrame) -> str:
    def escaped(text: str) -> str:
        for character in "&%$#_{}":
            text = text.replace(character, f"\\{character}")
        return text.replace("–", "--")

    rows = [_cells(row) for row in frame.iter_rows(named=True)]
    body = "\n".join(" & ".join(map(escaped, row)) + r" \\" for row in rows)
    heading = " & ".join(map(escaped, HEADINGS.values())) + r" \\"
    return (
        "\\begin{tabular}{rl" + "r" * (len(HEADINGS) - 2) + "}\n\\toprule\n"
        f"{heading}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n% {CAPTION}\n"
    )
