"""What runs on the machines of the cluster: a place for one run at a time, and a reader of prepared data.

Ray starts these classes as processes of their own ("actors"). They import little: each place trains in a
``worker_process``, the same as without Ray, so Ray is not in the process that computes.
"""

import hashlib
import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from segstudy.core.atomic_files import own_folder
from segstudy.core.cache import is_cached, writable_folder
from segstudy.core.errors import UserError, one_line, typed_line
from segstudy.core.libraries import ray as import_ray
from segstudy.core.paths import inside
from segstudy.core.version import __version__
from segstudy.training.executors.child import Child
from segstudy.training.executors.on_ray.own_code import Files, placed
from segstudy.training.executors.on_ray.prepared_data import (
    Listing,
    NotSentError,
    discard,
    fetch,
    piece,
    place_of,
)
from segstudy.training.executors.worker_process import HAND_OVER, KEPT, STOP


@dataclass(frozen=True)
class Order:
    """A run to train on another machine.

    Attributes:
        job: as ``Job`` writes itself; ``study`` and ``prepared`` are those of the machine that gives it.
        prepared: the name of the prepared data.
        code: files of the user's own network and loss, see ``own_code``.
        states: the files of saved states to continue from, by their paths from the study's folder.
    """

    job: dict[str, Any]
    prepared: str
    code: Mapping[str, tuple[str, Files]] = field(default_factory=dict)
    states: Files = field(default_factory=dict)


@cache
def code_version() -> str:
    """Return the version of segstudy with a hash of its source files."""
    package, content = Path(__file__).parents[3], hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        content.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return f"{__version__} ({content.hexdigest()[:8]})"


class Place:
    """A place for one run at a time. ``train`` is called by one thread, the rest by another."""

    def __init__(self, threads: int):
        """Make it.

        Args:
            threads: CPU threads of a training.
        """
        self._threads = threads
        self._folder: Path | None = None
        self._error = ""
        try:
            self._folder = own_folder(writable_folder("ray"))
        except (UserError, OSError) as error:  # `about` says it, with the machine
            self._error = one_line(error)
        self._child: Child | None = None
        self._is_asked_to_stop = False

    def about(self) -> dict[str, str]:
        """Return the machine's name, its number for Ray, the version of segstudy there, and any error."""
        node = import_ray().get_runtime_context().get_node_id()
        return {"machine": socket.gethostname(), "node": node, "code": code_version(), "error": self._error}

    def has(self, prepared: str) -> bool:
        """Whether this machine has these prepared data."""
        try:
            return is_cached(place_of(prepared))
        except UserError:  # `fetch` says why
            return False

    def fetch(self, prepared: str, files: Listing, reader: Any) -> dict[str, str]:
        """Bring prepared data to this machine, from the ``Reader`` where they are.

        Returns:
            Empty if they are here; else ``not_sent``, why they do not come, or ``not_stored``, why they
            cannot be stored on this machine. As text: not all of our errors can be sent.
        """
        ray = import_ray()

        def get(piece: Any) -> bytes:
            try:
                return bytes(ray.get(piece))
            except ray.exceptions.RayTaskError as error:  # of the other machine, though also an OSError
                raise NotSentError(typed_line(error.cause)) from None
            except ray.exceptions.RayActorError as error:
                raise NotSentError(one_line(error)) from None

        try:
            fetch(prepared, files, reader.piece.remote, get)
        except NotSentError as error:
            return {"not_sent": one_line(error)}
        except (UserError, OSError, ray.exceptions.RayError) as error:
            return {"not_stored": one_line(error)}
        return {}

    def discard(self, prepared: str, source: tuple[int, int]) -> bool:
        """Remove prepared data that are not as they were written; see ``prepared_data.discard``."""
        try:
            return discard(prepared, source)
        except (UserError, OSError):
            return False

    def train(self, order: Order) -> Iterator[dict[str, Any]]:
        """Train a run and yield what happens.

        Yields:
            ``epoch`` and ``say`` as ``worker_process`` reports them; ``saved`` with the ``content`` of the
            state's file, after which ``kept`` must be called; last an ``outcome`` with the content of all
            ``files`` that belong to it, or how the worker process ``died``, or why this machine is
            ``unusable``.
        """
        try:
            job, child = self._here(order), self._ready()
        except OSError as error:
            yield {"unusable": one_line(error)}
            return
        is_over = False
        try:
            child.send(json.dumps(job))
            if self._is_asked_to_stop:
                child.send(STOP)
            for event in child.events():
                is_over = "outcome" in event
                yield _with_contents(event)
            if not is_over:
                is_over = True
                yield {"died": child.last_words()}
        finally:
            if not is_over:  # else the next run would get the events of this one
                child.kill()

    def kept(self) -> None:
        """Say that the last saved state is stored."""
        if self._child is not None:
            self._child.send(KEPT)

    def stop(self) -> None:
        """Save and end the run after its epoch."""
        self._is_asked_to_stop = True
        if self._child is not None:
            self._child.send(STOP)

    def close(self) -> None:
        """End the worker process and remove what it wrote here, other than prepared data."""
        if self._child is not None:
            self._child.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _here(self, order: Order) -> dict[str, Any]:
        """Return the job with paths of this machine, after writing what it starts from."""
        assert self._folder is not None  # else `about` has said why, and no run comes here
        study = self._folder / "study"
        shutil.rmtree(study, ignore_errors=True)
        for name, content in order.states.items():
            file = inside(study, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        study.mkdir(exist_ok=True)
        run = order.job["run"]
        configuration = run["configuration"] | placed(order.code, self._folder / "code")
        return {
            **order.job,
            "run": {**run, "configuration": configuration},
            "study": str(study),
            "prepared": str(place_of(order.prepared)),
        }

    def _ready(self) -> Child:
        if self._child is None or not self._child.is_alive():
            if self._child is not None:
                self._child.close()
            self._child = Child({"OMP_NUM_THREADS": str(self._threads)}, HAND_OVER)
        return self._child


def _with_contents(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of a worker process with the contents of the files that it names."""
    if "saved" in event:
        return {"saved": event["saved"], "content": Path(event["file"]).read_bytes()}
    if "outcome" in event:
        files = [Path(file) for file in event["files"]]
        return {**event, "files": {file.name: file.read_bytes() for file in files}}
    return event


class Reader:
    """Reads one folder of prepared data on the machine that has it."""

    def __init__(self, folder: str):
        self._folder = Path(folder)

    def piece(self, name: str, start: int) -> bytes:
        return piece(self._folder, name, start)
