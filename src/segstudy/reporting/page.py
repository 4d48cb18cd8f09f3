"""report.html: one file that opens offline, with everything a study says."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
import tomlkit
from markupsafe import Markup

from segstudy import __version__
from segstudy.components import title
from segstudy.config import Study, is_synthetic
from segstudy.reporting import figures, gallery
from segstudy.reporting.leaderboard import Row, leaderboard, render, rows_of
from segstudy.store import StudyFolder, replace_text

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
FINDINGS_SHOWN = 20
FACTORS = ("architecture", "loss")
KNOWN = ("segnet", "unet", "unet2", "dilated_unet", "bce", "focal", "dice", "tversky", "combo")


def write_report(folder: StudyFolder, images: bool = True) -> Path:
    """Write ``report.html``, ``leaderboard.csv`` and ``figures/``; what they said before is replaced.

    Args:
        folder: the study.
        images: False leaves every picture of the data out, for data that may not be republished.

    Returns:
        The page.

    Raises:
        UserError: when there is no study in the folder.
    """
    study, frame, rows = folder.study(), leaderboard(folder), rows_of(folder)
    replace_text(folder.path / "leaderboard.csv", render(frame, "csv"))
    first = leading(frame)
    tables = score_tables(frame.to_dicts())
    charts = _charts(folder, _named_records(rows, frame["configuration"].to_list()), tables)
    context = {
        "version": __version__,
        "study": study,
        "verdict": verdict(frame, study),
        "synthetic": is_synthetic(study.data),
        "data": _data(folder),
        "leaderboard": frame.to_dicts(),
        "tables": tables,
        "charts": charts,
        "scripts": figures.scripts() if charts else "",
        "leader": first,
        "gallery": _gallery(folder, rows, first["configuration"]) if images and first else None,
        "images": images,
        "failures": [_shown(failure) for row in rows for failure in row.failures],
        "protocol": _protocol(study),
        "environments": _environments(rows),
        "study_file": _publishable(folder),
    }
    page = folder.path / "report.html"
    replace_text(page, ENVIRONMENT.get_template("report.html.j2").render(context))
    return page


def leading(frame: pl.DataFrame) -> dict[str, Any] | None:
    """The leaderboard's first complete row; while there is none, the first with a finished run."""
    rows = frame.filter(pl.col("validation_iou").is_not_null()).sort(
        "rank", nulls_last=True, maintain_order=True
    )
    return rows.row(0, named=True) if rows.height else None


def verdict(frame: pl.DataFrame, study: Study) -> tuple[str, str]:
    """What the study says in one sentence, and what limits it in others."""
    first = leading(frame)
    if first is None:
        return "No run has finished yet.", "Run the study again to go on; the tables fill as runs end."
    complete = frame.filter(pl.col("rank").is_not_null())
    scores = f"IoU {first['validation_iou']:.3f} on validation and {first['test_iou']:.3f} on test"
    if first["rank"] is None:
        sentence = f"{first['configuration']} stands highest so far: {scores}."
    elif complete.height == 1:
        sentence = f"{first['configuration']} is the only configuration with all its runs: {scores}."
    else:
        behind = first["validation_iou"] - complete["validation_iou"][1]
        sentence = (
            f"{first['configuration']} is highest on validation among {complete.height} configurations: "
            f"{scores}. Next is {complete['configuration'][1]}, {behind:.3f} behind."
        )
    return sentence, " ".join(_limits(first, frame.height - complete.height, study))


def _limits(first: Mapping[str, Any], incomplete: int, study: Study) -> Iterable[str]:
    if first["rank"] is None:
        yield "No configuration has all its runs, so this is how things stand and not a result."
    elif incomplete:
        yield (
            f"{incomplete} more configuration{' has' if incomplete == 1 else 's have'} not finished all "
            f"runs and cannot lead."
        )
    if study.seeds == 1:
        yield (
            "One seed: images only; training noise is not measured, so no winner is claimed. "
            "More seeds (--seeds 5) measure it."
        )
    else:
        yield f"Means over {study.seeds} seeds: a lead no larger than seeds differ among themselves is none."


