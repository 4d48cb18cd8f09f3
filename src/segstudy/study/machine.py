"""The machine settings of a study: device, threads, workers, executor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

import torch

from segstudy.core.device import choose_device
from segstudy.core.errors import UserError
from segstudy.core.resources import allowed_cores
from segstudy.training.executors import EXECUTORS, executor_named


@dataclass(frozen=True)
class Machine:
    """Where and how runs are trained; none of it enters a key.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads of one training; they move the last bits, so every executor uses the same.
        workers: runs in parallel; several GPUs share them out.
        executor: a key of ``EXECUTORS``, or a plug-in's.
        checkpoint_every: epochs from one saved state to the next: at most as many are lost; 0: see
            ``training.resume.is_due``.
        same_hardware: whether a run is refused where its environment differs from that of the study's runs.
        executor_options: the options of the executor that were given.
        grows: whether the executor may train more runs in parallel than ``workers``, as machines join.
    """

    device: str
    threads: int
    workers: int
    executor: str
    checkpoint_every: int = 0
    same_hardware: bool = False
    executor_options: Mapping[str, Any] = field(default_factory=dict)
    grows: bool = False

    @property
    def max_workers(self) -> int:
        """The most runs in parallel, for the executor; 0: as many as it has room for."""
        return 0 if self.grows else self.workers


def choose_machine(  # noqa: PLR0913 (an option each)
    device: str = "auto",
    threads: int = 0,
    workers: int = 0,
    executor: str | None = None,
    checkpoint_every: int = 0,
    *,
    same_hardware: bool = False,
    executor_options: Mapping[str, Any] | None = None,
) -> Machine:
    """Return the machine settings; 0 and ``auto`` are replaced by values that suit this machine.

    Raises:
        UserError: a device this machine does not have, an unknown executor, an invalid number, or an
            option that the executor does not have.
    """
    for name, number in (("threads", threads), ("workers", workers), ("checkpoint-every", checkpoint_every)):
        if number < 0:
            raise UserError(f"--{name} must be 0 or more (0: choose automatically), got {number}")
    given = executor_options or {}
    if executor is None and given:
        raise UserError(_without_executor(given))
    record = None if executor is None else executor_named(executor)
    options = {} if record is None else record.checked(given)
    device = choose_device(device)
    cores = allowed_cores()
    threads = threads or max(1, cores // 4)
    grows = record is not None and record.room is not None and workers == 0
    if record is not None and record.room is not None:  # also where --workers says how many: it is there
        found = resolve_name(record.room)(device, threads, **options)
        workers = workers or found
    if workers == 0:
        workers = {"cpu": max(1, cores // threads), "cuda": torch.cuda.device_count()}.get(device, 1)
    if record is None:
        record = next(each for each in EXECUTORS.values() if each.is_parallel == (workers > 1))
    workers = workers if record.is_parallel else 1
    return Machine(device, threads, workers, record.name, checkpoint_every, same_hardware, options, grows)


def _without_executor(given: Mapping[str, Any]) -> str:
    """Return the message on options of an executor that is not named."""
    names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    owners = [each.name for each in EXECUTORS.values() if given.keys() & {o.name for o in each.options}]
    return f"{names} needs --executor {' or '.join(owners) or 'NAME, the executor that has it'}"
