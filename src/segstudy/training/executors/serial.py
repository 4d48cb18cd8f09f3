"""One run after the other, in this process."""

from collections.abc import Iterator, Sequence

from segstudy.training.executors.base import Watch, listener_of
from segstudy.training.job import Job, Outcome
from segstudy.training.worker import execute


def serial(jobs: Sequence[Job], _workers: int, watch: Watch) -> Iterator[Outcome]:
    """One run after the other, in this process."""
    for job in jobs:
        if watch.stop.is_set():
            return
        watch.begin(job)
        yield execute(job, listener_of(job, watch))
