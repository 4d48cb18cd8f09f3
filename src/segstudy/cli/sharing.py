"""Commands that bring studies together, and hand them on."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import segstudy
from segstudy.cli.models import TRAIN, app
from segstudy.cli.terminal import problems, say
from segstudy.core.progress import Stages
from segstudy.core.quantities import counted, size

if TYPE_CHECKING:
    from segstudy.study.merge import Merged


@app.command(group=TRAIN)
def merge(
    *folders: Annotated[Path, Parameter(required=True)],
    out: Path,
    accept_differences: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Merge studies of the same data and split into a new folder. The merged studies are not changed.

    People who train at the same time divide architectures or losses, and each trains all seeds. For further
    seeds, copy a study, train the copy with more `--seeds`, and merge it.

    Example: `segstudy merge study-of-ada study-of-bob --out both`

    Parameters
    ----------
    folders
        The folders of the studies, at least two.
    out
        The folder of the new study. The same command completes an interrupted merge.
    accept_differences
        If a run has different numbers in several studies, take that of the first. The default is to refuse.
    """
    with Stages(problems) as stage:
        stage("reading the studies")
        found = segstudy.merge(*folders, out=out, accept_differences=accept_differences, stage=stage)
    for line in _merged_lines(found):
        say(line)
    return 0


@app.command(group=TRAIN)
def pack(folder: Path, /, *, out: Path | None = None, weights: bool = True, images: bool = False) -> int:
    """Write a study as one zip file, to share, publish or move it. `verify` checks the file without the data.

    Example: `segstudy pack my-images-classic --out paper.zip --no-weights`

    Parameters
    ----------
    folder
        The study's folder.
    out
        The zip file. By default, it has the name of the folder and is in the current folder.
    weights
        Include the weights of the networks, and the saved states of unfinished runs.
    images
        Include small pictures of the data, and predicted masks.
    """
    from segstudy.cli.formatting import left_out_text  # what `--help` does without

    with Stages(problems) as stage:
        found = segstudy.pack(folder, out=out, weights=weights, images=images, stage=stage)
    numbers = f"{counted(found.num_runs, 'run')}, {counted(found.num_files, 'file')}"
    say(f"{found.file}: {numbers}, {size(found.num_bytes)}")
    if found.left_out:
        say(f"not in it: {left_out_text(found.left_out)}")
    if not found.images:
        say(
            "ids, groups and categories of samples are in it; pictures and predicted masks are not (--images "
            "adds them)"
        )
    say(f"SHA-256 of the file: {found.sha256}")
    return 0


def _merged_lines(found: "Merged") -> list[str]:
    """Return what was merged, in sentences."""
    path = shlex.quote(str(found.path))
    verb = "were merged already" if found.was_there else "merged"
    sources = ", ".join(f"{name}: {num}" for name, num in found.from_each.items())
    lines = [f"{found.path}: {counted(found.num_runs, 'run')} {verb} ({sources})"]
    if found.num_shared:
        lines.append(f"{counted(found.num_shared, 'run')} in several studies, with equal files")
    if found.num_replaced:
        lines.append(
            f"{counted(found.num_replaced, 'run')} in several studies with different numbers: taken from the "
            "first"
        )
    if found.differing:
        lines.append(f"different configurations, because the studies differ in {', '.join(found.differing)}")
    if found.environments:
        lines.append(
            f"the runs have different environments, so their last bits may differ: {found.environments}"
        )
    if found.num_failed or found.num_begun:
        lines.append(f"{found.num_failed} failed, {found.num_begun} started and saved")
    if found.num_left:
        some = f"{found.num_new} of them " if found.num_new < found.num_left else ""
        new = f", {some}planned by none of the studies" if found.num_new else ""
        lines.append(f"{counted(found.num_left, 'run')} left{new}: segstudy run {path} trains them")
    lines.append(f"segstudy report {path} writes the report")
    return lines
