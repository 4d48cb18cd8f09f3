"""The cores and the memory that this process may use, which may be less than the machine has.

A process may be bound to some processors (``taskset``, schedulers of clusters) and a container may be given a
share of their time or memory (control groups, version 1 and 2). Only the allowed share is counted here.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

PROC, SYS = Path("/proc"), Path("/sys")
NO_LIMIT_BYTES = 1 << 60  # version 1 writes a number near 2^63 where there is no limit


def allowed_cores(hyperthreads: bool = False) -> int:
    """Return the number of cores this process may use, at least 1: for training threads, workers and pools.

    Args:
        hyperthreads: count each of a core's hardware threads, as suits decoding and hashing; a training
            gains nothing from a second one on its core.
    """
    processors = _bound_to()
    count = len(processors) if processors else os.cpu_count() or 1
    if not hyperthreads:
        count = min(count, _num_physical(processors) or _physical_cores() or count)
    return max(1, int(min(count, _quota())))


def _physical_cores() -> int | None:
    import psutil

    return psutil.cpu_count(logical=False)


def _bound_to() -> frozenset[int]:
    """Return the processors that this process is bound to; empty if unknown."""
    if hasattr(os, "sched_getaffinity"):
        with suppress(OSError):
            return frozenset(os.sched_getaffinity(0))
    return frozenset()


def _num_physical(processors: frozenset[int]) -> int:
    """Return the number of physical cores of these processors; 0 if unknown."""
    cores = set()
    for processor in processors:
        siblings = SYS / f"devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
        try:
            cores.add(siblings.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            return 0
    return len(cores)


def _quota() -> float:
    """Return the processor time that the control groups allow, in processors; infinite without a limit."""
    least = float("inf")
    for folder in _groups("cpu"):
        with suppress(OSError, ValueError):  # version 2: "150000 100000", or "max 100000"
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            least = min(least, _share(quota, period))
        with suppress(OSError, ValueError):  # version 1; -1 for no limit
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
            least = min(least, _share(quota, period))
    return least


def _share(quota: str, period: str) -> float:
    limited = quota.strip() != "max" and float(quota) > 0 and float(period) > 0
    return float(quota) / float(period) if limited else float("inf")


def allowed_memory() -> int:
    """Return the bytes that this process may still allocate, by free memory and its control groups."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for folder in _groups("memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with suppress(OSError, ValueError):  # "max" is not a number either
                most = int((folder / limit).read_text(encoding="ascii"))
                if most < NO_LIMIT_BYTES:
                    free = min(free, most - int((folder / used).read_text(encoding="ascii")))
    return max(0, free)


def _groups(controller: str) -> Iterator[Path]:
    """Return the folders of the control groups that may limit this process, from its own up to the root.

    Within a container the path is that of the host and may not exist: then the root is the container's.
    """
    try:
        lines = (PROC / "self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        own = PurePosixPath(path.lstrip("/"))
        roots = [f"fs/cgroup/{controllers}", f"fs/cgroup/{controller}"] if controllers else ["fs/cgroup"]
        for root in roots:
            for part in (own, *own.parents):
                yield SYS / root / part


def machine_load() -> tuple[float, int] | None:
    """Return the number of busy processes during the last minute, and of the processors; None if unknown."""
    try:
        return os.getloadavg()[0], os.cpu_count() or 1
    except (OSError, AttributeError):  # Windows has none
        return None
