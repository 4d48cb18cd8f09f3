"""Saving a training between its epochs, and resuming it."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

from segstudy.core.atomic_files import DiskError
from segstudy.core.environment import differing
from segstudy.store.checkpoints import Checkpoints, Progress
from segstudy.store.weights import read_state, state_bytes
from segstudy.training.job import Listener
from segstudy.training.loop import Training, restore, snapshot

Session = dict[str, Any]

MOST_FRAC = 0.05  # of a training's time that its states may take
LONGEST_S = 60.0  # of training that a crash may lose, if an epoch takes no longer


def is_due(trained_s: float, cost_s: float) -> bool:
    """Whether a state should be saved now.

    Args:
        trained_s: since the state before.
        cost_s: what the state before took to copy and write; 0 before the first.
    """
    return trained_s >= LONGEST_S or cost_s <= MOST_FRAC * trained_s


class Saving:
    """Saves a run's states; a context manager that must be left when its training ends, however it ends.

    States are written by a thread of their own while the training continues; the next one waits for the one
    before.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        environment: Mapping[str, Any],
        resumed: list[Session],
        say: Callable[[str], None],
        saved: Callable[[Progress], None] | None = None,
    ):
        """Keep what is stored with every state.

        Args:
            checkpoints: the run's.
            environment: of this session.
            resumed: each earlier session: ``after_epoch``, where it ended, and its ``environment``.
            say: called with a line on anything unusual.
            saved: see ``Listener``.
        """
        self.checkpoints, self.resumed = checkpoints, resumed
        self._environment, self._say, self._saved = environment, say, saved
        self._thread = ThreadPoolExecutor(1, "saving")
        self._under_way: tuple[int, Future[float]] | None = None
        self._saved_at = time.monotonic()
        self._cost_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._thread.shutdown()

    def is_due(self, epoch: int, every: int) -> bool:
        """Whether to save the state after this epoch: once in ``every`` epochs; for 0 see ``is_due``."""
        if every:
            return epoch % every == 0
        if self._under_way is not None and not self._under_way[1].done():
            return False  # the training would wait for the state before
        self.wait()  # its cost is known then
        return is_due(time.monotonic() - self._saved_at, self._cost_s)

    def save(self, training: Training) -> None:
        """Save a training's state; a failure to save does not end the training."""
        self.wait()  # before the next copy is made: states may be large
        began = time.monotonic()
        content = state_bytes(
            {
                "key": training.run.key,
                "training": snapshot(training),
                "environment": dict(self._environment),
                "resumed": self.resumed,
            }
        )
        epoch = len(training.rows)
        progress = Progress(
            epoch=epoch, num_epochs=training.num_epochs, seconds=training.seconds.get("total", 0.0)
        )
        self._saved_at = time.monotonic()
        self._cost_s = self._saved_at - began  # for a failure to write
        self._under_way = epoch, self._thread.submit(self._write, content, progress, self._cost_s)

    def _write(self, content: memoryview, progress: Progress, copied_s: float) -> float:
        """Write a state and return what it took in all, in seconds."""
        began = time.monotonic()
        self.checkpoints.write(progress.epoch, content)
        self.checkpoints.note(progress)
        if self._saved is not None:
            self._saved(progress)
        return copied_s + time.monotonic() - began

    def wait(self) -> None:
        """Wait until the last state is on the disk, or could not be written."""
        if self._under_way is None:
            return
        epoch, written = self._under_way
        self._under_way = None
        try:
            self._cost_s = written.result()
        except DiskError as error:
            self._say(f"its state after epoch {epoch} could not be saved: {error}")


def resumed(
    begin: Callable[[], Training],
    checkpoints: Checkpoints,
    environment: Mapping[str, Any],
    listener: Listener,
) -> tuple[Training, Saving]:
    """Return a training at its last saved epoch, or at its start; a state that cannot be used is set aside.

    Args:
        begin: makes the training before its first epoch.
        checkpoints: the run's saved states.
        environment: of this session, to be saved and compared with that of the session before.
        listener: is told what was found, and of every state.
    """
    say = listener.say
    unusable = 0
    for file, content in checkpoints.contents():
        training = begin()
        try:
            state = None if content is None else read_state(content)
            if state is None or state["key"] != training.run.key:
                raise ValueError("incomplete or altered")
            restore(training, state["training"])
            before, earlier = dict(state["environment"]), list(state["resumed"])
        except (ValueError, KeyError, TypeError) as error:
            unusable += 1
            with suppress(OSError):  # on a read-only disk the state is only skipped
                checkpoints.set_aside(file)
            say(f"{file.name} cannot be used ({error}) and was moved aside")
            continue
        epoch = len(training.rows)
        say(f"continues after epoch {epoch} of {training.num_epochs}{_elsewhere(before, environment)}")
        session = {"after_epoch": epoch, "environment": before}
        return training, Saving(checkpoints, environment, [*earlier, session], say, listener.saved)
    if unusable:
        say("no saved state can be used: the run starts again")
    return begin(), Saving(checkpoints, environment, [], say, listener.saved)


def _elsewhere(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how this session differs from the one before, where it may change the last bits."""
    moved = [f"{name} {before[name]}, now {now[name]}" for name in differing([before, now])]
    return f"; started with {', '.join(moved)}: its last bits may differ" if moved else ""
