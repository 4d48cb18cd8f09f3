"""Commands on data sets alone."""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import segstudy
from segstudy.cli.models import PREPARE, app
from segstudy.cli.terminal import problems, say
from segstudy.core.progress import Stage, Stages
from segstudy.core.quantities import counted

if TYPE_CHECKING:
    from segstudy.data.survey import Survey


@app.command(group=PREPARE)
def check(  # noqa: PLR0913 (an option each)
    data: str,
    /,
    *,
    reader: str | None = None,
    foreground: Annotated[list[str] | None, Parameter(negative=())] = None,
    classes: str | None = None,
    ignore: str | None = None,
    masks: str | None = None,
    channels: int | None = None,
    intensity: str | None = None,
    write: Path | None = None,
    html: Path | None = None,
    write_exclude: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """List all problems of a data set. The exit code is 2 if training on it would be wrong.

    Example: `segstudy check my-images`

    Parameters
    ----------
    data
        The data set's folder, or `synthetic`.
    reader
        The name of a reader, such as ph2. By default, the reader is detected from the folder's layout.
    foreground
        The mask values that are foreground, such as 1 or 1+2. May be repeated.
    classes
        The names of several classes with their mask values, such as background=0,disc=1,cup=2; names alone,
        such as disc,cup, if classes may overlap and have masks in a folder each.
    ignore
        The mask values of pixels that count nowhere, such as 255 or 254+255.
    masks
        The rule for mask values, such as background=0. By default, it is found from all masks.
    channels
        The number of channels of the images, if it is not 3: 1 for grey images, or the bands of a TIFF.
    intensity
        The image values that become 0 to 255, such as 0..4095. By default, they are found from all images.
    write
        A new folder for samples.csv, images and masks as they were understood.
    html
        An HTML file to write: all images with the outlines of their masks, samples with findings first.
    write_exclude
        A file to write, for `run --exclude`: ids to leave out, so that no photograph is in several subsets.
    json_
        Print JSON.
    """
    from segstudy.data.check import summarise  # what `--help` does without
    from segstudy.data.survey import summary, survey
    from segstudy.evaluation.best_iou import default_size_text
    from segstudy.study.options import meaning_of, scale_of

    with Stages(problems) as stage:
        stage("starting")
        write_page = _page_writer(html, stage) if html else None
        meaning, scale = meaning_of(masks, foreground, classes, ignore), scale_of(intensity, channels)
        found = survey(data, reader, meaning, stage, write_exclude, write, scale=scale)
        num_shown = write_page(found) if write_page else 0
        lost = ""
        if not json_ and not found.has_errors():
            measuring = partial(stage, "measuring what the image size allows")
            lost = default_size_text(found.dataset.samples, found.sizes, found.masks.meaning, measuring)
    if json_:
        sys.stdout.write(json.dumps([asdict(problem) for problem in found.problems], indent=1) + "\n")
    else:
        for line in [*summarise(found.problems), *summary(found, lost)]:
            say(line)
    if found.num_written is not None:
        again = shlex.join(["segstudy", "check", str(write), *found.options])
        number = f"{found.num_written} of {counted(len(found.dataset.samples), 'sample')}"
        say(f"{write}: {number} written; to read them again: {again}", problems)
    if html:
        say(
            f"{html}: {num_shown} of {counted(len(found.dataset.samples), 'sample')}; open it in a browser",
            problems,
        )
    if found.excluded is not None:
        say(
            f"{write_exclude}: {len(found.excluded)} of {len(found.dataset.samples)} samples to leave out; "
            f"use it as --exclude {write_exclude}",
            problems,
        )
    return 2 if found.has_errors() else 0


def _page_writer(html: Path, stage: Stage) -> Callable[["Survey"], int]:
    """Return a function that writes the contact sheet and counts samples; refuse a wrong place at once."""
    from segstudy.reporting.contact_sheet import GENERATOR, write_contact_sheet  # `check` does without
    from segstudy.reporting.own_pages import refuse_place

    refuse_place(html, GENERATOR)
    return partial(write_contact_sheet, file=html, progress=partial(stage, "writing the contact sheet"))


@app.command(group=PREPARE)
def synth(
    folder: Path,
    /,
    *,
    n: Annotated[int | None, Parameter(name=["--number", "-n"])] = None,
    seed: int = 0,
    classes: int = 2,
    size: int | None = None,
) -> int:
    """Write the synthetic data set as ordinary files.

    Example: `segstudy synth pictures -n 40`

    Parameters
    ----------
    folder
        A new or empty folder.
    n
        The number of images. By default, 200; of large ones 40.
    seed
        The seed of the random images. Another seed gives other images.
    classes
        2 for the usual set, 3 or 4 for images of several classes, the background included.
    size
        The height and width of large images with many small objects, such as 1024.
    """
    made = segstudy.synth(folder, n, seed, classes, size)
    say(f"{len(list((made / 'images').iterdir()))} images in {made}")
    return 0
