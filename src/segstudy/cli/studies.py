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


_OTHERS = "or file.py:Name, package.module:Name, or the name of a plug-in"
_ARCHITECTURES = ", ".join([*keys_of("segstudy.models", "MODELS"), _OTHERS])
_LOSSES = ", ".join([*keys_of("segstudy.losses", "LOSSES"), _OTHERS])


@Parameter(name="*")
@dataclass(frozen=True)
class StudyFlags:
    """What overrides a study. Comma lists make factors: --loss bce,dice --set lr=1e-3,1e-4."""

    protocol: Annotated[
        str | None, Parameter(help="quick, classic or thorough: what the fields start from")
    ] = None
    architecture: Annotated[str | None, Parameter(help=_ARCHITECTURES)] = None
    loss: Annotated[str | None, Parameter(help=_LOSSES)] = None
    batch_size: Annotated[str | None, Parameter(help="images per step")] = None
    seeds: Annotated[int | None, Parameter(help="runs of each configuration, seeds 0 to N-1")] = None
    folds: Annotated[int | None, Parameter(help="folds instead of one split; 4 tests every image once")] = (
        None
    )
    epochs: Annotated[str | None, Parameter(help="passes over the training images")] = None
    image_size: Annotated[str | None, Parameter(help="pixels, N or HxW")] = None
    width: Annotated[str | None, Parameter(help="channels of the first stage")] = None
    masks: Annotated[
        str | None, Parameter(help="what mask values mean, such as background=0; omit it to find it")
    ] = None
    intensity: Annotated[
        str | None, Parameter(help="image values that become 0 to 255, such as 0..4095; omit it to find them")
    ] = None
    set_: Annotated[
        list[str] | None,
        Parameter(name="--set", help="any other field: --set optimizer=sgd --set lr=1e-2,1e-3", negative=()),
    ] = None
    data: Annotated[Path | None, Parameter(help="where the data set lies, if not where the study says")] = (
        None
    )
    split: Annotated[str | None, Parameter(help="official, 50/25/25, all (in folds), or a split.json")] = None
    exclude: Annotated[
        Path | None, Parameter(help="a file with the ids of samples to leave out, one per line")
    ] = None
    accept_duplicates: Annotated[
        bool | None,
        Parameter(help="train though near-duplicates of an image lie in several parts", negative=()),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class MachineFlags:
    """Where and how to train; nothing of it changes what a run is."""

    executor: Annotated[str | None, Parameter(help=choices_text(EXECUTORS.values()))] = None
    workers: Annotated[int, Parameter(help="runs side by side; 0: as many as the cores allow")] = 0
    threads: Annotated[int, Parameter(help="CPU threads of each run; 0: chosen for this machine")] = 0
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(help="where to train")] = "auto"
    checkpoint_every: Annotated[
        int, Parameter(help="save a state every N epochs; an interruption loses at most N epochs")
    ] = 1


@app.command(group=TRAIN)
def run(  # noqa: PLR0913 (an option each)
    study: Paths = None,
    /,
    *,
    flags: StudyFlags = StudyFlags(),
    machine: MachineFlags = MachineFlags(),
    out: Annotated[
        Path | None, Parameter(help="the study's folder; derived from its name if left out")
    ] = None,
    tracker: Annotated[
        str,
        Parameter(help=f"where progress is shown or logged, a comma list; {choices_text(TRACKERS.values())}"),
    ] = "terminal",
    retry: Annotated[bool, Parameter(help="also runs that diverged before", negative=())] = False,
    yes: Annotated[
        bool, Parameter(help="do not ask when the study will take more than two hours", negative=())
    ] = False,
    images: Annotated[bool, Parameter(help="pictures of the data in the report")] = True,
) -> int:
    """Train every run of a study that is not finished yet, and show the best configuration.

    Example: `segstudy run my-images --architecture unet,segnet --loss bce,dice --seeds 3`

    Parameters
    ----------
    study
        A study file, a data set's folder or a study's folder. Without it: the synthetic images and
        the quick protocol.
    """
    from segstudy.study.trackers.terminal import Display  # what `--help` does without

    with Display(problems) as display:
        display.stage("starting")
        finished = segstudy.run(
            study,
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
        say(f"runs differ in what may move their last bits: {now.differing}", problems)
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
        Path | None, Parameter(help="the study's folder, as for `run`; derived from its name if left out")
    ] = None,
) -> int:
    """What `run` would do: runs, hours, memory and disk, from a few timed steps. Writes nothing.

    Example: `segstudy plan my-images --protocol classic`

    Parameters
    ----------
    study
        As for `run`.
    """
    from segstudy.study.trackers.terminal import Display  # what `--help` does without

    with Stages(problems) as stage:
        stage("starting")
        made, missing, ahead, chosen = segstudy.plan(study, out=out, stage=stage, **_options(flags, machine))
    display = Display(console)
    display.plan(made.overview(), len(missing))
    display.estimate(ahead, chosen)
    return 0


