"""Two machines of a Ray cluster that compute with other kernels: refused, or said, recorded and reported."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from chaos_on_ray import Machines
from small import write_dataset

import segstudy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="needs AVX2 or the like"),
]
TINY = ("--architecture", "unet", "--batch-size", "4", "--image-size", "32", "--width", "2", "--threads", "1")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a cluster of two machines, of which one is kept from using AVX."""
    pytest.importorskip("ray")
    machines = Machines(tmp_path_factory.mktemp("machines"), 1)
    cache = {"SEGSTUDY_CACHE": str(machines.folder / "cache-old"), "ATEN_CPU_CAPABILITY": "default"}
    machines.cluster.add_node(num_cpus=1, env_vars=cache)
    yield machines.address
    machines.shutdown()


def run(code: int, *words: object) -> str:
    command = [sys.executable, "-P", "-m", "segstudy", "run", *map(str, words), "--executor", "ray"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_mixed_machines_are_refused_or_said_recorded_and_reported(address, tmp_path):
    data, out = write_dataset(tmp_path / "data", n=12), tmp_path / "s"
    asked = (data, "--out", out, *TINY, "--loss", "bce,dice", "--seeds", 3, "--epochs", 3)
    said = run(2, *asked, "--ray-address", address, "--same-hardware")
    assert "--same-hardware: the machines that would train differ: cpu (" in said
    assert not Path(out).exists()
    said = run(0, *asked, "--ray-address", address)
    assert "note: the machines that train differ: cpu (" in said
    now = segstudy.status(out)
    assert now.num_finished == 6
    assert now.hardware[0].startswith("Hardware: A (")
    assert "switches ATEN_CPU_CAPABILITY=default" in now.hardware[0]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Runs were trained on different hardware: A (" in page
