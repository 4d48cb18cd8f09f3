"""Cases of hostile input, each run in a fork of a server that has imported segstudy, and what became of them.

Measured are memory, time, output and traces: no traceback, no "unexpected", one line for an error, at most
30 s and 1 GiB, no byte of the input changed, no canary alive.
"""

import contextlib
import hashlib
import multiprocessing
import os
import re
import resource
import shlex
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fake_data import make_folder
from rich.console import Console
from small import TINY, write_dataset

import segstudy
from segstudy.cli import models, studies, terminal

MAX_SECONDS, MAX_BYTES = 30.0, 2**30
NOBODY = 65534
STUDY = {**TINY, "architecture": "unet", "loss": ["bce", "dice"], "batch_size": 4}
STUDY |= {"executor": "serial", "threads": 1, "images": False}
SMALL = "--architecture unet --loss bce --image-size 32 --width 2 --epochs 1"

Make = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One hostile input.

    Attributes:
        family: images, masks, folders, study files, model files, exported files, and so on.
        name: what is hostile about it.
        make: writes it, given an empty folder; ``set`` and ``study`` lie there already where needed.
        command: of segstudy, in that folder.
        code: the exit code.
        said: a regular expression found in what the command says.
        needs: what lies in the folder before: "", "set" (a good data set), "study" (a set with a finished
            study and its best model as model.onnx and model.xml).
        as_nobody: run without root's rights.
        most_s: seconds it may take; more where something is trained.
    """

    family: str
    name: str
    make: Make
    command: str
    code: int
    said: str
    needs: str = "set"
    as_nobody: bool = False
    most_s: float = MAX_SECONDS


def trace(folder: Path) -> str:
    """A hash of all that lies in a folder but ``out``: names, kinds and bytes."""
    found = hashlib.sha256()
    for root, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name != "out")
        for path in (Path(root) / name for name in (*names, *sorted(files))):
            found.update(os.fsencode(path))
            if path.is_file() and not path.is_symlink():
                size = path.stat().st_size  # of those with holes there is nothing to read
                found.update(path.read_bytes() if size < MAX_BYTES else str(size).encode())
    return found.hexdigest()


def speak_to(stream: IO[str]) -> None:
    for name in ("console", "problems"):
        for module in (studies, models, terminal):
            setattr(module, name, Console(file=stream, soft_wrap=True, emoji=False))


def warm_up(folder: Path) -> None:
    """Have all imported that `hostile_preload` has not and another user might not be able to."""
    good, out = shlex.quote(str(folder / "plain" / "set")), shlex.quote(str(folder / "warm"))
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        speak_to(nowhere)
        for command in (f"check {good}", f"run {good} {SMALL} --out {out}", "check gone"):
            with contextlib.suppress(SystemExit):
                studies.main(shlex.split(command))


def run_case(here: str, command: str, as_nobody: bool, out: str) -> None:
    """In a process of its own: call segstudy, with all it says in a file, and write down what it took."""
    os.chdir(here)
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        Path(out).open("w", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        if as_nobody and os.geteuid() == 0:
            warm_up(Path(here).parent)
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        speak_to(stream)
        try:
            studies.main(shlex.split(command))
        except SystemExit as ended:
            code = ended.code
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os._exit(int(code or 0) if (peak - before) * 1024 < MAX_BYTES else 77)


@dataclass(frozen=True)
class Found:
    """What became of a case; ``wrong`` is empty when it was handled."""

    case: Case
    wrong: str
    seconds: float


class Corpus:
    """A folder to work in, the inputs that cases start from, and the server that runs them."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.chmod(0o755)
        os.environ["SEGSTUDY_CACHE"] = str(folder / "cache")
        data = write_dataset(folder / "good" / "set", n=12)
        segstudy.run(data, out=folder / "good" / "study", **STUDY)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn of what is none of ours
            for to, model in (("onnx", "model.onnx"), ("openvino", "model.xml")):
                segstudy.export(folder / "good" / "study", to, out=folder / "good" / model)
        make_folder(folder / "plain" / "set", ("a", "b", "c", "d"))
        for path in (folder / "cache").rglob("*"):
            path.chmod(0o777)
        (folder / "cache").chmod(0o777)
        # The server does not take over this process's path.
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        )
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["hostile_preload"])

    def run(self, case: Case) -> Found:
        here = self.folder / "case"
        here.mkdir()
        try:
            if case.needs == "study":
                shutil.copytree(self.folder / "good", here, dirs_exist_ok=True)
            elif case.needs == "set":
                shutil.copytree(self.folder / "plain", here, dirs_exist_ok=True)
            case.make(here)
            if case.as_nobody and os.geteuid() == 0:
                here.chmod(0o755 if here.stat().st_mode & 0o200 else 0o555)
            before = trace(here)
            return self._judged(case, here, before)
        finally:
            subfolders = [here, *(Path(root) for root, _, _ in os.walk(here))]
            for each in subfolders:
                each.chmod(0o755)
            shutil.rmtree(here)

    def _judged(self, case: Case, here: Path, before: str) -> Found:
        out = self.folder / "said.txt"
        began = time.monotonic()
        process = self.context.Process(
            target=run_case, args=(str(here), case.command, case.as_nobody, str(out))
        )
        process.start()
        process.join(case.most_s)
        if process.is_alive():
            process.kill()
            process.join()
            return Found(case, f"still at work after {case.most_s:.0f} s", case.most_s)
        said = out.read_text(encoding="utf-8", errors="replace")
        wrongs = {
            "more than 1 GiB of memory": process.exitcode == 77,
            f"exit code {process.exitcode}, not {case.code}: {said[-300:]!r}": process.exitcode != case.code,
            f"does not say {case.said!r}: {said[-300:]!r}": not re.search(case.said, said),
            "a traceback": "Traceback" in said,
            f"unexpected: {said[-200:]!r}": "unexpected" in said,
            "several errors": case.code == 2
            and len(re.findall("^error:", said, re.MULTILINE)) > 1
            and "check" not in case.command,
            f"control characters: {said[-200:]!r}": bool(re.search("[\x00-\x08\x0b-\x1f\x7f]", said)),
            "a canary lives": (here / "canary").exists() or (self.folder / "canary").exists(),
            "the input has changed": trace(here) != before,
        }
        wrong = "; ".join(text for text, applies in wrongs.items() if applies)
        return Found(case, wrong, time.monotonic() - began)