@app.command(group=PREPARE)
def init(study: Paths = None, /, *, flags: StudyFlags = StudyFlags()) -> int:
    """Print a commented study.toml to start from.

    Example: `segstudy init my-images > study.toml`

    Parameters
    ----------
    study
        The data set's folder.
    """
    options = _options(flags, MachineFlags())
    sys.stdout.write(
        segstudy.init(study, **{k: v for k, v in options.items() if k not in asdict(MachineFlags())})
    )
    return 0


@app.command(group=TRAIN)
def status(folder: Path, /) -> int:
    """What of a study is done, failed and left.

    Example: `segstudy status my-images-classic`

    Parameters
    ----------
    folder
        The study's folder.
    """
    from segstudy.core.quantities import counted, duration  # what `--help` does without

    now = segstudy.status(folder)
    console.print(
        f"{now.num_finished} of {now.num_planned} runs finished, {now.num_failed} failed, {now.num_left} left"
    )
    if now.holder:
        say(f"being trained by {now.holder}")
    if now.num_begun:
        say(f"{now.num_begun} of them begun and saved: `run` continues them")
    if now.num_unnamed:
        say(
            f"{counted(now.num_unnamed, 'finished run')} beside them that study.toml does not name; "
            f"segstudy table {shlex.quote(str(folder))} --all shows all"
        )
    if now.differing:
        say(f"runs differ in what may move their last bits: {now.differing}")
    if now.num_left and now.seconds_to_go is None:
        say(f"time to go: {now.time_basis}")
    elif now.seconds_to_go:
        say(f"about {duration(now.seconds_to_go)} of training to go ({now.time_basis})")
    for failure in now.failures:
        say(f"failed: {failure['name']}: {failure['reason']}: {failure['detail']}")
        say(f"        {failure['remedy']}")
    return 1 if now.num_failed else 0


@app.command(group=TRAIN)
def verify(
    folder: Path,
    /,
    *,
    repair: Annotated[bool, Parameter(help="move what is wrong to quarantine/", negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Check every file of a study against its checksums and keys; exit with 1 if something is wrong.

    Example: `segstudy verify my-images-classic --repair`

    Parameters
    ----------
    folder
        The study's folder.
    repair
        Move what is wrong to quarantine/; nothing is deleted; the next `run` trains what is missing.
    json_
        As JSON.
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
    """Delete the runs of a configuration for good, after saying what goes and asking.

    Example: `segstudy remove my-images-classic segnet-bce-b8`

    Parameters
    ----------
    folder
        The study's folder.
    configuration
        As the leaderboard calls it; of masks of another tool, their name.
    unnamed
        Instead, all runs that study.toml no longer names (table --all shows them).
    yes
        Do not ask.
    """

    def asked(removal: "Removal") -> bool:
        say(f"to be deleted: {removal.sentence}", problems)
        problems.print("delete it? \\[y/N] ", end="", highlight=False)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Stopped("nothing was deleted", signal.SIGINT)
        return True

    had_report = (folder / "report.html").exists()
    confirm = asked if sys.stdin.isatty() and sys.stderr.isatty() else None
    done = segstudy.remove(folder, configuration, unnamed=unnamed, yes=yes, confirm=confirm)
    say(f"deleted: {done.sentence}" if done.paths else "nothing to delete")
    if done.paths and had_report:
        say(f"the report showed it and went too: segstudy report {shlex.quote(str(folder))} writes it again")
    return 0


@app.command(group=USE)
def export(
    model: Path,
    /,
    *,
    to: Annotated[FormatName, Parameter(help=f"The format; {choices_text(FORMATS.values())}")],
    int8: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    data: Path | None = None,
    network: str | None = None,
) -> int:
    """Write a trained model as a file that runs without PyTorch, if its masks stay the same.

    Example: `segstudy export my-images-classic --to onnx`

    Parameters
    ----------
    model
        A run's folder, or a study's: then the best run of its best configuration.
    int8
        Arithmetic in 8 bits, calibrated on training images: quicker still, and close.
    out
        The file to write; omit it to write into the study's exports/, or into the current folder for a
        model outside of its study.
    data
        Where the data set lies now, if not where the study says; for a model outside of its study, images
        with masks to compare masks on.
    network
        Your own network's file, as my.py:Net, where the model was trained with it.
    """
    from segstudy.deploy.export.parity import in_words  # what `--help` does without

    with problems.status("exporting") as shown:
        made = segstudy.export(
            model, to, int8=int8, out=out, data=data, progress=shown.update, network=network
        )
    for each in made.parity:
        say(in_words(each))
    say(f"{made.file}; report: {made.report}")
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
        ["\n\nPlug-ins that can be named too:", *(f"\n\n- {line}" for line in listed())] if listed() else []
    )
