"""The trial of exported files: each new one is first loaded in a process of its own.

Its graph is a program, and the libraries that run it guard against mistakes, not against malice: a file may
ask for terabytes, loop for ever or bring the process down. The trial has a limit of memory and of time; files
that passed are remembered in the cache by their content, so the cost is paid once.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from segstudy.core.atomic_files import DiskError, make_folder, write_text
from segstudy.core.cache import cache_folder
from segstudy.core.checksums import sha256_of
from segstudy.core.errors import UserError
from segstudy.core.input_files import MB
from segstudy.core.version import __version__
from segstudy.deploy.file_kinds import kind_of

VERSION = 1  # raised when a trial checks more
WALL_S = 600  # the process limits itself to less, where the system can
TIME_IS_UP = (signal.SIGXCPU, signal.SIGALRM) if os.name == "posix" else ()
REMEDY = "use a file from a source that you trust, or export the model again"


def ensure_tried(file: Path, engine: str, precision: str) -> None:
    """Try a file with an engine, unless it passed here before.

    Raises:
        UserError: too large, or what went wrong in the trial.
    """
    if not sys.executable:  # Python within another program: no process can be started
        return
    digest = _digest(file, engine, precision)
    passed = cache_folder() / "tried-models" / digest[:32]
    with suppress(OSError):
        if passed.read_text(encoding="utf-8") == digest:
            return
    _try(file, engine, precision)
    with suppress(DiskError):  # then it is tried again the next time
        make_folder(passed.parent)
        write_text(passed, digest)


def refuse_too_large(file: Path) -> None:
    """Refuse a file that is larger than any model, before it is read.

    Raises:
        UserError: it is too large.
    """
    for each, most in kind_of(file).files(file).items():
        with suppress(OSError):  # the reader of the file reports it
            if each.stat().st_size > most:
                raise UserError(f"{each}: larger than {most / MB:,.0f} MB, too large for a model; {REMEDY}")


def _digest(file: Path, engine: str, precision: str) -> str:
    kind = kind_of(file)
    try:
        content = sha256_of(*kind.files(file))
    except OSError as error:
        raise UserError(f"{error.filename or file}: cannot be read ({error.strerror}); {REMEDY}") from None
    about = [VERSION, __version__, engine, precision, kind.suffix, content]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _try(file: Path, engine: str, precision: str) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "segstudy.deploy.engines.sandbox_process",
        str(file),
        engine,
        precision,
    ]
    try:
        done = subprocess.run(  # noqa: S603 (this very program)
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{file}: not finished with one image after {WALL_S} s; {REMEDY}") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be tried ({error.strerror}); close other programs") from None
    said = done.stdout.decode("utf-8", "replace").strip().split("\n")[-1]
    try:
        answer = json.loads(said)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and "problem" in answer:
        if answer["problem"]:
            raise UserError(str(answer["problem"]))
        return
    if -done.returncode in TIME_IS_UP:
        raise UserError(f"{file}: needs too much time for one image; {REMEDY}")
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise UserError(f"{file}: its trial ended with {ended}; {REMEDY}")
