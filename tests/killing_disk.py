"""A process that is killed at the n-th thing asked of the disk under one folder.

    python tests/killing_disk.py STEP OUT merge A B
    python tests/killing_disk.py STEP OUT.zip pack A

kills the command at every STEP-th write below OUT, each time into a folder that is not there, lets the same
command complete it, and prints one JSON line: how many times, and what was wrong.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from failing_disk import FailingDisk
from trees import merged_tree, tree

import segstudy
import segstudy.study.merge  # before the children, which would each import it
import segstudy.study.pack


class KillingDisk(FailingDisk):
    """Ends the process where ``FailingDisk`` refuses: a write has written half of its bytes then."""

    def _refused(self, path: object) -> OSError:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(path)


def in_child(call: Callable[[], object], folder: Path, at: int | None = None) -> int:
    """Call in a child process, killed at this request to the disk; the signal that ended it, or its code.

    The parent must not have used polars, whose threads a child would wait for.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if at is not None:
                os.fsync = lambda _: None  # it takes most of the time, and no kill can undo a write
                KillingDisk(folder, pytest.MonkeyPatch()).fail(at, 0)
            call()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def killed_everywhere(
    call: Callable[[], object],
    place: Path,
    step: int,
    state: Callable[[], object],
    looks_done: Callable[[], bool],
) -> dict[str, object]:
    """Kill a call at every ``step``-th request, and let it complete what is there then.

    Args:
        call: writes below ``place``.
        place: removed before every try.
        step: every how many requests.
        state: of the result, without times.
        looks_done: whether what is there could be taken for a finished result.
    """
    assert in_child(call, place) == 0
    wanted, wrong, kills, done = state(), [], 0, 0
    remove(place)
    for at in range(0, 100_000, step):
        ended = in_child(call, place, at)
        if ended == 0:
            break
        kills += ended == signal.SIGKILL
        if looks_done():
            done += 1
            if state() != wanted and not is_only_locked(state(), wanted):
                wrong.append(f"{at}: looks finished and is not")
        if in_child(call, place) != 0:
            wrong.append(f"{at}: the same command fails")
        elif state() != wanted:
            wrong.append(f"{at}: completed, but differs")
        remove(place)
    remove(place)
    return {"kills": kills, "looked_done": done, "wrong": wrong}


def is_only_locked(found: object, wanted: object) -> bool:
    """Whether a result is complete but for the lock of the killed process."""
    return isinstance(found, dict) and {n: v for n, v in found.items() if n != "study.lock"} == wanted


def main(step: str, out: str, command: str, *sources: str) -> None:
    place = Path(out)
    if command == "merge":
        found = killed_everywhere(
            lambda: segstudy.merge(*sources, out=place),
            place,
            int(step),
            lambda: merged_tree(place),
            (place / "study.toml").exists,
        )
    else:
        found = killed_everywhere(
            lambda: segstudy.pack(*sources, out=place),
            place,
            int(step),
            lambda: tree(place.parent),
            place.exists,
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
