"""The executor: as many places in the cluster as there is room for, until every run has its outcome."""

import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from segstudy.core.errors import UserError
from segstudy.core.resources import allowed_cores
from segstudy.training.executors.base import Watch
from segstudy.training.executors.on_ray.bookkeeping import FailedStarts, Losses, Waiting, num_new
from segstudy.training.executors.on_ray.cluster import cluster, gpus_of_run
from segstudy.training.executors.on_ray.node import Place
from segstudy.training.executors.on_ray.remote import Remote, Shared
from segstudy.training.job import Job, Outcome

LOOK_S = 0.2  # between two looks at whether the study is to stop
MAX_PENDING = 64  # places that wait for room at a time
LACK_S = 10.0  # without any place, until the user is told of what no machine has


def on_ray(
    jobs: Sequence[Job], workers: int, watch: Watch, *, ray_address: str = "", gpus_per_run: float = 0.0
) -> Iterator[Outcome]:
    """Train runs on the machines of a Ray cluster, which need not share a disk.

    A run whose machine is lost continues on another one from the last state that came back. A run that
    fails, or whose own process dies, is a failure, as in processes of this machine.

    Args:
        jobs: what to train, in this order.
        workers: the most runs in parallel; 0: as many as the cluster has room for.
        watch: its callbacks are called for every job.
        ray_address: of the cluster; empty: the one that runs here, else one that is started here; ``local``:
            one that is started here.
        gpus_per_run: a share or a number of GPUs; 0: one on ``cuda``, else none.

    Yields:
        Outcomes in the order in which the runs end; jobs that were not begun have none.

    Raises:
        UserError: no cluster, or one whose machines cannot train.
    """
    if not jobs:
        return
    first = jobs[0]
    needs: dict[str, float] = {
        "num_cpus": first.threads,
        "num_gpus": gpus_of_run(first.device, gpus_per_run),
        "memory": max(job.memory_bytes for job in jobs),
    }
    cpus = first.threads * (workers or max(1, allowed_cores() // first.threads))
    with cluster(ray_address, cpus) as (ray, is_own):
        shared = Shared(
            ray=ray,
            place=ray.remote(Place),
            needs=needs,
            waiting=Waiting(jobs),
            losses=Losses(),
            ended=queue.SimpleQueue(),
            watch=watch,
            failed_starts=FailedStarts(),
            unusable={},
            first=first,
            is_own=is_own,
        )
        pool: list[Remote] = []
        try:
            yield from _outcomes(shared, pool, workers)
        finally:
            for remote in pool:
                remote.stop()


def _outcomes(shared: Shared, pool: list[Remote], workers: int) -> Iterator[Outcome]:
    lack = _Lack(shared)
    while True:
        _adjust(shared, pool, workers)
        lack.look(pool)
        is_over = not pool and (shared.watch.stop.is_set() or not len(shared.waiting))
        try:
            ended = shared.ended.get(timeout=0 if is_over else LOOK_S)
        except queue.Empty:
            if is_over:
                return
            continue
        if isinstance(ended, Exception):
            raise ended
        if ended is not None:
            yield ended


def _adjust(shared: Shared, pool: list[Remote], workers: int) -> None:
    """Ask the cluster for more places while runs wait, and take back what is no longer needed."""
    pool[:] = [each for each in pool if not each.is_over]
    pending = [each for each in pool if not each.is_placed]
    is_over = shared.watch.stop.is_set() or not len(shared.waiting)
    for each in pending:
        if is_over or each.is_outdated:
            each.cancel()
    if shared.watch.stop.is_set():
        for each in pool:
            each.finish_epoch()
        return
    at_work = len(pool) - len(pending)
    more = num_new(len(shared.waiting), at_work, len(pending), workers, MAX_PENDING)
    pool.extend(Remote(shared) for _ in range(more))


class _Lack:
    """Looks whether any machine of the cluster can train, and says what no machine has."""

    def __init__(self, shared: Shared):
        self._shared = shared
        self._look_at, self._said = time.monotonic() + LACK_S, ""

    def look(self, pool: Sequence[Remote]) -> None:
        """Look, if no place has been given for some seconds.

        Raises:
            UserError: nothing is trained, and no machine can be used that has what a run needs.
        """
        shared, now = self._shared, time.monotonic()
        if any(each.is_placed for each in pool):
            self._look_at = now + LACK_S
            shared.unusable.pop("", None)  # failed starts on a machine that Ray did not name
            shared.failed_starts.reset("")
        if now < self._look_at:
            return
        self._look_at = now + LACK_S
        alive = [
            node["Resources"]
            for node in shared.ray.nodes()
            if node["Alive"] and node["NodeID"] not in shared.unusable
        ]
        text = lacking(alive, shared.needs)
        if shared.unusable and (text or "" in shared.unusable):
            raise UserError(f"no machine of the cluster can train: {'; '.join(shared.unusable.values())}")
        if text and shared.is_own:
            raise UserError(
                f"{text}; the cluster that was started on this machine has {_amounts(_most(alive))}: end "
                "other programs, or use fewer --threads, a smaller image size, width or batch size, or "
                "--executor processes"
            )
        if text and text != self._said:
            self._said = text
            shared.watch.say(shared.first, f"{text}: waiting for one that joins")


NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}  # of our words for resources, Ray's


def lacking(machines: Sequence[Mapping[str, float]], needs: Mapping[str, Any]) -> str:
    """Return in words that no machine has what a run needs; empty if one has.

    >>> lacking([{"CPU": 4.0, "memory": 8e9}], {"num_cpus": 8, "num_gpus": 0, "memory": 1e9})
    'no machine of the cluster has 8 CPUs and 1.0 GB of memory for a run'
    """
    if any(all(each.get(NAMES[name], 0) >= amount for name, amount in needs.items()) for each in machines):
        return ""
    return f"no machine of the cluster has {_amounts(needs)} for a run"


def _most(machines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the most of each resource that a machine has."""
    return {ours: max((each.get(rays, 0) for each in machines), default=0) for ours, rays in NAMES.items()}


def _amounts(amounts: Mapping[str, Any]) -> str:
    parts = [f"{amounts['num_cpus']:g} CPUs"]
    parts += [f"{amounts['num_gpus']:g} GPUs"] if amounts["num_gpus"] else []
    parts += [f"{amounts['memory'] / 1e9:.1f} GB of memory"] if amounts["memory"] else []
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
