"""Memory does not grow with the runs done; the figure is `benchmarks/memory_of_many_runs.py`."""

import subprocess
import sys

import pytest
from places import ROOT

SCRIPT = """
import sys; sys.path.insert(0, {benchmarks!r})
from pathlib import Path
from memory_of_many_runs import memory
print(*(row["MB"] for row in memory("serial", 40, Path({folder!r}))))
"""


@pytest.mark.slow
def test_thirty_more_runs_take_no_more_memory(tmp_path):
    """In a process of its own; a run that kept its network and images would take some 3 MB each."""
    benchmarks = ROOT / "benchmarks"
    script = SCRIPT.format(benchmarks=str(benchmarks), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    resident = [float(word) for word in done.stdout.split()]
    assert len(resident) == 40
    assert resident[-1] - resident[9] < 30
