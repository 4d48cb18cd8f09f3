"""Which run is trained next, and what becomes of a run whose machine is lost. Nothing here knows Ray."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segstudy.training.job import Job

MAX_FAILED_STARTS = 5
PATIENCE_S = 120.0  # with places that cannot be started
MAX_LOSSES = 3  # machines that a run may lose without a new saved state in between


class Waiting:
    """The jobs that no machine has; used by several threads."""

    def __init__(self, jobs: Sequence[Job]):
        self._jobs = list(jobs)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._jobs)

    def take(self, there: Collection[str]) -> Job | None:
        """Return the next job for a machine and remove it; None if none is left.

        Args:
            there: names of the prepared data that the machine has. The first job that needs no others is
                taken; if there is none, the first of all.
        """
        with self._lock:
            if not self._jobs:
                return None
            places = (i for i, job in enumerate(self._jobs) if job.prepared.name in there)
            return self._jobs.pop(next(places, 0))

    def put_back(self, job: Job) -> None:
        """Return a job that was begun; it is the next one."""
        with self._lock:
            self._jobs.insert(0, job)


@dataclass
class _Lost:
    after_epoch: int
    times: int


class Losses:
    """How often each run lost its machine; used by several threads, each with other runs.

    A run that itself ends the machines, because it needs more memory than they have, must not do so for
    ever. A run that makes progress in between has only met bad luck.
    """

    def __init__(self, most: int = MAX_LOSSES):
        self.most = most
        self._lost: dict[str, _Lost] = {}

    def is_too_many(self, key: str, epoch: int) -> bool:
        """Count the loss of a run's machine; whether the run should not be tried again.

        Args:
            key: of the run.
            epoch: of its last saved state; 0 without one.
        """
        before = self._lost.get(key)
        if before is None or before.after_epoch < epoch:
            self._lost[key] = _Lost(epoch, 1)
        else:
            before.times += 1
        return self._lost[key].times >= self.most


class FailedStarts:
    """Places on each machine that were given and could not be started, in a row; used by several threads.

    A machine that has just died may take several with it before its death is noticed. What segstudy itself
    raises at a start will be raised at the next one there too.
    """

    def __init__(self, most: int = MAX_FAILED_STARTS, patience_s: float = PATIENCE_S):
        self._most, self._patience_s = most, patience_s
        self._lock = threading.Lock()
        self._starts: dict[str, list[tuple[float, bool]]] = {}

    def is_too_many(self, machine: str, is_raised: bool, now_s: float) -> bool:
        """Count one; whether no more should be tried on this machine.

        Args:
            machine: its number for Ray; empty if unknown.
            is_raised: whether code of ours was reached and raised an error.
            now_s: seconds of any clock.
        """
        with self._lock:
            starts = self._starts.setdefault(machine, [])
            starts.append((now_s, is_raised))
            all_raised = machine != "" and all(each for _, each in starts)
            return len(starts) >= self._most and (all_raised or now_s - starts[0][0] >= self._patience_s)

    def reset(self, *machines: str) -> None:
        """Called when a place was started on these machines."""
        with self._lock:
            for each in machines:
                self._starts.pop(each, None)


def num_new(num_waiting: int, num_at_work: int, num_pending: int, most: int, most_pending: int) -> int:
    """Return how many more workers to ask the cluster for.

    Args:
        num_waiting: jobs that no worker has.
        num_at_work: workers that have their place in the cluster.
        num_pending: workers that wait for a place; each will take a job that is waiting.
        most: runs in parallel; 0: as many as there is room for.
        most_pending: workers that wait for a place at a time: a cluster that can grow sees by them how much.
    """
    wanted = min(num_waiting, most_pending) - num_pending
    if most:
        wanted = min(wanted, most - num_at_work - num_pending)
    return max(0, wanted)
