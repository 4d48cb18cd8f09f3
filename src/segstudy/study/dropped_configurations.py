"""Finished configurations that a new study.toml no longer names."""

from collections.abc import Sequence

from segstudy.analysis.configurations import rows_of
from segstudy.analysis.leaderboard import leaderboard
from segstudy.config.runs import Run
from segstudy.core.quantities import counted
from segstudy.store.folder import StudyFolder


def describe_dropped(folder: StudyFolder, runs: Sequence[Run]) -> str:
    """Return a sentence on the finished configurations that a new study.toml drops; empty if it drops none.

    Args:
        folder: of the study, with study.toml as it was before.
        runs: all that the new study.toml plans.
    """
    if not folder.exists():
        return ""
    configurations = {run.configuration for run in runs}
    named, keys = {each.identity for each in configurations}, {run.key for run in runs}
    finished = [row for row in rows_of(folder) if row.records]
    gone = [
        row
        for row in finished
        if row.planned and row.planned.identity not in named and keys.isdisjoint(row.keys)
    ]
    if not gone:
        return ""
    frame = leaderboard(folder)
    ious = {
        name: iou or 0.0 for name, iou in zip(frame["configuration"], frame["validation_iou"], strict=True)
    }
    best = max(gone, key=lambda row: ious.get(row.name, 0.0)).name
    stays = [ious.get(row.name, 0.0) for row in finished if row not in gone]
    is_best = ious.get(best, 0.0) > max(stays, default=0.0)
    among = f", including the best on validation, {best}" if is_best else ""
    are = "is" if len(gone) == 1 else "are"
    return (
        f"study.toml now names {counted(len(configurations), 'configuration')}; "
        f"{len(gone)} that finished before {are} no longer named{among}"
    )
