"""Commands that show and compare what a study found, or test its models on other data."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import segstudy
from segstudy.cli.models import ANSWER, app
from segstudy.cli.terminal import problems, say, width

ROWS = 50  # of a leaderboard in a terminal


@app.command(group=ANSWER)
def table(
    folder: Path,
    /,
    *,
    format: Literal["text", "markdown", "csv", "json", "latex"] = "text",  # noqa: A002
    all: Annotated[bool, Parameter(negative=())] = False,  # noqa: A002
    number: Annotated[int | None, Parameter(name=["--number", "-n"])] = None,
) -> int:
    """Print the leaderboard.

    Example: `segstudy table my-images-classic --format markdown`

    Parameters
    ----------
    folder
        The study's folder.
    format
        The format of the table.
    all
        Also show runs that study.toml no longer names.
    number
        Rows in a text; the others are counted. By default, 50 in a terminal and all in a file or pipe.
    """
    if number is None and width() is not None:
        number = ROWS
    sys.stdout.write(segstudy.table(folder, format, all, width(), number).rstrip("\n") + "\n")
    return 0


@app.command(group=ANSWER)
def compare(*arguments: str, json_: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Compare two configurations on the same test images: difference, confidence interval, p value.

    Example: `segstudy compare my-images-classic unet-combo-b8 segnet-combo-b8`

    Parameters
    ----------
    arguments
        DIR A B for two configurations of one study; DIR1:A DIR2:B for configurations of two studies.
    json_
        Print JSON.
    """
    from segstudy.cli.formatting import render_comparison  # what `--help` does without

    found = segstudy.compare(*arguments)
    text = json.dumps(found.as_dict(), indent=1) + "\n" if json_ else render_comparison(found)
    sys.stdout.write(text)
    return 0


