"""A sequential study on the command line, in worker processes: killed or stopped, it ends in equal bytes."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from small import write_dataset

SIZE = ["--epochs", "4", "--width", "4", "--image-size", "64", "--batch-size", "8"]
WHAT = ["--architecture", "unet,segnet", "--loss", "bce,dice", "--until-settled", "--max-seeds", "5"]
SIDE_BY_SIDE = ["--executor", "processes", "--workers", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=40)


def start(*words):
    command = [sys.executable, "-m", "segstudy", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(*words):
    process = start(*words)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out + err


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """The study that was never interrupted, and its output."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    return folder, ended("run", dataset, "--out", folder, *WHAT, *SIZE, *SIDE_BY_SIDE)


def decisions(folder):
    found = json.loads((folder / "looks.json").read_text(encoding="utf-8"))
    return [{k: v for k, v in look.items() if k not in ("begun", "taken")} for look in found["looks"]]


def contents(folder):
    files = [path for path in folder.glob("runs/*/*") if path.name != "run.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("asked", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("num_runs", [2, 12, 14])
def test_interrupted_it_comes_to_the_same_decisions_and_bytes(dataset, whole, tmp_path, asked, num_runs):
    folder = tmp_path / "study"
    process = start("run", dataset, "--out", folder, *WHAT, *SIZE, *SIDE_BY_SIDE)
    while len(list(folder.glob("runs/*/run.json"))) < num_runs:
        if process.poll() is not None:  # the whole study has fewer runs
            break
        time.sleep(0.01)
    if process.poll() is None:
        os.kill(process.pid, asked)
    process.communicate()
    ended("run", folder, *SIDE_BY_SIDE)
    assert decisions(folder) == decisions(whole[0])
    assert contents(folder) == contents(whole[0])


@pytest.mark.slow
def test_the_command_line_says_what_the_looks_decided(whole):
    folder, said = whole
    assert (
        "looks planned at 3 and 5 seeds: none was taken yet. The runs and hours given here are the most"
        in said
    )
    assert re.search(r"look 1 \(3 seeds\): .* stopped", said)
    status, table = ended("status", folder), ended("table", folder)
    assert "Sequential study, looks planned at 3 and 5 seeds: after look" in status
    stopped = {
        result["name"]: number
        for number, look in enumerate(decisions(folder), 1)
        for result in look["results"]
        if result["stopped"]
    }
    shown = dict(re.findall(r"(\S+-b8) .*?stopped at look (\d)", table))
    assert shown == {name: str(number) for name, number in stopped.items()}
