"""The report of a large study: made in seconds, of a size that opens."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from big_store import make_big_store

from segstudy.reporting.page import write_report
from segstudy.store.folder import StudyFolder


def seconds_of(folder: StudyFolder) -> float:
    """Processor time, which other programs do not move much."""
    start = time.process_time()
    write_report(folder)
    return time.process_time() - start


@pytest.mark.slow
def test_ten_times_the_runs_take_far_less_than_ten_times_as_long(tmp_path: Path, rendered_again):
    small = make_big_store(tmp_path / "small", seeds=1, batch_sizes=1, images=20)
    large = make_big_store(tmp_path / "large", seeds=10, batch_sizes=1, images=20)
    write_report(small)  # imports and first compilations are nobody's runs
    assert seconds_of(large) < 6 * seconds_of(small)
    assert (large.path / "report.html").stat().st_size < 8e6


@pytest.mark.very_slow
def test_a_thousand_runs_take_twenty_seconds_and_two_gigabytes(tmp_path: Path):
    folder = make_big_store(tmp_path / "study")
    assert len(folder.finished()) == 1000
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "segstudy", "report", folder.path], check=True)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    assert seconds < 20, f"{seconds:.1f} s on {os.cpu_count()} processors"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit < 2e9
    assert (folder.path / "report.html").stat().st_size < 8e6
