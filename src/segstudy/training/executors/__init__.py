"""The table of executors, which train the runs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # they import torch, and help lists the executors without it
    from segstudy.training.executors.base import Watch
    from segstudy.training.job import Job, Outcome

__all__ = ["EXECUTORS", "Executor", "Option", "executor_named"]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of an executor: a flag of the command line, and a keyword of the executor's functions.

    Attributes:
        name: of the keyword; the flag is ``--`` and the name with hyphens.
        default: its value if it is not given; a value has the default's type.
        description: its meaning, in a sentence for help.
    """

    name: str
    default: str | int | float
    description: str

    def checked(self, value: object) -> str | int | float:
        """Return a value in the default's type; text, as the command line gives it, is converted.

        Raises:
            UserError: it has another type.
        """
        from segstudy.core.errors import UserError  # `--help` does not need it

        kind = type(self.default)
        try:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise ValueError
            if kind is str and not isinstance(value, str):
                raise ValueError
            converted = kind(value)
            if isinstance(converted, float) and not math.isfinite(converted):
                raise ValueError
            if converted != value and not isinstance(value, str):
                raise ValueError
        except (ValueError, OverflowError):
            noun = {str: "text", int: "a whole number", float: "a finite number"}[kind]
            raise UserError(f"{self.name} must be {noun}, got {value!r}") from None
        return converted


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
        options: the options of its own; its functions take those that are given as keywords.
        room: where runs are also trained on other machines: the place of a function from device and threads
            of a run to the number of runs that these machines have room for now. If the user does not say
            how many ``workers``, ``function`` is given 0 and uses all there is room for. None: this
            machine's cores decide.
    """

    name: str
    description: str
    function: str
    is_parallel: bool
    environments: str | None = None
    options: tuple[Option, ...] = ()
    room: str | None = None

    def train(
        self, jobs: "Sequence[Job]", workers: int, watch: "Watch", options: Mapping[str, Any] | None = None
    ) -> "Iterator[Outcome]":
        outcomes: Iterator[Outcome] = resolve_name(self.function)(jobs, workers, watch, **(options or {}))
        return outcomes

    def trained_in(
        self, device: str, threads: int, options: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the environments of the machines that train now, not of those that join later."""
        from segstudy.core.environment import environment  # help does not need it

        return list(
            resolve_name(self.environments)(device, threads, **(options or {}))
            if self.environments
            else [environment(device, threads)]
        )

    def checked(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Return the given options, each in its type.

        Raises:
            UserError: an option that it does not have, or a value of another type.
        """
        from segstudy.core.errors import UserError  # `--help` does not need it

        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                others = [each.name for each in EXECUTORS.values() if name in (o.name for o in each.options)]
                remedy = f"it is an option of --executor {others[0]}" if others else _choices(known)
                raise UserError(f"executor {self.name} has no option {name}; {remedy}")
        return {name: known[name].checked(value) for name, value in given.items()}


def _choices(known: Mapping[str, Option]) -> str:
    return f"its options are {', '.join(known)}" if known else "it has no options"


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
        Executor(
            name="ray",
            description="several runs in parallel on the machines of a Ray cluster",
            function="segstudy.training.executors.on_ray.executor:on_ray",
            is_parallel=True,
            options=(
                Option(
                    "ray_address",
                    "",
                    "The address of the Ray cluster, as HOST:PORT. By default the cluster that runs here, "
                    "else one is started on this machine; local: always one of its own.",
                ),
                Option(
                    "gpus_per_run",
                    0.0,
                    "The GPUs of each run; 0.25: four runs share one. 0: one whole GPU if --device is cuda.",
                ),
            ),
            environments="segstudy.training.executors.on_ray.environments:environments",
            room="segstudy.training.executors.on_ray.cluster:room",
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
