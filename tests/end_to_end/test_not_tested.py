"""The last lines of `make test` say what was not tested."""

import os
import subprocess
import sys

import pytest
from not_tested import not_tested
from places import ROOT


def test_equal_reasons_are_counted_and_have_their_remedy():
    browser = "Skipped: no chromium: SEGSTUDY_CHROMIUM may name one"
    first, second = not_tested([browser, "Skipped: another", browser])
    assert first.startswith("not tested (2 tests): no chromium")
    assert "apt-get install chromium" in first
    assert second == "not tested (1 test): another"


@pytest.mark.slow
def test_without_a_browser_the_last_lines_say_so():
    """In a process of its own, in which no browser is found."""
    environment = {**os.environ, "PATH": str(ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("SEGSTUDY_CHROMIUM", None)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/reporting/test_browser.py",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("not tested (")
    assert "no chromium" in last
    assert "apt-get install chromium" in last
