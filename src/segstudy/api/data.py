"""``segstudy.check`` and ``segstudy.synth``: data sets, before any study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segstudy.core.arguments import checked_call
from segstudy.core.progress import Stage, silent
from segstudy.data.datasets import synthetic
from segstudy.data.samples import Problem
from segstudy.data.survey import survey
from segstudy.study.options import meaning_of, scale_of

Foreground = int | str | Sequence[int] | Sequence[str] | None
Classes = str | Sequence[str] | Mapping[str, int | str | Sequence[int | str]] | None


@checked_call
def check(  # noqa: PLR0913 (an option each)
    data: str | Path,
    reader: str | None = None,
    foreground: Foreground = None,
    stage: Stage = silent,
    write_exclude: str | Path | None = None,
    *,
    classes: Classes = None,
    ignore: Foreground = None,
    masks: str | None = None,
    channels: int | None = None,
    intensity: str | None = None,
    write: str | Path | None = None,
    html: str | Path | None = None,
) -> list[Problem]:
    """Return every problem of a data set, the worst first.

    Args:
        data: the data set's folder, or ``synthetic``.
        reader: how to read it, if that is not plain from the folder.
        foreground: values of a multi-class mask that count as foreground: ``1``, ``"1+2"`` or ``[1, 2]``.
        classes: names of several classes with their mask values, as of ``run``.
        ignore: mask values of pixels that count nowhere.
        stage: called with what is being done, and how much of it is done.
        write_exclude: a file to write, for ``exclude``: of images that show the same, which to leave out.
            Test is kept, training is left out; within a part, or without parts, the first is kept.
        write: a new folder for ``samples.csv``, images and masks as they were understood.
        html: a file to write: one page with every mask as an outline over its image.
        masks: the rule for mask values, such as ``background=0``; found from all masks if left out.
        channels: the number of channels of the images, if it is not 3: 1 for grey images.
        intensity: the image values that become 0 to 255, as ``0..4095``; found from all images if left out.

    Raises:
        UserError: when there is nothing to read, or the file is another's or cannot be written.
    """
    if html is not None:
        from segstudy.reporting.contact_sheet import GENERATOR, write_contact_sheet
        from segstudy.reporting.own_pages import refuse_place

        refuse_place(Path(html), GENERATOR)
    meaning, scale = meaning_of(masks, foreground, classes, ignore), scale_of(intensity, channels)
    found = survey(data, reader, meaning, stage, write_exclude, write, scale=scale)
    if html is not None:
        write_contact_sheet(found, Path(html), lambda done, of: stage("writing the contact sheet", done, of))
    return found.problems


@checked_call
def synth(
    folder: str | Path, n: int | None = None, seed: int = 0, classes: int = 2, size: int | None = None
) -> Path:
    """Write the synthetic set as ordinary files.

    Args:
        folder: a new or empty one.
        n: number of images: 200 if left out, 40 of large ones.
        seed: of the images.
        classes: 2 is the usual set; 3 and 4 are pictures of several classes, the background included.
        size: height and width of large pictures with many small objects, such as 1024.
    """
    synthetic.write(Path(folder), n, seed, classes, size)
    return Path(folder)