@app.command(group=ANSWER)
def compare_sets(
    *folders: Path,
    out: Path | None = None,
    format: Literal["text", "markdown", "csv", "json", "latex"] = "text",  # noqa: A002
    accept_differences: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Compare the same configurations on several data sets: differences over sets, ranks, the safest choice.

    Example: `segstudy compare-sets PH2Dataset-classic ISIC-2017-classic --out sets.html`

    Parameters
    ----------
    folders
        The folders of two or more finished studies, each on another data set.
    out
        A file to write: one page with the answers, charts and tables.
    format
        The format of the table.
    accept_differences
        Compare even if the protocols differ. The differences count as differences between the data sets.
    """
    from segstudy.reporting.sets_table import render  # what `--help` does without

    found = segstudy.compare_sets(*folders, out=out, accept_differences=accept_differences)
    sys.stdout.write(render(found, format, width()))
    if out:
        say(f"{out}: the page, for a browser", problems)
    return 0


@app.command(group=ANSWER)
def audit(  # noqa: PLR0913 (an option each)
    folder: Path,
    /,
    *,
    format: Literal["text", "csv", "json"] = "text",  # noqa: A002
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 20,
    html: Path | None = None,
    images: bool = True,
    data: Path | None = None,
    masks2: Path | None = None,
) -> int:
    """List suspicious masks: networks that have not seen the image agree with each other, not with the mask.

    Example: `segstudy audit my-images-classic --html audit.html`

    Parameters
    ----------
    folder
        The study's folder; it stays as it is.
    format
        How to print them; csv and json have all masks.
    number
        Masks in a text.
    html
        A file to write: one page with image, mask and prediction, and boxes to tick: exclude, relabel.
    images
        Pictures of the data in the page; use --no-images for data that may not be republished.
    data
        Where the data set lies now, if not where the study says.
    masks2
        A second rater's masks, named by id; omit it for the folder masks2 of the data set, if there is one.
    """
    from segstudy.core.progress import Stages  # what `--help` does without
    from segstudy.reporting.audit_table import render

    with Stages(problems) as stage:
        stage("starting")
        found = segstudy.audit(folder, data=data, masks2=masks2, html=html, images=images, stage=stage)
    sys.stdout.write(render(found, format, number, width(), folder))
    if html:
        say(f"{html}: the page with boxes to tick, for a browser", problems)
    return 0


@app.command(group=ANSWER)
def report(
    folder: Path,
    /,
    *,
    images: bool = True,
    open: Annotated[bool, Parameter(negative=())] = False,  # noqa: A002
) -> int:
    """Write the report of a study: report.html, leaderboard.csv and figures.

    Example: `segstudy report my-images-classic --open`

    Parameters
    ----------
    folder
        The study's folder.
    images
        Show images of the data. Use --no-images if the data must not be published.
    open
        Open the report in the browser.
    """
    from segstudy.core.progress import Stages  # what `--help` does without

    with Stages(problems) as stage:
        page = segstudy.report(folder, images, stage=stage)
    say(page)
    if open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    return 0


@app.command(group=ANSWER)
def score(  # noqa: PLR0913 (an option each)
    data: Path,
    masks: Path,
    /,
    *,
    study: Path,
    name: str | None = None,
    deterministic: Annotated[bool, Parameter(negative=())] = False,
    rule: Annotated[str | None, Parameter(name="--masks")] = None,
    classes: str | None = None,
    ignore: str | None = None,
) -> int:
    """Score masks of any other tool and add them to the leaderboard of a study.

    Example: `segstudy score my-images masks/nnunet --study my-images-classic`

    Parameters
    ----------
    data
        The folder of the study's data set.
    masks
        A folder with one mask per image, named after its id; or one such folder per model or per seed.
    study
        The study's folder.
    name
        The name of the model, if there is only one. By default, the name of its folder.
    deterministic
        The tool always gives the same masks, so there is no training noise to measure.
    rule
        The rule for the values of these masks, such as cut=0.5. By default, it is found from all of them.
    classes
        The study's classes with their values in these masks, such as background=0,disc=1,cup=2. By default,
        the values of the study's own masks, or the numbers of the classes.
    ignore
        The values of these masks where the tool says nothing, such as 255. Only pixels that the study ignores
        too may have them.
    """
    from segstudy.cli.formatting import scores_text  # what `--help` does without

    with problems.status(f"scoring {masks}"):
        records = segstudy.score(
            *(data, masks, study, name),
            deterministic=deterministic,
            rule=rule,
            classes=classes,
            ignore=ignore,
        )
    say(scores_text(records))
    say(_not_shown_yet(study))
    return 0


@app.command(group=ANSWER)
def evaluate(  # noqa: PLR0913 (an option each)
    model: Path,
    data: str,
    /,
    *,
    study: Path | None = None,
    name: str | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    reader: str | None = None,
    foreground: Annotated[list[str] | None, Parameter(negative=())] = None,
    classes: str | None = None,
    ignore: str | None = None,
    masks: str | None = None,
    exclude: Path | None = None,
    network: str | None = None,
) -> int:
    """Test a trained model on an external data set, and compare with its own test subset.

    Example: `segstudy evaluate my-images-classic other-hospital`

    Parameters
    ----------
    model
        A run's folder, or a study's folder (all runs of its best configuration).
    data
        The external data set. All of its images are used.
    study
        The study that stores the result. By default, the model's own study.
    name
        The name of the result.
    device
        The device for the predictions.
    reader
        The name of a reader, such as ph2. By default, the reader is detected from the folder's layout.
    foreground
        The mask values that are foreground, such as 1 or 1+2. May be repeated.
    classes
        The model's classes with their mask values in this data set, such as background=0,disc=1,cup=2. By
        default, the values of the training.
    ignore
        The mask values of pixels that count nowhere, such as 255 or 254+255. By default, those of the
        training if there are several classes.
    masks
        The rule for mask values, such as background=0. By default, it is found from all masks.
    exclude
        A file with the ids of samples to leave out, one per line.
    network
        The file of your own network, as my.py:Net, if the model was trained with it.
    """
    from segstudy.cli.formatting import evaluation_text  # what `--help` does without
    from segstudy.deploy.external_data import SEEN
    from segstudy.deploy.predict.load import models_of

    with problems.status(f"predicting {data}"):
        record = segstudy.evaluate(
            model,
            data,
            study,
            name=name,
            device=device,
            reader=reader,
            foreground=foreground,
            classes=classes,
            ignore=ignore,
            masks=masks,
            exclude=exclude or (),
            network=network,
        )
    say(evaluation_text(record))
    say(_not_shown_yet(study or models_of(model).study(SEEN).path))
    return 0


def _not_shown_yet(study: Path) -> str:
    return f"the report does not show this yet: `segstudy report {shlex.quote(str(study))}` writes it again"
