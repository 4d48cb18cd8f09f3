"""Signals: once finishes the epoch and saves, twice stops now; what follows goes on to the same bytes."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from small import write_dataset

from segstudy.core.signals import asked_to_stop

SHORT = [
    "--architecture",
    "unet",
    "--batch-size",
    "3",
    "--epochs",
    "10",
    "--width",
    "8",
    "--image-size",
    "96",
]
LONG = [*SHORT[:-4], "--width", "24", "--image-size", "256", "--yes"]  # an epoch takes many seconds
SIDE_BY_SIDE = ["--executor", "processes", "--workers", "2", "--threads", "1"]
ONE_BY_ONE = ["--executor", "serial", "--threads", "1"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=24)


def start(dataset, folder, *options, size=SHORT):
    command = [sys.executable, "-m", "segstudy", "run", dataset, "--out", folder, "--loss", "bce,dice,combo"]
    return subprocess.Popen(
        [*map(str, command), *size, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, process, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def states(folder):
    return list(folder.glob("checkpoints/*/*.state"))


def contents(folder):
    """Every file of every run but run.json, byte by byte."""
    files = [path for path in folder.glob("runs/*/*") if path.name != "run.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """The study that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    process = start(dataset, folder, *SIDE_BY_SIDE)
    assert process.communicate()[1] is not None
    assert process.returncode == 0
    return contents(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "executor"),
    [
        pytest.param(signal.SIGINT, SIDE_BY_SIDE, id="Ctrl-C, processes", marks=pytest.mark.very_slow),
        pytest.param(signal.SIGHUP, ONE_BY_ONE, id="SIGHUP, serial", marks=pytest.mark.very_slow),
        pytest.param(signal.SIGINT, ONE_BY_ONE, id="Ctrl-C, serial"),
        pytest.param(signal.SIGTERM, SIDE_BY_SIDE, id="SIGTERM, processes"),
    ],
)
def test_asked_once_it_saves_says_how_to_go_on_and_ends_with_the_same_bytes(
    dataset, tmp_path, whole, asked, executor
):
    folder = tmp_path / "study"
    process = start(dataset, folder, *executor, "--checkpoint-every", "4")  # the signal saves, not the habit
    wait_for(lambda: (folder / "locks").is_dir() and list((folder / "locks").iterdir()), process)
    process.send_signal(asked)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + asked
    assert "stopping after this epoch" in said
    assert f"continue with: segstudy run {folder}" in said
    assert "Traceback" not in said
    assert states(folder)
    assert not list(folder.glob("failures/*"))

    again = start(dataset, folder, *executor)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "continues after epoch" in said
    assert contents(folder) == whole
    assert not (folder / "checkpoints").exists()
    assert not (folder / "locks").exists()


@pytest.mark.slow
def test_asked_twice_it_stops_now_and_takes_its_workers_along(dataset, tmp_path):
    folder = tmp_path / "study"
    process = start(dataset, folder, *SIDE_BY_SIDE, size=LONG)
    wait_for(lambda: list(folder.glob("locks/*")), process)
    workers = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - asked < 5
    assert process.returncode == 130
    assert "stopped at once" in said
    assert "Traceback" not in said
    assert not psutil.wait_procs(workers, timeout=5)[1]


@pytest.mark.slow
def test_a_worker_that_alone_is_told_to_end_hands_its_run_to_another(dataset, tmp_path, whole):
    folder = tmp_path / "study"
    process = start(dataset, folder, *SIDE_BY_SIDE)
    wait_for(lambda: states(folder), process)
    worker = psutil.Process(process.pid).children()[0]
    worker.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "continues after epoch" in said
    assert not worker.is_running()
    assert contents(folder) == whole


def test_handlers_are_put_back_and_what_was_ignored_stays_ignored():
    before = signal.getsignal(signal.SIGTERM)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asked = []
    try:
        with asked_to_stop(lambda: asked.append("once")) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.is_set()
            assert (stop.signal, asked) == (signal.SIGTERM, ["once"])
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, hangup)
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_signals_are_left_alone():
    seen = []

    def look():
        with asked_to_stop(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
