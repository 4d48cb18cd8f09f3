"""What an executor is."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from segstudy.training.job import Job, Listener


@dataclass(frozen=True)
class Watch:
    """Who hears of all jobs while they are trained, from any thread, and may ask them to stop.

    Attributes:
        epoch: told every epoch's row of every job.
        say: told in a line what is out of the ordinary with a job.
        stop: when set, no job is begun any more, and those at work end after their epoch, saved.
        begin: told every job before it is trained.
    """

    epoch: Callable[[Job, dict[str, float]], None] = lambda _job, _row: None
    say: Callable[[Job, str], None] = lambda _job, _text: None
    stop: threading.Event = field(default_factory=threading.Event)
    begin: Callable[[Job], None] = lambda _job: None


def listener_of(job: Job, watch: Watch) -> Listener:
    return Listener(lambda row: watch.epoch(job, row), lambda text: watch.say(job, text), watch.stop)