def score_tables(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The original's main table: architecture x loss, one for each part and batch size.

    Where other factors vary too, the best on validation stands for its architecture and loss.

    Args:
        rows: of the leaderboard, the best first.

    Returns:
        Tables with ``batch_size``, ``part``, ``architectures``, ``losses``, ``high``, and ``squares``: for
        each pair that has one its ``value``, its ``heat`` (0 lowest, 1 highest of the table) and whether it
        is ``complete``.
    """
    best: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for row in rows:
        if row["validation_iou"] is not None:
            best.setdefault((row["batch_size"], row["architecture"], row["loss"]), row)
    tables = []
    for batch_size in sorted({size for size, _, _ in best}):
        mine = {(a, loss): row for (size, a, loss), row in best.items() if size == batch_size}
        tables += [_score_table(mine, batch_size, part) for part in ("validation", "test")]
    return tables


def _score_table(
    rows: Mapping[tuple[str, str], Mapping[str, Any]], batch_size: int, part: str
) -> dict[str, Any]:
    values = {pair: row[f"{part}_iou"] for pair, row in rows.items()}
    low, high = min(values.values()), max(values.values())
    return {
        "batch_size": batch_size,
        "part": part,
        "architectures": _in_order(architecture for architecture, _ in rows),
        "losses": _in_order(loss for _, loss in rows),
        "high": high,
        "squares": {
            pair: {
                "value": value,
                "heat": (value - low) / (high - low) if high > low else 1.0,
                "complete": rows[pair]["rank"] is not None,
            }
            for pair, value in values.items()
        },
    }


def _in_order(names: Iterable[str]) -> list[str]:
    """Names in the original's order, others after them by alphabet."""
    return sorted(set(names), key=lambda name: (KNOWN.index(name) if name in KNOWN else len(KNOWN), name))


def _named_records(rows: Sequence[Row], ranked: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The finished runs by what they are called on the page, the leaderboard's first configuration first."""
    return {
        _called(row, record): record
        for row in sorted(rows, key=lambda row: ranked.index(row.name))
        for record in sorted(row.records, key=lambda record: (record["seed"], record["fold"] or 0))
    }


def _called(row: Row, record: Mapping[str, Any]) -> str:
    seed = f", seed {record['seed']}" if row.num_replicates > 1 else ""
    fold = f", fold {record['fold']}" if record["fold"] is not None else ""
    return row.name + seed + fold


def _charts(
    folder: StudyFolder, records: Mapping[str, dict[str, Any]], tables: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Charts for the page, and the same as files in ``figures/``."""
    if not records:
        return {}
    titles = {record["key"]: called for called, record in records.items()}
    kept = {record["key"]: record["summary"]["selected_epoch"] for record in records.values()}
    curves = figures.curve_rows(folder.epochs(list(titles)), titles, kept)
    out = folder.path / "figures"
    out.mkdir(exist_ok=True)
    grids = {
        measure: figures.save(figures.curve_grid(curves, measure), out / f"learning-curves-{measure.lower()}")
        for measure in ("IoU", "loss")
    }
    squares = [
        {"architecture": a, "loss": loss, "panel": f"{table['part']}, batch size {table['batch_size']}"}
        | {"IoU": square["value"], "heat": square["heat"]}
        for table in tables
        for a in table["architectures"]
        for loss in table["losses"]
        if (square := table["squares"].get((a, loss)))
    ]
    figures.save(figures.score_table(squares), out / "architecture-by-loss")
    picker = json.dumps(figures.curve_picker(curves), separators=(",", ":"))
    return {
        "picker": Markup(picker.replace("<", "\\u003c")),  # noqa: S704  no `<` is left to end the script
        "grids": {measure: Markup(_inline(svg)) for measure, svg in grids.items()},  # noqa: S704  escaped by Vega
    }


def _inline(svg: str) -> str:
    """An SVG that scales with the page."""
    return re.sub(r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"', r"<svg \1", svg, count=1)


def _gallery(folder: StudyFolder, rows: Sequence[Row], name: str) -> dict[str, Any]:
    """Pictures of a configuration's first replicate."""
    records = next(row for row in rows if row.name == name).records
    seed = min(record["seed"] for record in records)
    shown = sorted(
        (record for record in records if record["seed"] == seed), key=lambda record: record["fold"] or 0
    )
    keys = [record["key"] for record in shown]
    groups = gallery.galleries(folder, keys, shown[0]["protocol"]["resize"])
    return {"seed": seed, "num_runs": len(keys), "groups": groups}


def _data(folder: StudyFolder) -> dict[str, Any]:
    data: dict[str, Any] = {"name": "", "terms": "", "citation": "", "samples": [], "findings": []}
    data |= folder.read_json("data.json") or {}
    splits = (folder.read_json("split.json") or {"splits": []})["splits"]
    return {
        **data,
        "num_groups": len({sample["group"] for sample in data["samples"]}),
        "categories": Counter(sample["category"] for sample in data["samples"] if sample["category"]),
        "counts": Counter((finding["severity"], finding["kind"]) for finding in data["findings"]),
        "findings": [_shown(finding) for finding in data["findings"][:FINDINGS_SHOWN]],
        "num_findings": len(data["findings"]),
        "splits": [(split, [len(split[part]) for part in figures.PARTS]) for split in splits],
    }


def _shown(texts: Mapping[str, Any]) -> dict[str, Any]:
    """A finding or a failure with paths cut to their last name: a shared page says nothing of its machine."""
    folders = r"(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\"<>|]+[/\\])+"
    return {
        name: re.sub(folders, "", value) if isinstance(value, str) else value for name, value in texts.items()
    }


def _protocol(study: Study) -> dict[str, str]:
    """The settings that all configurations share, as a person reads them."""
    protocols = [
        protocol.numbers() | protocol.model_dump(include={"split", "split_seed"})
        for protocol in (configuration.protocol for configuration in study.configurations())
    ]
    shared = {
        name: value
        for name, value in protocols[0].items()
        if value is not None and all(name in other and other[name] == value for other in protocols)
    }
    if study.folds or study.split_file:
        shared["split"] = f"{study.folds} folds" if study.folds else "from a file"
    return {name.replace("_", " "): _spelled(value) for name, value in shared.items()}


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _environments(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Where the runs were trained: one entry for all that agree."""
    found = {json.dumps(record["environment"], sort_keys=True) for row in rows for record in row.records}
    return [json.loads(text) for text in sorted(found)]


def _publishable(folder: StudyFolder) -> str:
    """study.toml without the paths to data, split and users' own files."""
    raw = tomllib.loads((folder.path / "study.toml").read_text(encoding="utf-8"))
    if not is_synthetic(raw["data"]):
        raw["data"] = Path(raw["data"]).name
    if "split_file" in raw:
        raw["split_file"] = Path(raw["split_file"]).name
    for grid in raw["grid"]:
        for factor in FACTORS:
            grid[factor] = [title(level) for level in grid[factor]]
    return tomlkit.dumps(raw)
