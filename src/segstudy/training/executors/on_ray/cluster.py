"""The connection to a Ray cluster: the one that was named, the one that runs here, or one started here."""

import ipaddress
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from segstudy.core.device import visible_gpus
from segstudy.core.errors import UserError, one_line
from segstudy.core.libraries import ray as import_ray
from segstudy.core.resources import allowed_cores
from segstudy.training.executors.on_ray.token import is_of_token, refuse_wrong_token, token_error

INSTALL = "pip install 'segstudy[ray]'"
ANSWER_S = 5.0  # within which a cluster's address must answer
QUIET = {"log_to_driver": False, "logging_level": logging.CRITICAL}
LINE = 300  # characters of Ray's messages that are shown


def room(device: str, threads: int, *, ray_address: str = "", gpus_per_run: float = 0.0) -> int:
    """Return the number of runs that the cluster has room for now; also checks the options.

    The connection to a cluster that runs stays open, for the training that follows.

    Raises:
        UserError: Ray is not installed, no cluster answers, or a run has no place on any of its machines.
    """
    gpus = gpus_of_run(device, gpus_per_run)
    found = (
        [node["Resources"] for node in library().nodes() if node["Alive"]]
        if connect(ray_address)
        else [here()]
    )
    return num_places(found, threads, gpus)


def num_places(resources: Iterable[Mapping[str, float]], threads: int, gpus: float) -> int:
    """Return the number of runs that machines with these resources have room for, at least 1.

    >>> num_places([{"CPU": 8, "GPU": 1}, {"CPU": 2}], threads=2, gpus=0.25)
    4
    """
    places = 0
    for each in resources:
        by_cpu = int(each.get("CPU", 0) / threads)
        places += min(by_cpu, int(each.get("GPU", 0) / gpus + 1e-9)) if gpus else by_cpu
    return max(1, places)


def here() -> dict[str, float]:
    """Return the resources of a cluster that is started on this machine."""
    gpus = len(visible_gpus()) if torch.cuda.is_available() else 0
    return {"CPU": allowed_cores(), "GPU": gpus}


def gpus_of_run(device: str, gpus_per_run: float) -> float:
    """Return the GPUs that a run asks for.

    Raises:
        UserError: a negative number, a fraction above 1, or GPUs for runs on a CPU.
    """
    if not math.isfinite(gpus_per_run) or gpus_per_run < 0 or (gpus_per_run > 1 and gpus_per_run % 1):
        raise UserError(f"--gpus-per-run must be from 0 to 1 or a whole number, got {gpus_per_run:g}")
    if gpus_per_run and device != "cuda":
        raise UserError(f"--gpus-per-run {gpus_per_run:g} needs --device cuda, got {device}")
    return gpus_per_run or float(device == "cuda")


def library() -> Any:
    """Import Ray.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_ray()
    except ImportError as error:
        raise UserError(f"--executor ray needs Ray ({one_line(error, LINE)}): {INSTALL}") from None


@contextmanager
def cluster(ray_address: str, cpus: int) -> Iterator[tuple[Any, bool]]:
    """Yield Ray, connected to a cluster, and whether the cluster was started here.

    At the end the connection is closed, or the started cluster ended.

    A connection that the user's own program has opened is used and stays open.

    Args:
        ray_address: of the cluster; empty: the one that runs here, else one that is started here.
        cpus: of a cluster that is started.

    Raises:
        UserError: Ray is not installed, no cluster answers at the address, or none can be started.
    """
    ray = library()
    is_own = not connect(ray_address)
    if is_own:
        _start(ray, cpus)
    try:
        yield ray, is_own
    finally:
        if os.getpid() in _opened:
            _opened.discard(os.getpid())
            ray.shutdown()


_opened: set[int] = set()  # this process, if the connection is ours


def _start(ray: Any, cpus: int) -> None:
    """Start a cluster on this machine.

    Raises:
        UserError: that is not possible, or takes longer than Ray waits (30 s in Ray 2.60).
    """
    try:
        with _own_signals():
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **QUIET)
    except Exception as error:  # Ray raises no class of its own
        ray.shutdown()  # of what was started
        raise UserError(
            f"Ray cannot be started on this machine ({one_line(error, LINE)}); if it is busy, end other "
            "programs and run again, or use --executor processes"
        ) from None
    _opened.add(os.getpid())


def connect(ray_address: str) -> bool:
    """Connect to the cluster that is named or runs here; False if one must be started.

    Raises:
        UserError: no cluster answers at the address, it asks for another token, or the user's own program has
            connected to another.
    """
    ray = library()
    if ray.is_initialized():
        if not ray_address or _is_connected_to(ray, ray_address):
            return True
        if os.getpid() not in _opened:
            there = ray.get_runtime_context().gcs_address
            raise UserError(
                f"--ray-address is {ray_address}, but this program has connected to the Ray cluster at "
                f"{there}; omit ray_address, or call ray.shutdown() before"
            )
        _opened.discard(os.getpid())  # of a call that ended before its training
        ray.shutdown()
    named = ray_address or os.environ.get("RAY_ADDRESS", "")
    if named and named not in ("auto", "local"):
        _refuse_silent(named)
        refuse_wrong_token(ray, named)
    if named == "local":
        return False
    try:
        with _own_signals():
            ray.init(address=named or "auto", **QUIET)
    except Exception as error:  # Ray raises many classes, and none of its own
        if is_of_token(error):
            raise token_error(named) from None
        if not named and isinstance(error, ConnectionError):
            return False
        raise UserError(
            f"the Ray cluster{' at ' + named if named else ''} cannot be used: {one_line(error, LINE)}; this "
            "machine must be part of it (ray start --address=HOST:PORT), with the same versions of Python "
            "and Ray"
        ) from None
    _opened.add(os.getpid())
    return True


def _is_connected_to(ray: Any, address: str) -> bool:
    """Whether the connection is to the cluster at this address, however its host is spelled."""
    if address == "auto":
        return True
    host, _, port = address.rpartition(":")
    there, _, its_port = str(ray.get_runtime_context().gcs_address).rpartition(":")
    return bool(host) and port == its_port and bool(_numbers(ray, host) & _numbers(ray, there))


def _numbers(ray: Any, host: str) -> set[str]:
    """Return the addresses of a host; those of this machine for its own."""
    host = host.strip("[]")
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except OSError:
        return {host}
    is_here = any(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found)
    return found | {ray.util.get_node_ip_address()} if is_here else found


def _refuse_silent(address: str) -> None:
    """Refuse an address at which nothing answers: Ray itself would wait for minutes.

    Raises:
        UserError: another form than HOST:PORT, or no answer.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise UserError(
            "--ray-address must be HOST:PORT as printed by `ray start --head`, or local to start a cluster "
            f"on this machine, got {address}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"no Ray cluster answers at {address} ({one_line(error)}); start one with `ray start --head`, or "
            "use --ray-address local for this machine alone"
        ) from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our handlers of signals while inside: Ray puts its own in the place of that for SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
