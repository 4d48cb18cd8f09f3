"""The machine settings of a study: device, threads, workers, executor."""

from dataclasses import dataclass

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
    """

    device: str
    threads: int
    workers: int
    executor: str
    checkpoint_every: int = 0
    same_hardware: bool = False


def choose_machine(
    device: str = "auto",
    threads: int = 0,
    workers: int = 0,
    executor: str | None = None,
    checkpoint_every: int = 0,
    same_hardware: bool = False,
) -> Machine:
    """Return the machine settings; 0 and ``auto`` are replaced by values that suit this machine.

    Raises:
        UserError: a device this machine does not have, an unknown executor or an invalid number.
    """
    for name, number in (("threads", threads), ("workers", workers), ("checkpoint-every", checkpoint_every)):
        if number < 0:
            raise UserError(f"--{name} must be 0 or more (0: choose automatically), got {number}")
    if executor is not None:
        executor_named(executor)
    device = choose_device(device)
    cores = allowed_cores()
    threads = threads or max(1, cores // 4)
    if workers == 0:
        workers = {"cpu": max(1, cores // threads), "cuda": torch.cuda.device_count()}.get(device, 1)
    if executor is None:
        executor = next(each.name for each in EXECUTORS.values() if each.is_parallel == (workers > 1))
    workers = workers if executor_named(executor).is_parallel else 1
    return Machine(device, threads, workers, executor, checkpoint_every, same_hardware)
