"""Where segstudy is started: optimised Python, an output that takes ASCII only, little address space."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small import write_dataset

from segstudy.store.folder import StudyFolder

TINY = "--epochs 1 --width 2 --image-size 32 --batch-size 4 --architecture unet --loss bce".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


def segstudy(*words: object, limit: str = "", **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "segstudy", *map(str, words)]
    return subprocess.run(
        ["bash", "-c", f'{limit} exec "$@"', "bash", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.slow
def test_docstrings_may_be_stripped(dataset, tmp_path):
    """Altair copies docstrings when it is imported, and raised where there are none."""
    words = ("run", dataset, "--out", tmp_path / "s", "--executor", "processes", *TINY)
    done = segstudy(*words, PYTHONOPTIMIZE="2")
    assert done.returncode == 0, done.stderr
    assert "<svg" in (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    assert not StudyFolder(tmp_path / "s").failed()


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}


@pytest.mark.slow
def test_an_output_that_takes_few_characters_gets_the_others_spelled_out(dataset, tmp_path):
    out = tmp_path / "s"
    done = segstudy("run", dataset, "--out", out, "--executor", "processes", *TINY, **ASCII)
    assert done.returncode == 0, done.stderr
    assert f"report: {out}" in done.stdout
    plain = segstudy("table", out, "--format", "latex", PYTHONIOENCODING="utf-8").stdout
    spelled = segstudy("table", out, "--format", "latex", **ASCII)
    assert spelled.returncode == 0, spelled.stderr
    assert spelled.stdout == plain.encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize(
    "variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=["ascii", "C"]
)
def test_errors_name_what_their_output_cannot_spell(tmp_path, variables):
    wrong = segstudy("status", tmp_path / "nowhere \N{GREEK SMALL LETTER ALPHA}", **variables)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert "nowhere" in wrong.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v is Linux's")
def test_with_little_address_space_the_report_lacks_its_charts_and_says_so(dataset, tmp_path):
    """The renderer of charts reserves 69 GB, and ended the process by SIGTRAP."""
    out = tmp_path / "s"
    done = segstudy("run", dataset, "--out", out, *TINY, limit="ulimit -c 0; ulimit -v 8000000;")
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if "without charts" in line]
    assert "ulimit -v allows 8;" in said
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Not rendered: too little address space" in page
    whole = segstudy("report", out)
    assert whole.returncode == 0, whole.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Not rendered" not in page
    assert list((out / "figures").glob("*.svg"))
    again = segstudy("report", out, limit="ulimit -c 0; ulimit -v 8000000;")
    assert again.returncode == 0, again.stderr
    assert not list((out / "figures").glob("*.svg")), "figures of another report"
