"""The table of executors, which train the runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # they import torch, and help lists the executors without it
    from segstudy.training.executors.base import Watch
    from segstudy.training.job import Job, Outcome

__all__ = ["EXECUTORS", "Executor", "executor_named"]


@dataclass(frozen=True, slots=True)
class Executor:
    """An entry of the table.

    Attributes:
        name: what ``--executor NAME`` chooses.
        description: how it trains, in a few words for help and documentation.
        function: the place of the function, as ``package.module:name``; imported when runs are trained.
            It maps jobs, the number of workers and a ``Watch`` to outcomes, in order of their end; it
            trains each job by ``training.worker.execute``, and begins none once ``watch.stop`` is set.
        is_parallel: whether it trains several runs at a time; else ``--workers`` has no effect. Where none is
            named, the first of the table that suits the number of workers is taken.
        environments: the place of a function from device and threads of a training to the environments
            (``core.environment.environment``) of the machines that train now; None where it is this one.
    """

    name: str
    description: str
    function: str
    is_parallel: bool
    environments: str | None = None

    def train(self, jobs: "Sequence[Job]", workers: int, watch: "Watch") -> "Iterator[Outcome]":
        outcomes: Iterator[Outcome] = resolve_name(self.function)(jobs, workers, watch)
        return outcomes

    def trained_in(self, device: str, threads: int) -> list[dict[str, Any]]:
        """Return the environments of the machines that train now, not of those that join later."""
        from segstudy.core.environment import environment  # help does not need it

        return list(
            resolve_name(self.environments)(device, threads)
            if self.environments
            else [environment(device, threads)]
        )


EXECUTORS: dict[str, Executor] = {
    executor.name: executor
    for executor in (
        Executor(
            name="serial",
            description="one run after the other",
            function="segstudy.training.executors.serial:serial",
            is_parallel=False,
        ),
        Executor(
            name="processes",
            description="several runs in parallel",
            function="segstudy.training.executors.processes:processes",
            is_parallel=True,
        ),
    )
}


def executor_named(name: str) -> Executor:
    """The executor of this name, ours or a plug-in's.

    Raises:
        UserError: an unknown name, with the choices; a plug-in that cannot be used.
    """
    from segstudy.core.plugins import record_named  # `--help` does not need it

    return record_named("executor", name, EXECUTORS, Executor)
