"""The interface of an executor."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from segstudy.training.job import Job, Listener


@dataclass(frozen=True)
class Watch:
    """Callbacks that follow all jobs while they are trained, from any thread, and may ask them to stop.

    Attributes:
        epoch: called with every epoch's row of every job.
        say: called with a line on anything unusual about a job.
        stop: when set, no further job is begun, and those at work are saved and end after their epoch.
        begin: called with every job before it is trained, and again before it is trained elsewhere.
        wait: called with a job that was begun and now waits until another process trains it.
    """

    epoch: Callable[[Job, dict[str, float]], None] = lambda _job, _row: None
    say: Callable[[Job, str], None] = lambda _job, _text: None
    stop: threading.Event = field(default_factory=threading.Event)
    begin: Callable[[Job], None] = lambda _job: None
    wait: Callable[[Job], None] = lambda _job: None


def listener_of(job: Job, watch: Watch) -> Listener:
    return Listener(lambda row: watch.epoch(job, row), lambda text: watch.say(job, text), watch.stop)
