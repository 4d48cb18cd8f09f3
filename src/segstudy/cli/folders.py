"""The commands on a study's folder: its progress, its checksums, deletion."""

import json
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

import segstudy
from segstudy.cli.models import TRAIN, app
from segstudy.cli.terminal import MOST_FAILURES, console, problems, say
from segstudy.core.errors import Stopped

if TYPE_CHECKING:
    from segstudy.study.removal import Removal


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
        say(f"at work on it now: {now.holder}")
    if now.num_begun:
        say(f"{now.num_begun} of these started and saved: `run` continues")
    if now.num_unnamed:
        say(
            f"{counted(now.num_unnamed, 'more finished run')} that study.toml does not name; "
            f"segstudy table {shlex.quote(str(folder))} --all shows all"
        )
    if now.num_unnamed_failed or now.num_unnamed_begun:
        say(
            f"also {now.num_unnamed_failed} failed, {now.num_unnamed_begun} started and saved, which "
            "study.toml does not name"
        )
    if now.differing:
        say(f"the runs have different environments, so their last bits may differ: {now.differing}")
    for sentence in now.hardware:
        say(sentence)
    if now.num_left and now.seconds_to_go is None:
        say(f"remaining time: {now.time_basis}")
    elif now.seconds_to_go:
        say(f"remaining time: about {duration(now.seconds_to_go)} ({now.time_basis})")
    _say_failures(now.failures, folder)
    return 1 if now.num_failed else 0


def _say_failures(failures: Sequence[Mapping[str, Any]], folder: Path) -> None:
    for failure in failures[:MOST_FAILURES]:
        say(f"failed: {failure['name']}: {failure['reason']}: {failure['detail']}")
        say(f"        {failure['remedy']}")
    if len(failures) > MOST_FAILURES:
        say(f"failed: {len(failures) - MOST_FAILURES} more runs, see {folder / 'failures'}")


@app.command(group=TRAIN)
def verify(
    path: Path,
    /,
    *,
    repair: Annotated[bool, Parameter(help="Move wrong files to quarantine/.", negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Check all files of a study against their checksums. The exit code is 1 if something is wrong.

    Example: `segstudy verify my-images-classic --repair`

    Parameters
    ----------
    path
        The study's folder, or a zip file that `pack` wrote.
    repair
        Move wrong files to quarantine/. Nothing is deleted. The next `run` trains what is missing.
    json_
        Print JSON.
    """
    from segstudy.cli.formatting import verification_text  # what `--help` does without

    found = segstudy.verify(path, repair)
    if json_:
        sys.stdout.write(json.dumps(asdict(found), indent=1, default=str) + "\n")
    else:
        say(verification_text(found, path))
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
