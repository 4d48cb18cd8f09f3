"""report.html: one file that opens offline, with everything a study says."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import tomlkit
from markupsafe import Markup

from segstudy import __version__
from segstudy.config import Study, is_synthetic
from segstudy.reporting import figures, gallery
from segstudy.reporting.leaderboard import Row, leaderboard, render, rows_of, winner
from segstudy.store import StudyFolder, replace_text

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_report(folder: StudyFolder, images: bool = True) -> Path:
    """Write ``report.html``, ``leaderboard.csv`` and ``figures/``; what they said before is replaced.

    Args:
        folder: the study.
        images: False leaves every picture of the data out, for data that may not be republished.

    Returns:
        The page.
    """
    frame = leaderboard(folder)
    rows = rows_of(folder)
    replace_text(folder.path / "leaderboard.csv", render(frame, "csv"))
    leader = winner(frame) or (frame["configuration"][0] if frame["validation_iou"][0] is not None else None)
    charts = _charts(folder, rows, frame["configuration"].to_list())
    context = {
        "version": __version__,
        "study": folder.study(),
        "verdict": verdict(frame.row(0, named=True) if leader else None, folder.study()),
        "synthetic": is_synthetic(folder.study().data),
        "data": _data(folder),
        "leaderboard": frame.to_dicts(),
        "tables": score_tables(frame.to_dicts()),
        "charts": charts,
        "scripts": figures.scripts() if charts else "",
        "leader": leader,
        "galleries": _galleries(folder, rows, leader) if images and leader else [],
        "images": images,
        "failures": [failure for row in rows for failure in row.failures],
        "environments": _environments(rows),
        "study_file": _publishable(folder),
        "curves_note": _curves_note(folder.study()),
    }
    page = folder.path / "report.html"
    replace_text(page, ENVIRONMENT.get_template("report.html.j2").render(context))
    return page


def verdict(first: Mapping[str, Any] | None, study: Study) -> tuple[str, str]:
    """What the study says in one sentence, and what limits it in another."""
    if first is None:
        return "No run has finished yet.", "The tables fill as runs end."
    sentence = (
        f"{first['configuration']} has the highest validation IoU of {len(study.configurations())} "
        f"configurations, {first['validation_iou']:.3f}; on the test part it scores {first['test_iou']:.3f}."
    )
    if first["rank"] is None:
        return sentence, "Runs are missing, so this is how things stand and not a result."
    if study.seeds == 1:
        limits = (
            "One seed: images only; training noise is not measured, so no winner is claimed. "
            "More seeds (--seeds 5) measure it."
        )
    else:
        limits = (
            f"Means over {study.seeds} seeds; differences as small as those between seeds decide nothing."
        )
    return sentence, limits


def score_tables(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The original's main table: architecture x loss, one for each part and batch size.

    Where other factors vary too, the best on validation stands for its architecture and loss.
    """
    best: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for row in rows:  # sorted by validation already
        if row["validation_iou"] is not None:
            best.setdefault((row["batch_size"], row["architecture"], row["loss"]), row)
    tables = []
    for batch_size in sorted({size for size, _, _ in best}):
        mine = {(a, loss): row for (size, a, loss), row in best.items() if size == batch_size}
        architectures, losses = (_in_order(key[i] for key in mine) for i in range(2))
        for part in ("validation", "test"):
            values = {key: row[f"{part}_iou"] for key, row in mine.items()}
            tables.append(
                {
                    "batch_size": batch_size,
                    "part": part,
                    "architectures": architectures,
                    "losses": losses,
                    "values": values,
                    "low": min(values.values()),
                    "high": max(values.values()),
                }
            )
    return tables


FACTORS = ("architecture", "loss")
KNOWN = ("segnet", "unet", "unet2", "dilated_unet", "bce", "focal", "dice", "tversky", "combo")


def _in_order(names: Iterable[str]) -> list[str]:
    """Names in the original's order, others after them by alphabet."""
    return sorted(set(names), key=lambda name: (KNOWN.index(name) if name in KNOWN else len(KNOWN), name))


def _charts(folder: StudyFolder, rows: Sequence[Row], ranked: Sequence[str]) -> dict[str, Any]:
    """Charts for the page, and the same as files in ``figures/``."""
    by_rank = sorted(rows, key=lambda row: ranked.index(row.name))
    records = [(row, record) for row in by_rank for record in row.records]
    if not records:
        return {}
    titles = {record["key"]: _title(row, record) for row, record in records}
    selected = {titles[record["key"]]: record["summary"]["selected_epoch"] for _, record in records}
    curves = figures.curve_rows(folder.epochs(list(titles)), titles)
    names = list(titles.values())
    grids = {measure: figures.curve_grid(curves, measure) for measure in ("IoU", "loss")}
    tables = [
        {
            "architecture": architecture,
            "loss": loss,
            "IoU": value,
            "panel": f"{table['part']}, batch {table['batch_size']}",
        }
        for table in score_tables(leaderboard(folder).to_dicts())
        for (architecture, loss), value in table["values"].items()
    ]
    out = folder.path / "figures"
    out.mkdir(exist_ok=True)
    for measure, spec in grids.items():
        figures.save(spec, out / f"learning-curves-{measure.lower()}")
    figures.save(figures.score_table(tables), out / "architecture-by-loss")
    picker = figures.curve_picker(curves, names[0], names[min(1, len(names) - 1)], selected)
    return {
        "picker": json.dumps(picker, separators=(",", ":")).replace("<", "\\u003c"),
        # Vega escapes the names it draws; nothing else in an SVG comes from the data.
        "grids": {measure: Markup(_inline(figures.svg(spec))) for measure, spec in grids.items()},  # noqa: S704
    }


def _inline(svg: str) -> str:
    """An SVG that scales with the page."""
    return re.sub(
        r'<svg ([^>]*?)width="([\d.]+)" height="([\d.]+)"',
        r'<svg \1style="max-width:\2px;width:100%"',
        svg,
        count=1,
    )


def _title(row: Row, record: Mapping[str, Any]) -> str:
    seed = f", seed {record['seed']}" if row.num_replicates > 1 else ""
    fold = f", fold {record['fold']}" if record["fold"] is not None else ""
    return row.name + seed + fold


def _galleries(
    folder: StudyFolder, rows: Sequence[Row], leader: str
) -> list[tuple[str, list[gallery.Picture]]]:
    record = next(row for row in rows if row.name == leader).records[0]
    return gallery.galleries(folder, record["key"], record["protocol"]["resize"])


def _data(folder: StudyFolder) -> dict[str, Any]:
    data = folder.read_json("data.json") or {"samples": [], "findings": []}
    splits = (folder.read_json("split.json") or {"splits": []})["splits"]
    return {
        **data,
        "num_groups": len({sample["group"] for sample in data["samples"]}),
        "categories": Counter(sample["category"] for sample in data["samples"] if sample["category"]),
        "findings": Counter((f["severity"], f["kind"]) for f in data["findings"]),
        "splits": [[len(split[part]) for part in figures.PARTS] for split in splits],
    }


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
            grid[factor] = [re.sub(r"^.*/(?=[^/]*\.py:)", "", level) for level in grid[factor]]
    return tomlkit.dumps(raw)


def _curves_note(study: Study) -> str:
    if study.protocol.record_test:
        return "The test curve was recorded for diagnosis; nothing was chosen by it."
    return "The test part was not looked at during training."
