"""The environments of a cluster's machines, before anything is trained there."""

import json
import os
import subprocess
import sys
from typing import Any

from segstudy.core.environment import environment
from segstudy.training.executors.on_ray.cluster import connect, library

ANSWER_S = 120.0  # within which the machines must answer: PyTorch is loaded on each
CODE = """
import json, sys
from segstudy.core.environment import environment
print(json.dumps(environment(sys.argv[1], int(sys.argv[2]))))
"""


def environments(
    device: str, threads: int, *, ray_address: str = "", gpus_per_run: float = 0.0
) -> list[dict[str, Any]]:
    """Return the environments of the machines that train now; of a cluster that is yet to start, this one's.

    A machine that does not answer has none; what its runs record is compared later.
    """
    if not connect(ray_address):
        return [environment(device, threads)]
    ray = library()
    pinned = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    asked = [
        ray.remote(environment_there)
        .options(num_cpus=0, max_retries=0, scheduling_strategy=pinned(node["NodeID"], soft=False))
        .remote(device, threads)
        for node in ray.nodes()
        if node["Alive"]
        and node["Resources"].get("CPU", 0) >= threads
        and node["Resources"].get("GPU", 0) >= gpus_per_run
    ]
    found, _ = ray.wait(asked, num_returns=len(asked), timeout=ANSWER_S) if asked else ([], [])
    known = []
    for each in found:
        try:
            known.append(ray.get(each))
        except ray.exceptions.RayError:  # the machine is gone, or lacks segstudy: its runs will say so
            continue
    return known


def environment_there(device: str, threads: int) -> dict[str, Any]:
    """Return the environment of this machine, from a process of its own: Ray's should not load PyTorch."""
    ended = subprocess.run(  # noqa: S603 (code of ours)
        [sys.executable, "-P", "-c", CODE, device, str(threads)],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(ended.stdout))
