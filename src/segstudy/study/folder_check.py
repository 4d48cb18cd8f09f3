"""The check that a study may use a folder: not among other files, not over a study of other data."""

import shlex
from collections.abc import Container, Iterable
from pathlib import Path

from segstudy.config.study import Study
from segstudy.core.errors import UserError
from segstudy.core.quantities import counted
from segstudy.core.synthetic import is_synthetic
from segstudy.data.datasets import read
from segstudy.data.fingerprint import contents, fingerprint
from segstudy.data.sample_ids import match_ids
from segstudy.data.samples import Sample
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import FILE as LOOKS
from segstudy.store.records import DataRecord
from segstudy.study.plan import Plan

# What lies in a study's folder whose study.toml is not there: a run that was cut off, runs that were copied.
OWN_NAMES = {
    *("runs", "failures", "external", "checkpoints", "locks", "figures", "exports", "quarantine"),
    *(
        "data.json",
        "split.json",
        "preregistration.json",
        LOOKS,
        "merged.json",
        "reports.json",
        "report.html",
        "leaderboard.csv",
    ),
    *("study.lock", "report.lock", "external.lock"),
    *("numerics.json", "forecast.json", "thumbnails.parquet", "baselines.parquet", "lost+found"),
    *("run_index.json", "second_rater.json"),
}
ANOTHER = "choose another folder with --out"


def refuse_occupied(plan: Plan, folder: StudyFolder, source: str | Path | None) -> None:
    """Refuse a folder in which this plan would replace something else.

    At the same place data may have grown, lost samples or been corrected. At another place they must be
    the same samples, apart from those that are excluded; where the study itself is called (``run STUDY --data
    PLACE``) they may also have grown. The synthetic set does not grow: other options make another set.

    Args:
        plan: the plan to write there.
        folder: where it belongs.
        source: of the call: a study file, a data set, a study's folder, or None.

    Raises:
        UserError: naming both.
    """
    if not folder.exists():
        _refuse_other_files(folder.path)
        return
    before, stored = folder.study(), folder.data()
    if _place(before.data) == _place(plan.study.data):
        if stored and not _continues(plan, stored):
            raise _other_data(plan, folder, f"an earlier {before.data}", stored)
    elif stored is None:  # nothing was planned yet: a user's own study.toml
        raise _other_data(plan, folder, before.data, stored)
    elif stored.fingerprint != plan.data:
        is_called = source is not None and Path(source).resolve() == folder.path.resolve()
        _refuse_other_place(plan, folder, stored, is_called)
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
        raise UserError(f"{path}: is not a study and contains {', '.join(strange[:3])}{more}; {ANOTHER}")


def _continues(plan: Plan, stored: DataRecord) -> bool:
    """Whether data at the same place are those of before: of the ids of both, half or more kept their image.

    Older versions did not write down which image an id had: there one id of both is enough.
    """
    if stored.fingerprint == plan.data:
        return True
    images = {sample.id: sample.image for sample in stored.samples}
    shared = [sample for sample in plan.dataset.samples if sample.id in images]
    if not all(images.values()):
        return bool(shared)
    num_kept = sum(image == images[sample_id] for sample_id, (image, _) in contents(shared).items())
    return bool(shared) and 2 * num_kept >= len(shared)


def _refuse_other_place(plan: Plan, folder: StudyFolder, stored: DataRecord, is_called: bool) -> None:
    before, known = folder.study(), stored.groups.keys()
    kept, added = _divided(read(plan.study.data, plan.study.reader).samples, known)  # excluded ones too
    if len(kept) < len(known) or fingerprint(kept) != stored.fingerprint:
        raise _other_data(plan, folder, before.data, stored)
    if added.issubset(match_ids((*before.exclude, *plan.study.exclude), added).ids):
        return
    of_synthetic = is_synthetic(before.data) or is_synthetic(plan.study.data)
    if of_synthetic or not is_called:
        moved = f"segstudy run {shlex.quote(str(folder.path))} --data {shlex.quote(plan.study.data)}"
        remedy = "" if of_synthetic else f", or, if these are the same data, moved and extended: {moved}"
        raise _other_data(plan, folder, before.data, stored, remedy)


def _divided(samples: Iterable[Sample], known: Container[str]) -> tuple[list[Sample], set[str]]:
    """Return the samples with known ids, and the ids of the others."""
    kept = [sample for sample in samples if sample.id in known]
    return kept, {sample.id for sample in samples if sample.id not in known}


def _other_data(
    plan: Plan, folder: StudyFolder, there: str, stored: DataRecord | None, remedy: str = ""
) -> UserError:
    num = f" ({counted(len(stored.samples), 'sample')})" if stored else ""
    return UserError(
        f"{folder.path}: contains a study of {there}{num}, not of {plan.study.data} "
        f"({counted(len(plan.dataset.samples), 'sample')}); {ANOTHER}{remedy}"
    )


def _place(data: str) -> str:
    return data if is_synthetic(data) else str(Path(data).resolve())


def _refuse_other_parts(plan: Plan, before: Study, folder: StudyFolder) -> None:
    stored = [split.ids for split in folder.splits()]
    if any(split not in stored for split in plan.splits.values()):
        how = before.split_file or (f"{before.folds} folds" if before.folds else before.protocol.split)
        how = f"an earlier {how}" if how == plan.study.split_file else how
        raise UserError(
            f"{folder.path}: its images are split by {how}, not by {plan.study.split_file}; {ANOTHER}"
        )
