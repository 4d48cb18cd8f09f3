"""``segstudy.merge`` and ``segstudy.pack``: studies that come from several places, or go to others."""

from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.core.arguments import checked_call
from segstudy.core.paths import expanded
from segstudy.core.progress import Stage, silent

if TYPE_CHECKING:
    from segstudy.study.merge import Merged
    from segstudy.study.pack import Packed


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


@checked_call
def pack(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    weights: bool = True,
    images: bool = False,
    stage: Stage = silent,
) -> "Packed":
    """Write a study as one zip file, to share, publish or move. Equal studies give equal bytes.

    Its data set, paths of this machine, exported models and the cache are never in it. ``verify`` checks the
    file without the data. Unzipped, it is a study's folder again.

    Args:
        folder: the study's folder.
        out: the file; if left out, the name of the study with ``.zip``, in the current folder.
        weights: whether the weights of the networks, and saved states of unfinished runs, are in it.
        images: whether small pictures of the data and predicted masks are in it.
        stage: called with what is being done, and how much of it is done.

    Raises:
        UserError: no study, one that is being trained, a damaged run, a file that names a folder of this
            machine, or a file of another kind at ``out``.
    """
    from segstudy.study.pack import pack_study

    target = Path(expanded(str(out))) if out is not None else None
    return pack_study(Path(expanded(str(folder))), target, weights, images, stage)
