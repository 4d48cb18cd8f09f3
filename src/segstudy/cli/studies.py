"""The command line: parse, call one function, print. Here the commands on studies, and the way in."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import segstudy
import segstudy.cli.data  # its commands
import segstudy.cli.folders
import segstudy.cli.results
import segstudy.cli.sharing
from segstudy.cli.models import PREPARE, TRAIN, USE, app
from segstudy.cli.power import PowerFlags, print_power
from segstudy.cli.study_flags import ExecutorFlags, MachineFlags, StudyFlags, options_of
from segstudy.cli.terminal import MOST_FAILURES, choices_text, console, guarded, problems, say, width
from segstudy.core.progress import Stages
from segstudy.deploy.export import FORMATS, FormatName
from segstudy.study.trackers import TRACKERS

if TYPE_CHECKING:
    from segstudy.study.choices import Choice

Paths = Annotated[Path | None, Parameter()]


@app.command(group=TRAIN)
def run(  # noqa: PLR0913 (an option each)
    study: Paths = None,
    /,
    *,
    flags: StudyFlags = StudyFlags(),
    machine: MachineFlags = MachineFlags(),
    executing: ExecutorFlags = ExecutorFlags(),
    out: Annotated[
        Path | None, Parameter(help="The study's folder. By default, it is made from the study's name.")
    ] = None,
    tracker: Annotated[
        str,
        Parameter(
            help="A comma-separated list: where progress is shown or logged. "
            f"{choices_text(TRACKERS.values())}."
        ),
    ] = "terminal",
    until_settled: Annotated[
        bool,
        Parameter(
            help="Add seeds in stages, and stop configurations that are beaten. --seeds: of the first look.",
            negative=(),
        ),
    ] = False,
    max_hours: Annotated[
        float | None, Parameter(help="With --until-settled: stop for now after so many hours.")
    ] = None,
    max_seeds: Annotated[
        int | None, Parameter(help="With --until-settled: the seeds of the last look. By default 10 or more.")
    ] = None,
    retry: Annotated[bool, Parameter(help="Also train runs again that diverged.", negative=())] = False,
    yes: Annotated[
        bool, Parameter(help="Do not ask, even if the estimate is above two hours.", negative=())
    ] = False,
    images: Annotated[bool, Parameter(help="Show images of the data in the report.")] = True,
) -> int:
    """Train all runs of a study that are not finished yet, and print the leaderboard.

    Example: `segstudy run my-images --architecture unet,segnet --loss bce,dice --seeds 3`

    Parameters
    ----------
    study
        A study file, a data set's folder or a study's folder. The default is the synthetic data set with
        the protocol quick.
    """
    from segstudy.study.trackers.terminal import Display  # what `--help` does without

    with Display(problems) as display:
        display.stage("starting")
        finished = segstudy.run(
            study,
            until_settled=until_settled,
            max_hours=max_hours,
            max_seeds=max_seeds,
            retry=retry,
            images=images,
            yes=yes,
            choose=_choose if sys.stdin.isatty() and sys.stderr.isatty() else None,
            display=display,
            out=out,
            tracker=tracker,
            **options_of(flags, machine, executing),
        )
    say(segstudy.table(finished.path, width=width()).rstrip("\n"))
    say(f"report: {finished.path / 'report.html'}")
    now = segstudy.status(finished.path)
    if now.differing:
        say(f"the runs have different environments, so their last bits may differ: {now.differing}", problems)
    for failure in now.failures[:MOST_FAILURES]:
        say(f"failed: {failure['name']}: {failure['reason']}; {failure['remedy']}", problems)
    if now.num_failed > MOST_FAILURES:
        say(f"failed: {now.num_failed - MOST_FAILURES} more runs, see `segstudy status`", problems)
    return 1 if now.failures else 0


@app.command(group=PREPARE)
def plan(
    study: Paths = None,
    /,
    *,
    flags: StudyFlags = StudyFlags(),
    machine: MachineFlags = MachineFlags(),
    executing: ExecutorFlags = ExecutorFlags(),
    out: Annotated[
        Path | None, Parameter(help="The study's folder. By default, it is made from the study's name.")
    ] = None,
    power: PowerFlags = PowerFlags(),
) -> int:
    """Estimate the number of runs, hours, memory and disk space of `run`. Writes nothing.

    Example: `segstudy plan my-images --protocol classic`

    Parameters
    ----------
    study
        A study file, a data set's folder or a study's folder, as for `run`.
    """
    from segstudy.study.trackers.terminal import Display  # what `--help` does without

    sds = power.checked()
    with Stages(problems) as stage:
        stage("starting")
        planned = segstudy.plan(study, out=out, stage=stage, **options_of(flags, machine, executing))
    made, missing, ahead, chosen = planned
    if not power.json:
        display = Display(console)
        display.plan(made.overview(), len(missing))
        display.estimate(ahead, chosen)
    if power.power:
        print_power(planned, power, sds, study)
    return 0


@app.command(group=PREPARE)
def init(study: Paths = None, /, *, flags: StudyFlags = StudyFlags()) -> int:
    """Print a study file with comments, as a template.

    Example: `segstudy init my-images > study.toml`

    Parameters
    ----------
    study
        The data set's folder. The default is the synthetic data set.
    """
    from segstudy.cli.options import study_arguments  # what `--help` does without

    given = asdict(flags)
    settings = given.pop("set_") or ()
    sys.stdout.write(segstudy.init(study, **study_arguments(given, settings)))
    return 0


@app.command(group=USE)
def export(
    model: Path,
    /,
    *,
    to: Annotated[FormatName, Parameter(help=f"The format. {choices_text(FORMATS.values())}.")],
    int8: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    data: Path | None = None,
    network: str | None = None,
) -> int:
    """Write a trained model to a file that runs without PyTorch, if its masks stay the same.

    Example: `segstudy export my-images-classic --to onnx`

    Parameters
    ----------
    model
        A run's folder, or a study's folder (its best run).
    int8
        Use 8-bit arithmetic, calibrated on training images.
    out
        The file to write. By default, it is in the study's exports/; for a model outside its study, in the
        current folder.
    data
        The folder of the data set, if it was moved. For a model outside its study: images with masks for
        the comparison.
    network
        The file of your own network, as my.py:Net, if the model was trained with it.
    """
    from segstudy.deploy.export.parity import in_words  # what `--help` does without

    with problems.status("exporting") as shown:
        made = segstudy.export(
            model, to, int8=int8, out=out, data=data, progress=shown.update, network=network
        )
    for each in made.parity:
        say(in_words(each))
    say(f"written: {made.file}; comparison: {made.report}")
    return 0


def _choose(choices: Sequence["Choice"]) -> "Choice | None":
    """Ask which of them, numbered from 1; the number after the last is none of them, Enter the first."""
    stop = len(choices) + 1
    say(f"  {stop}  stop", problems)
    numbers = f"{', '.join(str(i) for i in range(1, stop))} or {stop}"
    while True:
        problems.print(f"choose {numbers} [1]: ", end="", markup=False, highlight=False)
        line = sys.stdin.readline()
        answer = line.strip() or "1"
        if not line or answer == str(stop):
            return None
        if answer.isdecimal() and 1 <= int(answer) < stop:
            return choices[int(answer) - 1]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with 0, 1 or 2 as DESIGN.md says."""
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) > 1 and not {"--help", "-h"}.isdisjoint(
        words
    ):  # of a command: the list of commands is quick
        app.help_epilogue = _plugins_text()
    guarded(app, arguments)


def _plugins_text() -> str:
    """Return the choices that plug-ins add, for the help of a command; empty if there are none."""
    from segstudy.core.plugins import listed  # looks at all that is installed

    return "".join(
        ["\n\nNames of installed plug-ins:", *(f"\n\n- {line}" for line in listed())] if listed() else []
    )
