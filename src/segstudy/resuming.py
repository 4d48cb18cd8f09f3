"""A training saved after its epochs, and brought back to where it was."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from segstudy.checkpoint import Checkpoints
from segstudy.files import DiskError
from segstudy.train import Training, restore, snapshot

BITS = ("torch", "numpy", "pillow", "kornia", "cpu", "device", "threads")  # what may move a run's last bits

Session = dict[str, Any]


@dataclass(frozen=True)
class Saving:
    """Where a run's states go, and from where it came.

    Attributes:
        checkpoints: the run's.
        environment: of this session.
        resumed: each earlier session: ``after_epoch``, where it ended, and its ``environment``.
        say: told in a line what is out of the ordinary.
    """

    checkpoints: Checkpoints
    environment: Mapping[str, Any]
    resumed: list[Session]
    say: Callable[[str], None]

    def save(self, training: Training) -> None:
        """Save a training's state; where that fails it goes on, for it may well end before the power does."""
        state = {
            "key": training.run.key,
            "training": snapshot(training),
            "environment": dict(self.environment),
            "resumed": self.resumed,
        }
        try:
            self.checkpoints.write(len(training.rows), state)
        except DiskError as error:
            self.say(f"its state after epoch {len(training.rows)} could not be saved: {error}")


def resumed(
    begin: Callable[[], Training],
    checkpoints: Checkpoints,
    environment: Mapping[str, Any],
    say: Callable[[str], None],
) -> tuple[Training, Saving]:
    """A training at its last saved epoch, or before its first; a state that cannot be used is set aside.

    Args:
        begin: makes the training before its first epoch.
        checkpoints: the run's saved states.
        environment: of this session, to be saved and compared with that of the session before.
        say: told what was found.
    """
    unusable = 0
    for file, state in checkpoints.states():
        training = begin()
        try:
            if state is None or state["key"] != training.run.key:
                raise ValueError("torn or altered")
            restore(training, state["training"])
            before, earlier = dict(state["environment"]), list(state["resumed"])
        except (ValueError, KeyError, TypeError) as error:
            unusable += 1
            with suppress(OSError):  # on a disk that takes no writing it is only passed over
                checkpoints.set_aside(file)
            say(f"{file.name} cannot be used ({error}) and was set aside")
            continue
        epoch = len(training.rows)
        say(f"goes on after epoch {epoch} of {training.num_epochs}{_elsewhere(before, environment)}")
        session = {"after_epoch": epoch, "environment": before}
        return training, Saving(checkpoints, environment, [*earlier, session], say)
    if unusable:
        say("no state that was saved can be used: begins again")
    return begin(), Saving(checkpoints, environment, [], say)


def _elsewhere(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs from the session before, where it may move bits."""
    moved = [f"{name} {before.get(name)}, now {now[name]}" for name in BITS if before.get(name) != now[name]]
    return f"; begun with {', '.join(moved)}: its last bits may differ" if moved else ""
