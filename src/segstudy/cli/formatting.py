"""The results of commands as text."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from segstudy.analysis.across_training_sets import across_text
from segstudy.analysis.compare import Comparison, Side
from segstudy.analysis.formatting import DASH, counted_images, interval, mean, p_value, score_text, signed
from segstudy.analysis.settling import settling_text, unit_noun
from segstudy.core.outputs import BINARY
from segstudy.core.plain_text import as_text
from segstudy.core.quantities import counted
from segstudy.core.score_words import CLASS_SCORES, score_meaning
from segstudy.evaluation.summary import first_of
from segstudy.metrics import HEADLINE, shown_in
from segstudy.store.verify import Verification


def scores_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the scores of masks: a table, notes on missing masks, and the meaning of the intervals."""
    table = Table(box=None, pad_edge=False)
    shown = shown_in("table")
    columns = [("validation", HEADLINE), *(("test", name) for name in shown)]
    scores = [f"{shown[name].short} {part}" for part, name in columns]
    for heading in ("model", *scores, "images", "runs"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for record in records:
        table.add_row(
            record["name"],
            *(
                score_text(record["scores"].get(part, {}).get(name), shown[name].form)
                for part, name in columns
            ),
            ", ".join(_count_text(part, found) for part, found in record["parts"].items()),
            str(len(record["seeds"])),
        )
    notes = [note for record in records for note in _notes(record)]
    unmatched = records[0]["strangers"]
    if unmatched["count"]:
        notes.append(f"ignored, because no image has this name: {_names_text(unmatched)}")
    runs = {len(record["seeds"]) for record in records}
    if all(record.get("deterministic") for record in records):
        said = "Means per image at native size; in brackets 95 % intervals over images: deterministic masks."
        return "\n".join([as_text(table), said, *notes])
    return "\n".join([as_text(table), intervals_text(runs), *notes])


def _count_text(part: str, found: Mapping[str, Any]) -> str:
    most = max((len(ids) for ids in found["missing"].values()), default=0)
    of = f"{found['num_images'] - most} of " if most else ""
    return f"{of}{found['num_images']} {part}"


def _notes(record: Mapping[str, Any]) -> list[str]:
    """Return notes on masks that are missing or were not used."""
    notes = []
    for part, found in record["parts"].items():
        for seed, ids in found["missing"].items():
            of = f", seed {seed}" if len(record["seeds"]) > 1 else ""
            notes.append(
                f"{record['name']}{of}: no mask for {_names_text(first_of(ids))} ({part}), so it cannot win"
            )
    if record["ignored"]["count"]:
        count = record["ignored"]["count"]
        notes.append(
            f"{record['name']}: ignored {counted(count, 'mask')} of other images: "
            f"{_names_text(record['ignored'])}"
        )
    return notes


def _names_text(some: Mapping[str, Any]) -> str:
    """A few names and how many more there are."""
    more = some["count"] - len(some["first"])
    return ", ".join(some["first"]) + (f" and {more} more" if more else "")


def intervals_text(num_runs: Collection[int]) -> str:
    """Return the meaning of the intervals in brackets, for models with so many runs."""
    over = "images only, training noise not measured"
    if max(num_runs) > 1:
        over = f"images and runs (with one: {over})" if 1 in num_runs else "images and runs"
    return f"Means per image at native size; in brackets the 95 % interval over {over}."


def evaluation_text(record: Mapping[str, Any]) -> str:
    """Return the scores of ``evaluate_models`` as a table, with the meaning of the intervals."""
    own, new = record["in_domain"], record["scores"]["test"]
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(f"in domain: {own['data']['name']} test", justify="right")
    table.add_column(f"external: {record['data']['name']}", justify="right")
    table.add_row("images", str(own["num_images"]), str(record["num_images"]))
    for name, metric in shown_in("list").items():
        if name in new:
            here, there = (score_text(scores.get(name), metric.form) for scores in (own["scores"], new))
            table.add_row(metric.listed_title(record), here, there)
    said = intervals_text([len(record["seeds"])])
    return f"{record['name']}\n\n{as_text(table)}\n{said}{_by_class_text(record)}"


def _by_class_text(record: Mapping[str, Any]) -> str:
    """Return the table of the classes; nothing with one foreground."""
    if "class_scores" not in record:
        return ""
    own, new = record["in_domain"].get("class_scores", {}), record["class_scores"]
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for heading in ("in domain IoU", "images", "external IoU", "images"):
        table.add_column(heading, justify="right")
    for name, each in new.items():
        sides = [own.get(name, {"iou": None, "num_images": None}), each]
        cells = [(score_text(s["iou"], ".3f"), s["num_images"]) for s in sides]
        table.add_row(name, *(DASH if cell is None else str(cell) for side in cells for cell in side))
    return f"\n\n{as_text(table)}\n{CLASS_SCORES}"


def verification_text(found: Verification, folder: Path) -> str:
    """Return the result of a verification, for the terminal."""
    lines = [f"{fault.state}: {fault.path}: {fault.detail}" for fault in found.faults]
    lines += [f"moved: {old} to {new}" for old, new in found.moved]
    runs = f"{counted(found.num_runs, 'run')} checked"
    if found.is_pack and not found.sha256:
        runs = "the study in it was not opened"
    if found.num_elsewhere:
        runs += f", {found.num_elsewhere} of them with other data or another split than the study has now"
    if found.unseen:
        names = ", ".join(found.unseen)
        lines.append(
            f"note: the report does not show {names} yet; `segstudy report {folder}` writes it again"
        )
    if found.differing:
        which = "" if found.is_pack else f"; `segstudy status {folder}` says which"
        lines.append(
            "note: the runs have different environments, so their last bits may differ: "
            f"{found.differing}{which}"
        )
    if found.left_out:
        lines.append(f"not in it: {left_out_text(found.left_out)}")
    if found.sha256:
        lines.append(f"SHA-256 of the file: {found.sha256}")
    lines.append(f"{runs}{_outcome(found, folder)}")
    return "\n".join(lines)


def left_out_text(left_out: Mapping[str, int]) -> str:
    """Return the files that a pack left out: ``predictions.parquet (4), thumbnails.parquet (1)``."""
    return ", ".join(f"{kind} ({number:,})" for kind, number in left_out.items())


def _outcome(found: Verification, folder: Path) -> str:
    """Return the number of faults, and the commands that help."""
    if not found.faults:
        return ": nothing wrong"
    if found.is_pack:
        return f", {counted(len(found.faults), 'fault')}; get the file again, or pack the study again"
    num_stale = sum(fault.state == "stale" for fault in found.faults)
    remedies = []
    if found.moved:
        remedies.append(f"`segstudy run {folder}` trains again what is missing now")
    elif len(found.faults) > num_stale:
        what = "the others" if num_stale else "them"
        remedies.append(f"`segstudy verify {folder} --repair` moves {what} to quarantine/")
    if num_stale:
        remedies.append(f"`segstudy report {folder}` writes the report again")
    count = "" if found.moved else f", {counted(len(found.faults), 'fault')}"
    return "; ".join([count, *remedies])


def render_comparison(found: Comparison) -> str:
    """Return a comparison as text for a terminal."""
    d = found.difference
    lines = [
        f"test {found.scores or score_meaning(BINARY)}, "
        f"{counted_images(found.a.test_iou.num_units, found.num_images, unit=found.group_noun)}",
        "",
        *(
            f"  {side.name:<{_width(found)}}  {mean(side.test_iou)}  {_seeds(side)}"
            for side in (found.a, found.b)
        ),
        f"  {'difference':<{_width(found)}}  {signed(d.mean)} {interval(d.low, d.high)}"
        + (f"  {p_value(d.p)}, {d.df:.1f} degrees of freedom" if d.has_training_noise else "  images only"),
        f"  {'effect size d':<{_width(found)}}  {d.effect_size:+.2f} (over the images' deviation)",
        f"  {'images won':<{_width(found)}}  {d.images_won[0]} : {d.images_won[1]}",
    ]
    if d.replicates_won is not None:
        lines.append(f"  {'seeds won':<{_width(found)}}  {d.replicates_won[0]} : {d.replicates_won[1]}")
    texts = [found.sentence, *_across(found), *_settling(found), *_margins(found)]
    return "\n".join([*lines, "", *texts]) + "\n"


def _across(found: Comparison) -> list[str]:
    return [] if found.across is None else [across_text(found.a.name, found.b.name, found.across)]


def _margins(found: Comparison) -> list[str]:
    """Return a note on margins that differ between the two studies."""
    if found.margins is None:
        return []
    ours, theirs = found.margins
    return [f"The margins of the two studies differ ({ours:g} and {theirs:g}): the smaller one is used."]


def _seeds(side: Side) -> str:
    return "deterministic" if side.deterministic else counted(side.num_seeds, "seed")


def _width(found: Comparison) -> int:
    return max(len(found.a.name), len(found.b.name), len("effect size d"))


def _settling(found: Comparison) -> list[str]:
    if found.resolution is None:
        return []
    unit = unit_noun(found.a.test_iou.num_units, found.num_images, found.group_noun)
    wanted = f"To show a difference, or equality within {found.difference.margin:g}"
    return [f"{wanted}, {settling_text(found.resolution, unit)}."]
