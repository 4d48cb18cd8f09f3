"""``segstudy.merge`` and ``segstudy.pack``: studies that come from several places, or go to others."""

from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.core.arguments import checked_call
from segstudy.core.paths import expanded
from segstudy.core.progress import Stage, silent

if TYPE_CHECKING:
    from segstudy.study.merge import Merged


@checked_call
def merge(
    *folders: str | Path,
    out: str | Path,
    accept_differences: bool = False,
    stage: Stage = silent,
) -> "Merged":
    """Merge studies of the same data and split into a new folder; none of them is changed.

    The new study names every configuration of all of them. Its runs, failures, saved states and scores of
    other tools are copies. The same call completes a merge that was interrupted.

    Args:
        folders: of the studies, at least two.
        out: the folder of the new study.
        accept_differences: if a run has different numbers in several studies, take that of the first.
        stage: called with what is being done, and how much of it is done.

    Raises:
        UserError: other data, split, margin, masks or versions of the code, a sequential study, one that is
            being trained, a damaged run, one run with different numbers, or a folder with something else.
    """
    from segstudy.study.merge import merge_studies

    paths = [Path(expanded(str(each))) for each in folders]
    return merge_studies(paths, Path(expanded(str(out))), accept_differences, stage)
