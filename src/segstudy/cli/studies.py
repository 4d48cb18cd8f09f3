"""The command line: parse, call one function, print. Here the commands on studies, and the way in."""

import json
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

import segstudy
import segstudy.cli.data  # its commands
import segstudy.cli.results  # and its commands
from segstudy.cli.models import PREPARE, TRAIN, USE, app
from segstudy.cli.power import PowerFlags, print_power
from segstudy.cli.terminal import choices_text, console, guarded, problems, say, width
from segstudy.core.errors import Stopped
from segstudy.core.progress import Stages
from segstudy.core.table_keys import keys_of
from segstudy.deploy.export import FORMATS, FormatName
from segstudy.study.trackers import TRACKERS
from segstudy.training.executors import EXECUTORS

if TYPE_CHECKING:
    from segstudy.study.choices import Choice
    from segstudy.study.removal import Removal

Paths = Annotated[Path | None, Parameter()]


_OTHERS = "file.py:Name, package.module:Name, the name of a plug-in"
_ARCHITECTURES = ", ".join([*keys_of("segstudy.models", "MODELS"), _OTHERS])
_LOSSES = ", ".join([*keys_of("segstudy.losses", "LOSSES"), _OTHERS])
_MASKS = "The rule for mask values, such as background=0. By default, it is found from all masks."
_INTENSITY = (
    "The image values that become 0 to 255, such as 0..4095. By default, they are found from all images."
)


