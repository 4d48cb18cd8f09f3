"""Finished configurations that a new study.toml no longer names."""

from collections.abc import Sequence

from segstudy.analysis.configurations import rows_of
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.run_matching import described_as, identity
from segstudy.config.runs import Configuration
from segstudy.core.quantities import counted
from segstudy.store.folder import StudyFolder


def describe_dropped(folder: StudyFolder, configurations: Sequence[Configuration]) -> str:
    """Return a sentence on the finished configurations that a new study.toml drops; empty if it drops none.

    Args:
        folder: of the study, with study.toml as it was before.
        configurations: all that the new study.toml names.
    """
    if not folder.exists():
        return ""
    named = {identity(**described_as(each)) for each in configurations}
    finished = [row for row in rows_of(folder) if row.records]
    gone = [row for row in finished if identity(**row.configuration) not in named]
    if not gone:
        return ""
    frame = leaderboard(folder)
    ious = {
        name: iou or 0.0 for name, iou in zip(frame["configuration"], frame["validation_iou"], strict=True)
    }
    best = max(gone, key=lambda row: ious.get(row.name, 0.0)).name
    stays = [ious.get(row.name, 0.0) for row in finished if row not in gone]
    is_best = ious.get(best, 0.0) > max(stays, default=0.0)
    among = f", among them the best on validation, {best}" if is_best else ""
    are = "is" if len(gone) == 1 else "are"
    return (
        f"study.toml names {counted(len(configurations), 'configuration')} now; "
        f"{len(gone)} finished before {are} set aside{among}"
    )
