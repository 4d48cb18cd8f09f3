"""Runs one after the other, the last first."""

from collections.abc import Iterator, Sequence

from segstudy.training.executors import Executor
from segstudy.training.executors.base import Watch
from segstudy.training.executors.serial import serial
from segstudy.training.job import Job, Outcome


def last_first(jobs: Sequence[Job], workers: int, watch: Watch) -> Iterator[Outcome]:
    yield from serial(list(reversed(jobs)), workers, watch)


TINY_EXECUTOR = Executor(
    name="tiny_executor",
    description="the last first",
    function="segstudy_tiny.executors:last_first",
    is_parallel=False,
)