@Parameter(name="*")
@dataclass(frozen=True)
class StudyFlags:
    """What overrides a study. Comma lists make factors: --loss bce,dice --set lr=1e-3,1e-4."""

    protocol: Annotated[
        str | None, Parameter(help="The initial values of all fields: quick, classic or thorough.")
    ] = None
    architecture: Annotated[str | None, Parameter(help=f"One or more of: {_ARCHITECTURES}.")] = None
    loss: Annotated[str | None, Parameter(help=f"One or more of: {_LOSSES}.")] = None
    batch_size: Annotated[str | None, Parameter(help="The number of images per training step.")] = None
    seeds: Annotated[int | None, Parameter(help="The number of runs per configuration: seeds 0 to N-1.")] = (
        None
    )
    folds: Annotated[int | None, Parameter(help="Folds instead of one split: each image is tested once.")] = (
        None
    )
    repeats: Annotated[
        int | None, Parameter(help="The number of sets of folds, each dealt in another order. Needs --folds.")
    ] = None
    epochs: Annotated[str | None, Parameter(help="The number of passes over the training images.")] = None
    image_size: Annotated[
        str | None, Parameter(help="The size for the networks in pixels: N, or height x width as HxW.")
    ] = None
    width: Annotated[str | None, Parameter(help="The number of channels of the first stage.")] = None
    masks: Annotated[str | None, Parameter(help=_MASKS)] = None
    intensity: Annotated[str | None, Parameter(help=_INTENSITY)] = None
    set_: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            help="Any other field of the study file (--set optimizer=sgd --set lr=1e-2,1e-3).",
            negative=(),
        ),
    ] = None
    data: Annotated[Path | None, Parameter(help="The folder of the data set, if it was moved.")] = None
    split: Annotated[
        str | None, Parameter(help="official, shares such as 50/25/25, all (with --folds), or a split.json.")
    ] = None
    exclude: Annotated[
        Path | None, Parameter(help="A file with the ids of samples to leave out, one per line.")
    ] = None
    accept_duplicates: Annotated[
        bool | None,
        Parameter(help="Train even if near-duplicates of an image are in several subsets.", negative=()),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class MachineFlags:
    """Where and how to train. No option here is part of a run's key."""

    executor: Annotated[
        str | None, Parameter(help=f"How runs are trained. {choices_text(EXECUTORS.values())}.")
    ] = None
    workers: Annotated[int, Parameter(help="The number of runs in parallel. 0: chosen for this machine.")] = 0
    threads: Annotated[
        int, Parameter(help="The number of CPU threads per run. 0: chosen for this machine.")
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Parameter(help="The device for the training.")
    ] = "auto"
    checkpoint_every: Annotated[
        int,
        Parameter(
            help="Save a state every N epochs. After a crash, a run continues from its last state. "
            "0: as often as takes little time, at least once a minute."
        ),
    ] = 0
    same_hardware: Annotated[
        bool,
        Parameter(
            help="Refuse to train where device, processor, threads or libraries differ from those of the "
            "finished runs.",
            negative=(),
        ),
    ] = False


@app.command(group=TRAIN)
def run(  # noqa: PLR0913 (an option each)
    study: Paths = None,
    /,
    *,
    flags: StudyFlags = StudyFlags(),
    machine: MachineFlags = MachineFlags(),
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
            **_options(flags, machine),
        )
    say(segstudy.table(finished.path, width=width()).rstrip("\n"))
    say(f"report: {finished.path / 'report.html'}")
    now = segstudy.status(finished.path)
    if now.differing:
        say(f"the runs have different environments, so their last bits may differ: {now.differing}", problems)
    for failure in now.failures:
        say(f"failed: {failure['name']}: {failure['reason']}; {failure['remedy']}", problems)
    return 1 if now.failures else 0


@app.command(group=PREPARE)
def plan(
    study: Paths = None,
    /,
    *,
    flags: StudyFlags = StudyFlags(),
    machine: MachineFlags = MachineFlags(),
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
        planned = segstudy.plan(study, out=out, stage=stage, **_options(flags, machine))
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
    options = _options(flags, MachineFlags())
    sys.stdout.write(
        segstudy.init(study, **{k: v for k, v in options.items() if k not in asdict(MachineFlags())})
    )
    return 0


@app.command(group=TRAIN)
def status(folder: Path, /) -> int:
    """Show how many runs of a study are finished, failed and left, and the remaining time.

    Example: `segstudy status my-images-classic`

    Parameters
    ----------
    folder
        The study's folder.
    """
    from segstudy.core.quantities import counted, duration  # what `--help` does without

    now = segstudy.status(folder)
    console.print(
        f"{now.num_finished} of {counted(now.num_planned, 'run')} finished, {now.num_failed} failed, "
        f"{now.num_left} left"
    )
    for sentence in now.looks:
        say(sentence)
    if now.holder:
        say(f"training now: {now.holder}")
    if now.num_begun:
        say(f"{now.num_begun} of these started and saved: `run` continues")
    if now.num_unnamed:
        say(
            f"{counted(now.num_unnamed, 'more finished run')} that study.toml does not name; "
            f"segstudy table {shlex.quote(str(folder))} --all shows all"
        )
    if now.differing:
        say(f"the runs have different environments, so their last bits may differ: {now.differing}")
    if now.num_left and now.seconds_to_go is None:
        say(f"remaining time: {now.time_basis}")
    elif now.seconds_to_go:
        say(f"remaining time: about {duration(now.seconds_to_go)} ({now.time_basis})")
    for failure in now.failures:
        say(f"failed: {failure['name']}: {failure['reason']}: {failure['detail']}")
        say(f"        {failure['remedy']}")
    return 1 if now.num_failed else 0


@app.command(group=TRAIN)
def verify(
    folder: Path,
    /,
    *,
    repair: Annotated[bool, Parameter(help="Move wrong files to quarantine/.", negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Check all files of a study against their checksums. The exit code is 1 if something is wrong.

    Example: `segstudy verify my-images-classic --repair`

    Parameters
    ----------
    folder
        The study's folder.
    repair
        Move wrong files to quarantine/. Nothing is deleted. The next `run` trains what is missing.
    json_
        Print JSON.
    """
    from segstudy.cli.formatting import verification_text  # what `--help` does without

    found = segstudy.verify(folder, repair)
    if json_:
        sys.stdout.write(json.dumps(asdict(found), indent=1, default=str) + "\n")
    else:
        say(verification_text(found, folder))
    return 1 if found.faults else 0


@app.command(group=TRAIN)
def remove(
    folder: Path,
    configuration: str | None = None,
    /,
    *,
    unnamed: Annotated[bool, Parameter(negative=())] = False,
    yes: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Delete all runs of a configuration permanently. It first lists them and asks.

    Example: `segstudy remove my-images-classic segnet-bce-b8`

    Parameters
    ----------
    folder
        The study's folder.
    configuration
        The name in the leaderboard of a configuration, or of masks of another tool.
    unnamed
        Delete all runs that study.toml no longer names (`table --all` shows them).
    yes
        Do not ask.
    """

    def asked(removal: "Removal") -> bool:
        say(f"this will be deleted: {removal.sentence}", problems)
        problems.print("delete it permanently? \\[y/N] ", end="", highlight=False)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Stopped("nothing was deleted", signal.SIGINT)
        return True

    had_report = (folder / "report.html").exists()
    confirm = asked if sys.stdin.isatty() and sys.stderr.isatty() else None
    done = segstudy.remove(folder, configuration, unnamed=unnamed, yes=yes, confirm=confirm)
    say(f"deleted: {done.sentence}" if done.paths else "nothing to delete")
    if done.paths and had_report:
        say(f"the old report was deleted too: segstudy report {shlex.quote(str(folder))} writes a new one")
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


def _options(flags: StudyFlags, machine: MachineFlags) -> dict[str, Any]:
    """Flags as keyword arguments of `segstudy.run`; comma lists become lists."""
    from segstudy.cli.options import study_arguments  # what `--help` does without

    given = asdict(flags)
    settings = given.pop("set_") or ()
    return {**study_arguments(given, settings), **asdict(machine)}


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
