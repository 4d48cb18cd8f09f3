"""Locks name their holder, end with their process and leave nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from segstudy.errors import UserError
from segstudy.files import DiskError
from segstudy.locks import HeldError, hold, holder, is_held

HOLD = "import sys, time; from pathlib import Path; from segstudy.locks import hold\n"
HOLD += "with hold(Path(sys.argv[1]), 'x'):\n    print('held', flush=True); time.sleep(60)\n"


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "locks" / "a"


@pytest.fixture
def other(lock):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_is_told_who_holds_it(lock, other):
    assert is_held(lock)
    with (
        pytest.raises(HeldError, match=f"process {other.pid} on host {socket.gethostname()}"),
        hold(lock, "it", 0.1),
    ):
        pass
    assert issubclass(HeldError, UserError)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_holder_holds_nothing(lock, other, ending):
    other.send_signal(ending)
    other.wait()
    assert lock.is_file()
    assert not is_held(lock)
    with hold(lock, "it"):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists()


def test_who_waits_gets_it_when_it_is_let_go(lock, other):
    threading.Timer(0.3, other.kill).start()
    with hold(lock, "it", wait_s=10):
        assert holder(lock).startswith(f"process {os.getpid()} ")


def test_threads_of_one_process_exclude_each_other(lock):
    inside, most = 0, []

    def work():
        nonlocal inside
        for _ in range(20):
            with hold(lock, "it", wait_s=30):
                inside += 1
                most.append(inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert not lock.exists()


def test_it_is_let_go_when_the_work_fails(lock):
    with pytest.raises(KeyError), hold(lock, "it"):
        raise KeyError
    assert not is_held(lock)


def test_a_copy_of_a_held_lock_holds_nothing(lock, other, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(lock.read_bytes())
    assert not is_held(copy)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_holder_that_does_not_say_who_it_is(lock, content):
    lock.parent.mkdir()
    lock.write_text(content)
    assert holder(lock) == "another process"


def test_a_folder_in_its_place_is_one_line(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(DiskError, match="cannot be written"), hold(tmp_path / "lock", "it", 0.1):
        pass
