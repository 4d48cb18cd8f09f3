"""Two `segstudy run` on one folder: one trains, the other says who does, and every run is trained once."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from small import TINY, write_dataset

import segstudy
from segstudy.core.locks import HeldError, hold
from segstudy.store.folder import StudyFolder

# A loss of one's own that writes down every epoch of every training: one line when the first batch comes.
COUNTING = """
import os
from segstudy.losses import bce
def counting(logits, target, name="a"):
    with open({log!r}, "a") as log:
        log.write(f"{{name}} {{os.getpid()}}\\n")
    return bce(logits, target)
"""
EPOCHS, BATCHES = 6, 3  # 12 training images in batches of 4
CALLS = EPOCHS * (BATCHES + 1)  # of the loss: every batch, and the validation part once


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "set", n=24)


@pytest.fixture
def command(dataset, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(COUNTING.format(log=str(tmp_path / "calls.txt")))
    losses = ",".join(f"{own}:counting:name={name}" for name in "abc")
    options = f"--architecture unet --epochs {EPOCHS} --image-size 64 --width 8 --batch-size 4"
    options += " --set record_test=false --executor processes --workers 2 --threads 1"
    words = ["run", dataset, "--out", tmp_path / "study", "--loss", losses, *options.split()]
    return [sys.executable, "-m", "segstudy", *map(str, words)]


def start(command):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def calls(tmp_path):
    """How often each training called its loss, the trial steps of the forecast (in the callers) left out."""
    lines = (tmp_path / "calls.txt").read_text().split("\n")
    return [line.split() for line in lines if line]


@pytest.mark.slow
def test_started_at_once_one_trains_and_the_other_names_it(command, tmp_path):
    pair = [start(command), start(command)]
    said = [process.communicate(timeout=120)[1] for process in pair]
    codes = [process.returncode for process in pair]
    assert sorted(codes) == [0, 2], said
    winner, loser = codes.index(0), codes.index(2)
    assert f"process {pair[winner].pid} on host {socket.gethostname()}" in said[loser]
    assert "Traceback" not in said[loser]
    callers = {str(process.pid) for process in pair}
    trained = [name for name, pid in calls(tmp_path) if pid not in callers]
    assert {name: trained.count(name) for name in "abc"} == dict.fromkeys("abc", CALLS)
    assert len(StudyFolder(tmp_path / "study").finished()) == 3
    assert not (tmp_path / "study" / "study.lock").exists()


def test_commands_that_only_read_are_nobodys_rivals(dataset, tmp_path):
    options = {"architecture": "unet", "loss": "bce", "batch_size": 4, "executor": "serial", "images": False}
    folder = segstudy.run(dataset, out=tmp_path / "study", **TINY, **options).folder
    with hold(folder.lock, "this study"):
        assert len(segstudy.plan(folder.path)[0].runs) == 1
        assert segstudy.status(folder.path).holder.startswith(f"process {os.getpid()} on host")
        assert segstudy.verify(folder.path).faults == ()
        with pytest.raises(HeldError, match="is working on this study"):
            segstudy.run(folder.path, loss="dice")
    assert segstudy.status(folder.path).holder is None


@pytest.mark.slow
def test_a_killed_holder_holds_nothing_even_while_its_workers_are_ending(command, tmp_path):
    folder = StudyFolder(tmp_path / "study")
    first = start(command)
    while not folder.begun():
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    second = start(command)  # at once: the dead one's workers may still hold their runs' locks
    _, said = second.communicate(timeout=120)
    first.communicate()
    assert second.returncode == 0, said
    assert "continues after epoch" in said
    assert len(folder.finished()) == 3
    assert not folder.failed()
