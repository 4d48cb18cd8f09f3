"""Whether a study may go into a folder: not among other files, and not over a study of other data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segstudy.config import Study, is_synthetic
from segstudy.data import read
from segstudy.data.prepared import fingerprint
from segstudy.data.samples import PARTS
from segstudy.errors import UserError
from segstudy.store import StudyFolder
from segstudy.study import Plan

# What lies in a study's folder whose study.toml is not there: a run that was cut off, runs that were copied.
OWN_NAMES = {
    *("runs", "failures", "external", "checkpoints", "locks", "figures", "exports", "quarantine"),
    *("data.json", "split.json", "reports.json", "report.html", "leaderboard.csv"),
    *("study.lock", "report.lock", "external.lock"),
    *("numerics.json", "forecast.json", "thumbnails.parquet", "baselines.parquet", "lost+found"),
}
ANOTHER = "choose another folder with --out"


def refuse_occupied(plan: Plan, folder: StudyFolder) -> None:
    """Refuse a folder in which this plan would take the place of something else.

    The same data may have moved, grown, or lost samples that are excluded; files at the same place may have
    been corrected. Other data are those of another place of which the study's samples are no part.

    Raises:
        UserError: naming both.
    """
    if not folder.exists():
        _refuse_other_files(folder.path)
        return
    before, stored = folder.study(), folder.read_json("data.json")
    if not _same_data(plan, before, stored):
        num = f" ({len(stored['samples'])} samples)" if stored else ""
        there = f"{before.data} as it was" if _place(before.data) == _place(plan.study.data) else before.data
        raise UserError(
            f"{folder.path}: holds a study of {there}{num}, not of {plan.study.data} "
            f"({len(plan.dataset.samples)} samples); {ANOTHER}"
        )
    if plan.study.split_file and folder.finished():
        _refuse_other_parts(plan, before, folder)


def _refuse_other_files(path: Path) -> None:
    if not path.is_dir():
        return
    strange = sorted(
        each.name for each in path.iterdir() if each.name not in OWN_NAMES and each.name[0] != "."
    )
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise UserError(f"{path}: is no study and holds {', '.join(strange[:3])}{more}; {ANOTHER}")


def _same_data(plan: Plan, before: Study, stored: Mapping[str, Any] | None) -> bool:
    same_place = _place(before.data) == _place(plan.study.data)
    if stored is None:  # nothing was planned yet: somebody's own study.toml
        return same_place
    if stored["fingerprint"] == plan.data:
        return True
    known = {sample["id"] for sample in stored["samples"]}
    if same_place:
        return not known.isdisjoint(sample.id for sample in plan.dataset.samples)
    found = read(plan.study.data, plan.study.reader).samples  # excluded ones too
    kept = [sample for sample in found if sample.id in known]
    return len(kept) == len(known) and fingerprint(kept) == stored["fingerprint"]


def _place(data: str) -> str:
    return data if is_synthetic(data) else str(Path(data).resolve())


def _refuse_other_parts(plan: Plan, before: Study, folder: StudyFolder) -> None:
    splits = (folder.read_json("split.json") or {"splits": []})["splits"]
    stored = [tuple(tuple(split[part]) for part in PARTS) for split in splits]
    if any(tuple(split.part(part) for part in PARTS) not in stored for split in plan.splits.values()):
        how = before.split_file or (f"{before.folds} folds" if before.folds else before.protocol.split)
        how = f"{how} as it was" if how == plan.study.split_file else how
        raise UserError(
            f"{folder.path}: its images are divided into parts by {how}, not by {plan.study.split_file}; "
            f"{ANOTHER}"
        )
